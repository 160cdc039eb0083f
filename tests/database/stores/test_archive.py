"""What retention drops is in the archive first, proved; what is not, stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hypertape.errors import BadInput, CheckFailed
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Series, Window, utc
from hypertape.settings import Settings
from hypertape.steps.archive import archive, archive_all
from hypertape.stores.parquet import ParquetStore
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.read import digests
from hypertape.warehouse.schema import apply, tier

D1 = Interval.D1
US = replace(get_market("us"), retention={D1: timedelta(days=100)})
START, NOW = utc(2024, 1, 1), utc(2024, 10, 1)


@pytest.fixture
def filled(warehouse: str) -> str:
    """Two tickers of 260 days; one of them has adjusted closes."""
    with connect(warehouse) as connection:
        for ticker, adjusted in (("AA", True), ("BB", False)):
            close = [100.0 + k % 7 for k in range(260)]
            values = {
                "open": close,
                "high": close,
                "low": close,
                "close": close,
                "volume": [float(k) for k in range(260)],
            }
            if adjusted:
                values["adjusted_close"] = [c / 2 for c in close]
            time = micros(START) + 86_400_000_000 * np.arange(260)
            request = LoadRequest(US, D1, "lab", "lab", Window(utc(2020), utc(2029)), NOW)
            load_bars(connection, bar_frame(ticker, time, values), request)
        connection.commit()
    return warehouse


def test_old_bars_go_to_the_archive_and_come_back(filled: str, tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / "archive"))
    with connect(filled) as connection:
        before = list(digests(connection, US, D1))
    done = archive(filled, US, D1, store.url, now=NOW)
    assert done is not None
    assert (done.series, done.bars, done.before) == (2, 2 * 174, utc(2024, 6, 23))
    with connect(filled) as connection:
        spans = connection.execute("select min(time), count(*) from us_data_1d group by ticker").fetchall()
        assert spans == [(done.before, 86), (done.before, 86)]
        assert connection.execute("select distinct first_time from series").fetchall() == [(done.before,)]
    again = archive(filled, US, D1, store.url, now=NOW)
    assert again is not None
    assert again.bars == 0, "what is archived is gone"
    with connect(filled) as connection:
        for ticker in ("AA", "BB"):
            for block in store.read(Series("us", ticker, D1)):
                request = LoadRequest(US, D1, "back", "lab", Window(utc(2020), utc(2029)), NOW)
                load_bars(connection, block.bars, request)
        assert list(digests(connection, US, D1)) == before


def test_what_the_archive_does_not_hold_is_not_dropped(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ParquetStore(str(tmp_path / "archive"))
    write = ParquetStore.write

    def forgetful(self, market, interval, blocks):
        return write(self, market, interval, (replace(block, bars=block.bars.slice(1)) for block in blocks))

    with monkeypatch.context() as patched:
        patched.setattr(ParquetStore, "write", forgetful)
        with pytest.raises(CheckFailed, match="us/1d/AA"):
            archive(filled, US, D1, store.url, now=NOW)
    with connect(filled) as connection:
        assert connection.execute("select count(*) from us_data_1d").fetchone() == (520,)
    (
        tmp_path / "archive" / "market=us" / "interval=1d" / "ticker=AA" / "year=2024" / "bars.parquet"
    ).write_bytes(b"x")
    with pytest.raises(BadInput, match="not what was written"):
        archive(filled, US, D1, store.url, now=NOW)
    with connect(filled) as connection:
        assert connection.execute("select count(*) from us_data_1d").fetchone() == (520,)


def test_markets_that_keep_all_are_left_alone(filled: str, tmp_path: Path) -> None:
    assert archive(filled, get_market("us"), D1, str(tmp_path), now=NOW) is None
    assert archive_all(filled, Settings(), now=NOW) == []
    assert archive_all(filled, Settings(archive_url=str(tmp_path)), now=NOW) == []


def test_with_an_archive_the_server_drops_nothing_by_itself(warehouse: str) -> None:
    kept = {
        "timescaledb": "select count(*) from timescaledb_information.jobs where proc_name = 'policy_retention'",
        "plain": "select count(*) from shim.policy where kind = 'retention'",
    }
    with connect(warehouse, autocommit=True) as connection:
        counted = kept[tier(connection)].encode()
        usual = connection.execute(counted).fetchone()
        assert usual is not None
        apply(connection, [US])
        assert connection.execute(counted).fetchone() == (usual[0] + 1,)
        apply(connection, [US], archived=True)
        assert connection.execute(counted).fetchone() == usual
