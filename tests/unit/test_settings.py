from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from hypertape import settings
from hypertape.errors import BadSetting
from hypertape.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HYPERTAPE_") or name == "AIRFLOW_CONN_HYPERTAPE_DB":
            monkeypatch.delenv(name)


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = re.findall(r"^\| (HYPERTAPE_[A-Z_]+) \|", settings.__doc__ or "", re.MULTILINE)
    assert documented == [f"HYPERTAPE_{name.upper()}" for name in Settings.model_fields]


def test_defaults_need_no_environment() -> None:
    found = load_settings()
    assert found.state_dir == Path(".hypertape")
    assert (found.given_dsn, found.source, found.legacy_scale) == (None, None, False)
    assert found.landing == (Path.cwd() / ".hypertape/landing").as_uri()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HYPERTAPE_DATABASE_URL", "postgresql://x", "database_url", "postgresql://x"),
        ("HYPERTAPE_STATE_DIR", "/srv/tape", "state_dir", Path("/srv/tape")),
        ("HYPERTAPE_BATCH_SIZE", "7", "batch_size", 7),
        ("HYPERTAPE_LEGACY_SCALE", "true", "legacy_scale", True),
        ("HYPERTAPE_LEGACY_SCALE", "0", "legacy_scale", False),
        ("HYPERTAPE_LANDING_URL", "s3://bucket/tape", "landing", "s3://bucket/tape"),
        ("HYPERTAPE_EXTENSION_DIR", "", "extension_dir", None),
        ("HYPERTAPE_BATCH_SIZE", "", "batch_size", 50),
        ("UNRELATED_BATCH_SIZE", "7", "batch_size", 50),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("HYPERTAPE_BATCH_SIZE", "many", "HYPERTAPE_BATCH_SIZE='many' cannot be used: .*integer"),
        (
            "HYPERTAPE_BATCH_SIZE",
            "0",
            "HYPERTAPE_BATCH_SIZE='0' cannot be used: .*greater than or equal to 1",
        ),
        ("HYPERTAPE_LANDING_DAYS", "-1", "HYPERTAPE_LANDING_DAYS='-1' cannot be used"),
        ("HYPERTAPE_LEGACY_SCALE", "perhaps", "HYPERTAPE_LEGACY_SCALE='perhaps' cannot be used: .*boolean"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, says: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadSetting, match=rf"{says}.*Correct or unset it\."):
        load_settings()


def test_what_the_caller_gives_wins_and_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_BATCH_SIZE", "7")
    assert load_settings(batch_size=9).batch_size == 9
    assert load_settings(batch_size=None).batch_size == 7


@pytest.mark.parametrize(
    ("ours", "airflows", "wanted"),
    [
        ("postgresql://ours", "postgresql://airflows", "postgresql://ours"),
        (None, "postgresql://airflows", "postgresql://airflows"),
        ("", "postgresql://airflows", "postgresql://airflows"),
        (None, None, None),
    ],
)
def test_our_own_variable_wins_over_airflows_connection(
    monkeypatch: pytest.MonkeyPatch, ours: str | None, airflows: str | None, wanted: str | None
) -> None:
    for name, text in (("HYPERTAPE_DATABASE_URL", ours), ("AIRFLOW_CONN_HYPERTAPE_DB", airflows)):
        if text is not None:
            monkeypatch.setenv(name, text)
    assert load_settings().given_dsn == wanted


def test_settings_are_a_snapshot() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().batch_size = 1


def test_a_started_process_gets_a_copy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_SOURCE", "sample")
    copied = settings.inherited_environment()
    assert copied["HYPERTAPE_SOURCE"] == "sample"
    copied["HYPERTAPE_SOURCE"] = "changed"
    assert load_settings().source == "sample"
