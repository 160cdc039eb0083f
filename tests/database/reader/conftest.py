"""A warehouse with the synthetic sample of every market, and tapes over its address and over its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from tape_lab import NOW, open_tape

from hypertape.markets import get_market
from hypertape.model import STORED_INTERVALS, Interval
from hypertape.reader import Tape
from hypertape.settings import load_settings
from hypertape.sources.sample import CORRECTED_AT, SPANS
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.pins import create_pin

LOADED = [("vn", interval) for interval in reversed(STORED_INTERVALS)] + [
    ("crypto", Interval.D1),
    ("us", Interval.D1),
]


@pytest.fixture(scope="session")
def sampled(
    new_warehouse: Callable[[], AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Days as known before their corrections, a pin of them, then everything: all of vn, the days of the others."""
    settings, source = load_settings(state_dir=tmp_path_factory.mktemp("state")), {"name": "sample"}
    before = CORRECTED_AT - timedelta(days=1)
    with new_warehouse() as dsn:
        sync(dsn, "vn", "1d", now=before, end=before, source=source, settings=settings)
        with connect(dsn) as connection:
            create_pin(connection, "early", get_market("vn"), [Interval.D1])
        for market, interval in LOADED:
            end = SPANS[interval].end
            sync(dsn, market, interval.value, now=NOW, end=end, source=source, settings=settings)
        yield dsn


@pytest.fixture(scope="session")
def tapes(sampled: str) -> Iterator[dict[str, Tape]]:
    """The two tapes, by `dsn` and `http`."""
    with open_tape(sampled, "dsn") as one, open_tape(sampled, "http") as other:
        yield {"dsn": one, "http": other}


@pytest.fixture(params=["dsn", "http"])
def tape(tapes: dict[str, Tape], request: pytest.FixtureRequest) -> Tape:
    """Each of them."""
    return tapes[request.param]
