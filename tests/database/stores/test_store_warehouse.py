"""The warehouse as a store: through the gate and the load contract in, by key out."""

from datetime import timedelta

import lab
import numpy as np
import pyarrow as pa
import pytest
from lab import CRYPTO, D1, H1, M1, NOW, VN, new_ticker, query, to_frame, value, walk

from hypertape.errors import BadInput, DatabaseUnreachable, SchemaMissing, SuspectScale
from hypertape.frame import Bars, reject_frame
from hypertape.model import Series, utc
from hypertape.settings import Settings
from hypertape.stores import Block, Selection, SeriesInfo
from hypertape.stores.addresses import open_store
from hypertape.stores.warehouse import WarehouseStore


@pytest.fixture
def store(common_warehouse):
    opened = WarehouseStore(common_warehouse, NOW, "run", "test:here")
    yield opened
    opened.close()


def blocks(ticker, bars, rows=100):
    table = to_frame({ticker: bars})
    return [Block(table.slice(at, rows)) for at in range(0, len(table), rows)]


def read_all(found):
    return pa.concat_tables([block.bars for block in found]).combine_chunks()


def test_what_is_written_reads_back_bit_for_bit(store):
    ticker, bars = new_ticker(), walk(450)
    written = store.write(CRYPTO, D1, blocks(ticker, bars))
    assert (written.inserted, written.updated, written.unchanged, written.refused) == (450, 0, 0, 0)
    found = list(store.read(Series("crypto", ticker, D1), rows=200))
    assert [len(block.bars) for block in found] == [200, 200, 50]
    assert read_all(found).equals(to_frame({ticker: bars}).combine_chunks())


def test_a_missing_adjusted_close_is_null(store):
    ticker, bars = new_ticker(), walk(5)
    bare = Bars(bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume, np.full(5, np.nan))
    store.write(CRYPTO, D1, blocks(ticker, bare))
    assert read_all(store.read(Series("crypto", ticker, D1)))["adjusted_close"].null_count == 5


@pytest.mark.parametrize("rows", [10, 100, 200])
def test_read_and_digest_from_a_start(store, rows):
    ticker, bars = new_ticker(), walk(200)
    store.write(CRYPTO, D1, blocks(ticker, bars))
    series, start = Series("crypto", ticker, D1), lab.times(bars, [150])[0]
    table = read_all(store.read(series, start=start, rows=rows))
    assert table.equals(to_frame({ticker: bars.take(slice(150, None))}).combine_chunks())
    partial = store.digest(series, start=start)
    assert (partial.rows, partial.first) == (50, start)
    store.write(CRYPTO, D1, blocks("ALONE" + ticker, bars.take(slice(150, None))))
    assert store.digest(Series("crypto", "ALONE" + ticker, D1)).sha256 == partial.sha256


def test_the_digest_is_the_command_lines(store, common):
    ticker = new_ticker()
    store.write(CRYPTO, D1, blocks(ticker, walk(20)))
    (expected,) = lab.digests(common, CRYPTO, D1, [ticker])
    assert store.digest(Series("crypto", ticker, D1)) == expected


def test_series_are_listed_with_their_span_in_order(connection, warehouse):
    store = WarehouseStore(warehouse, NOW, "run")
    daily, hourly = walk(10), walk(10, interval=H1)
    for market, interval, ticker, bars in (
        (VN, H1, "b", hourly),
        (VN, D1, "b", daily),
        (VN, D1, "B", daily),
        (CRYPTO, M1, "X", walk(3, interval=M1)),
    ):
        store.write(market, interval, blocks(ticker, bars))
    found = list(store.series(Selection()))
    assert [str(info.series) for info in found] == ["crypto/1m/X", "vn/1d/B", "vn/1d/b", "vn/1h/b"]
    first, last = lab.times(daily, [0, -1])
    assert found[1] == SeriesInfo(Series("vn", "B", D1), None, first, last)
    chosen = [
        (Selection(markets=("vn",)), 3),
        (Selection(intervals=(D1,)), 2),
        (Selection(tickers=("b",)), 2),
        (Selection(start=last), 2),
        (Selection(start=utc(2026)), 0),
    ]
    assert [len(list(store.series(selection))) for selection, _ in chosen] == [n for _, n in chosen]
    store.close()


def test_every_write_is_a_load_with_its_run_and_source(store, common):
    ticker, bars = new_ticker(), walk(30)
    rejects = reject_frame([(ticker, None, "bad_time", "someday", '{"line": 7}')])
    broken = lab.changed(bars, 3, high=lambda old: old / 2)
    (block,) = blocks(ticker, broken)
    written = store.write(CRYPTO, D1, [Block(block.bars, rejects)])
    assert (written.inserted, written.refused) == (29, 2)
    loads = query(
        common,
        "select run_id, source, status, fetched, inserted, quarantined from load where ticker = %s",
        ticker,
    )
    assert loads == [("run", "test:here", "loaded", 31, 29, 2)]
    rules = query(common, "select rule from quarantine where ticker = %s order by 1", ticker)
    assert rules == [("bad_time",), ("high_below_low",)]
    assert value(common, "select count(*) from symbols where ticker = %s", ticker) == 1
    assert value(
        common, "select count(*) from bars.crypto_data_1d where ticker = %s and ma20 is not null", ticker
    )


def test_writing_again_changes_nothing(store, common):
    ticker = new_ticker()
    store.write(CRYPTO, D1, blocks(ticker, walk(300)))
    before = lab.row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'")
    again = store.write(CRYPTO, D1, blocks(ticker, walk(300)))
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 300)
    assert lab.row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'") == before


def test_a_restatement_keeps_the_former_value(store, common):
    ticker, bars = new_ticker(), walk(50)
    store.write(CRYPTO, D1, blocks(ticker, bars))
    changed = lab.changed(bars, 20, volume=lambda old: old + 1)
    assert store.write(CRYPTO, D1, blocks(ticker, changed)).updated == 1
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 1


def test_a_wrong_scale_is_refused_and_named(store):
    ticker, bars = new_ticker(), walk(50)
    store.write(CRYPTO, D1, blocks(ticker, bars))
    with pytest.raises(SuspectScale, match="1000"):
        store.write(CRYPTO, D1, blocks(ticker, lab.scaled(bars, 1000.0)))
    assert store.digest(Series("crypto", ticker, D1)).rows == 50


def test_a_failure_keeps_the_blocks_before_it(store):
    ticker = new_ticker()

    def failing():
        yield from blocks(ticker, walk(200))[:1]
        raise BadInput("the source broke")

    with pytest.raises(BadInput, match="broke"):
        store.write(CRYPTO, D1, failing())
    assert store.digest(Series("crypto", ticker, D1)).rows == 100


def test_rollups_follow_when_asked(connection, warehouse):
    store = WarehouseStore(warehouse, NOW, "run")
    store.write(CRYPTO, D1, blocks("T", walk(60)))
    assert value(connection, "select count(*) from rollup_pending") > 0
    store.refresh(CRYPTO, D1)
    assert value(connection, "select count(*) from rollup_pending") == 0
    assert value(connection, "select count(*) from crypto_data_1w where ticker = 'T'") >= 8
    store.close()


def test_the_address_opens_it_and_a_missing_schema_is_said(empty_database):
    store = open_store("warehouse", settings=Settings(), dsn=empty_database, now=NOW, run_id="run")
    assert store.address == "warehouse"
    with pytest.raises(SchemaMissing):
        list(store.series(Selection()))
    store.close()


def test_no_server():
    store = WarehouseStore("postgresql://nobody@127.0.0.1:1/none", NOW, "run")
    with pytest.raises(DatabaseUnreachable):
        list(store.series(Selection()))
    store.close()


def test_each_ticker_of_a_load_has_the_window_of_its_own_rows(store):
    """Series written together would else claim of each other that their source was asked, and answered nothing."""
    old, new, refused, timeless = (new_ticker() for _ in range(4))
    early, late = walk(10, start=utc(2020, 1, 1)), walk(10, start=utc(2024, 1, 1))
    rejects = reject_frame(
        [
            (new, utc(2023, 12, 20), "not_finite", "inf", "{}"),
            (new, utc(2099), "future", "2099", "{}"),
            (refused, utc(2022, 3, 1), "not_finite", "inf", "{}"),
            (refused, utc(2022, 3, 9), "not_finite", "inf", "{}"),
            (timeless, None, "bad_time", "?", "{}"),
        ]
    )
    store.write_together(CRYPTO, D1, [Block(to_frame({old: early})), Block(to_frame({new: late}), rejects)])
    rows = query(
        store.connection, "select ticker, window_start, window_end from load where ticker = any(%s)",
        [old, new, refused, timeless],
    )  # fmt: skip
    assert {ticker: window for ticker, *window in rows} == {
        old: [utc(2020, 1, 1), utc(2020, 1, 11)],
        new: [utc(2023, 12, 20), utc(2024, 1, 11)],
        refused: [utc(2022, 3, 1), utc(2022, 3, 10)],
        timeless: [NOW, NOW + timedelta(microseconds=1)],
    }
