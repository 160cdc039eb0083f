"""The registry of sources and their configuration."""

from __future__ import annotations

import json

import pytest

from hypertape.errors import BadInput, UnknownSource
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source, source_names


def test_sources_are_the_modules() -> None:
    assert "csv_tree" in source_names()
    assert not [name for name in source_names() if name.startswith("_")]


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(UnknownSource, match=r"There is no source 'bloomberg'.* Sources: .*csv_tree"):
        open_source(SourceConfig("bloomberg"), Settings())


@pytest.mark.parametrize("name", ["_csv_file", "../csv_tree", ""])
def test_parts_and_paths_are_no_sources(name: str) -> None:
    with pytest.raises(UnknownSource):
        open_source(SourceConfig(name), Settings())


def test_csv_tree_wants_a_directory() -> None:
    with pytest.raises(BadInput, match="--source-dir"):
        open_source(SourceConfig("csv_tree"), Settings())


@pytest.mark.parametrize(
    "config",
    [
        SourceConfig("sample"),
        SourceConfig("csv_tree", "/data", True),
        SourceConfig("yahoo", endpoint="http://h:1"),
        SourceConfig("ccxt", exchange="kraken", fallbacks=("yahoo",), replay="a_run"),
    ],
)
def test_a_configuration_survives_json(config: SourceConfig) -> None:
    assert SourceConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("value", "says"),
    [({"name": "sample", "dir": "x"}, "unknown key 'dir'"), ({"directory": "x"}, "has no name")],
)
def test_a_configuration_of_another_shape_is_refused(value: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=f"{says}.*Its keys: name, directory"):
        SourceConfig.from_json(value)
