"""The real Vietnamese and crypto files through the whole chain, against the files' own printed answers."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from lab import CRYPTO, D1, H1, M1, VN, query, value

from hypertape.indicators import enrich
from hypertape.model import AVERAGE_COLUMNS, CHANGE_COLUMNS, PRICE_COLUMNS, SCORE_COLUMNS, utc
from hypertape.settings import Settings
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests, read_bars
from hypertape.warehouse.rollups import derived

NOW = utc(2026, 11, 1)
DECIMALS = {
    **dict.fromkeys((*PRICE_COLUMNS, *AVERAGE_COLUMNS), 2),
    **dict.fromkeys((*SCORE_COLUMNS, *CHANGE_COLUMNS), 4),
    "volume": 0,
    "total_money_changed": 0,
}
"""The printed decimals of the files' columns."""

RELATIONS = ((VN, D1), (VN, H1), (VN, M1), (CRYPTO, D1))
every_relation = pytest.mark.parametrize(
    ("market", "interval"), RELATIONS, ids=[market.relation(interval) for market, interval in RELATIONS]
)


@pytest.fixture(scope="module")
def loaded(new_warehouse, shared_data, tmp_path_factory):
    """A warehouse with every real file: prices of the Vietnamese ones in thousands, except the index."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), batch_size=5)
    source = {"name": "csv_tree", "directory": str(shared_data / "csv"), "legacy_scale": True}

    def load(dsn, market, interval):
        return sync(
            dsn,
            market.code,
            interval.value,
            now=NOW,
            start=utc(2010),
            source=source,
            settings=settings,
            check=False,
        )

    with new_warehouse() as dsn:
        first = {(market.code, interval): load(dsn, market, interval) for market, interval in RELATIONS}
        yield dsn, first, load


@pytest.fixture
def connection(loaded):
    with connect(loaded[0], autocommit=True) as connection:
        yield connection


def printed(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def assert_printed(table, rows, columns, comparable):
    """Compare columns with printed ones to their rounding; `comparable` says per column which rows count."""
    compared = 0
    for name in columns:
        cells = [row[name] for row in rows]
        answers = np.array([float(cell) if cell else np.nan for cell in cells])
        found = table[name].to_numpy(zero_copy_only=False).astype(float)
        rows_that_count = comparable(name)
        assert np.array_equal(np.isnan(found[rows_that_count]), np.isnan(answers[rows_that_count])), name
        # half of the last printed digit, and the float steps of both numbers
        allowed = 0.5 * 10.0 ** -DECIMALS[name] + 2 * np.spacing(np.abs(answers)) + 1e-9
        wrong = np.flatnonzero((np.abs(found - answers) > allowed) & rows_that_count)
        assert not len(wrong), f"{name}: {[(rows[k]['time'], cells[k], found[k]) for k in wrong[:5]]}"
        compared += int(rows_that_count.sum())
    return compared


def test_vic_equals_its_golden_file_in_every_row_and_column(connection, shared_data):
    table = read_bars(connection, VN, D1, ["VIC"])
    rows = printed(shared_data / "golden" / "VIC" / "1D.csv")[: len(table)]
    assert len(table) == 2658
    assert [f"{time:%Y-%m-%d}" for time in table["time"].to_pylist()] == [row["time"] for row in rows]
    everything = np.ones(len(rows), bool)
    assert assert_printed(table, rows, list(rows[0])[2:], lambda _: everything) == 2658 * 18


def test_bitcoin_equals_its_file_in_every_row_and_column(connection, shared_data):
    """32 of its days close outside their range; they are stored as they came, and every average sees them."""
    rows = printed(shared_data / "csv" / "crypto_data" / "BTC" / "1D.csv")
    table = read_bars(connection, CRYPTO, D1, ["BTC"])
    assert [f"{time:%Y-%m-%d}" for time in table["time"].to_pylist()] == [row["time"] for row in rows]
    everything = np.ones(len(rows), bool)
    assert assert_printed(table, rows, list(rows[0])[2:], lambda _: everything) == 5598 * 18


def test_the_index_equals_a_recomputation_over_all_its_rows(connection, shared_data):
    """Eight of its days close outside their range."""
    rows = printed(shared_data / "csv" / "market_data" / "VNINDEX" / "1D.csv")
    table = read_bars(connection, VN, D1, ["VNINDEX"])
    assert [f"{time:%Y-%m-%d}" for time in table["time"].to_pylist()] == [row["time"] for row in rows]
    close, volume = (np.array([float(row[name]) for row in rows]) for name in ("close", "volume"))
    assert np.array_equal(table["close"].to_numpy(), close)
    for name, expected in enrich(close, volume).items():
        if name in table.column_names:
            found = table[name].to_numpy(zero_copy_only=False).astype(float)
            assert np.array_equal(found, expected, equal_nan=True), name
    for length in (10, 200):  # and one that shares no code with the product
        means = [math.fsum(close[at - length : at]) / length for at in range(length, len(close) + 1)]
        found = table[f"ma{length}"].to_numpy(zero_copy_only=False).astype(float)[length - 1 :]
        assert np.allclose(found, means, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("market", "ticker", "days"), [("crypto", "BTC", 32), ("vn", "VNINDEX", 8), ("vn", "VIC", 0)]
)
def test_days_outside_their_range_are_flagged_and_none_is_refused(
    connection, shared_data, market, ticker, days
):
    table = {"vn": "market_data", "crypto": "crypto_data"}[market]
    broken = {
        row["time"]
        for row in printed(shared_data / "csv" / table / ticker / "1D.csv")
        if not float(row["low"]) <= min(float(row["open"]), float(row["close"]))
        or not max(float(row["open"]), float(row["close"])) <= float(row["high"])
    }
    assert len(broken) == days
    flags = query(
        connection,
        "select time, rule from bar_flag where market = %s and interval = '1d' and ticker = %s",
        market,
        ticker,
    )
    assert {(f"{time:%Y-%m-%d}", rule) for time, rule in flags} == {(day, "ohlc_order") for day in broken}
    assert (
        value(connection, "select count(*) from quarantine where interval = '1d' and ticker = %s", ticker)
        == 0
    )


def test_the_index_is_in_points_and_stocks_are_in_dong(connection, shared_data):
    for ticker, factor in (("VNINDEX", 1), ("VCB", 1000)):
        first = printed(shared_data / "csv" / "market_data" / ticker / "1D.csv")[0]
        close = value(
            connection, "select close from market_data_1d where ticker = %s order by time limit 1", ticker
        )
        assert close == pytest.approx(float(first["close"]) * factor, rel=1e-15)


@every_relation
def test_every_row_of_the_files_is_a_bar_or_in_quarantine(connection, loaded, shared_data, market, interval):
    result = loaded[1][market.code, interval]
    names = {D1: "1D.csv", H1: "1h.csv", M1: "1m.csv"}
    files = sorted((shared_data / "csv" / market.table).glob(f"*/{names[interval]}"))
    lines = sum(len(path.read_text().splitlines()) - 1 for path in files)
    duplicates = value(connection, "select sum(duplicates) from load where run_id = %s", result.run_id)
    assert result.failed == {}
    assert result.counts["inserted"] + result.counts["quarantined"] + duplicates == lines
    stored = sum(found.rows for found in digests(connection, market, interval))
    assert stored == result.counts["inserted"]
    assert len(list(digests(connection, market, interval))) == len(files)


@every_relation
def test_the_same_files_again_change_nothing(connection, loaded, market, interval):
    dsn, _, load = loaded
    before = list(digests(connection, market, interval, indicators=True))
    again = load(dsn, market, interval)
    assert again.counts["unchanged"] == sum(found.rows for found in before)
    assert [again.counts[name] for name in ("inserted", "updated", "recomputed")] == [0, 0, 0]
    assert again.rollups.ranges == ()
    assert list(digests(connection, market, interval, indicators=True)) == before


@every_relation
def test_every_bucket_of_the_rollups_was_checked_and_equal(loaded, market, interval):
    rollups = loaded[1][market.code, interval].rollups
    assert rollups.levels == [level.value for level in derived(interval)]
    assert rollups.differing == 0
    assert (rollups.buckets > 1_000) == bool(derived(interval))
