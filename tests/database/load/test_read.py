"""Reading back: digests against bytes made by hand, windows and limits against plain SQL."""

from __future__ import annotations

import hashlib
import math
import struct

import numpy as np
import pytest
from lab import CRYPTO, D1, M1, changed, digest, fingerprint, new_ticker, put, query, times, walk

from hypertape.errors import SchemaMissing
from hypertape.frame import instant
from hypertape.model import INDICATOR_COLUMNS, PUBLIC_COLUMNS, STORED_INDICATOR_COLUMNS, Interval, Window, utc
from hypertape.warehouse import read
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import SeriesDigest, digests, read_bars, stored_tickers
from hypertape.warehouse.rollups import refresh_pending


@pytest.fixture
def ticker():
    return new_ticker()


def by_hand(connection, ticker, columns):
    """The sha256 over a series' canonical bars, packed bar by bar."""
    packed = hashlib.sha256()
    names = ", ".join(columns)
    for time, *values in query(
        connection,
        f"select (extract(epoch from time) * 1000000)::bigint, {names} from bars.crypto_data_1d "
        "where ticker = %s order by time",
        ticker,
    ):
        numbers = (math.nan if value is None else value for value in values)
        packed.update(struct.pack(f"<q{len(columns)}d", time, *numbers))
    return packed.hexdigest()


PRICES = ("open", "high", "low", "close", "volume")


@pytest.mark.parametrize("start", [utc(2020), utc(1965, 12, 31)], ids=["after 1970", "before 1970"])
def test_a_digest_is_the_sha256_of_48_bytes_a_bar(common, ticker, start):
    bars = walk(230, start=start)
    put(common, {ticker: bars})
    (found,) = digests(common, CRYPTO, D1, [ticker])
    assert found == SeriesDigest(ticker, 230, *times(bars, [0, -1]), by_hand(common, ticker, PRICES))
    everything = (*PRICES, "adjusted_close", *STORED_INDICATOR_COLUMNS)
    assert digest(common, ticker).sha256 == by_hand(common, ticker, everything)


@pytest.mark.parametrize("block", [1, 7, 230, 1000])
def test_a_digest_does_not_depend_on_how_many_bars_are_read_at_a_time(common, ticker, monkeypatch, block):
    put(common, {ticker: walk(230)})
    whole = digest(common, ticker)
    monkeypatch.setattr(read, "_DIGEST_ROWS", block)
    assert digest(common, ticker) == whole


@pytest.mark.parametrize(
    ("column", "seen_without_indicators"),
    [("open", True), ("close", True), ("volume", True), ("adjusted_close", False)],
)
def test_one_other_bit_gives_another_digest(common, ticker, column, seen_without_indicators):
    other = new_ticker()
    bars = walk(20)
    at = np.flatnonzero(bars.volume)[5]
    put(common, {ticker: bars, other: changed(bars, at, **{column: lambda old: np.nextafter(old, 0)})})
    plain = [found.sha256 for found in digests(common, CRYPTO, D1, [ticker, other])]
    assert (plain[0] != plain[1]) == seen_without_indicators
    assert fingerprint(common, ticker) != fingerprint(common, other)


def test_digests_of_everything_are_sorted_by_ticker(connection):
    put(connection, {name: walk(3 + at) for at, name in enumerate(("ZZ", "AA", "a1", "MM"))})
    found = list(digests(connection, CRYPTO, D1))
    assert [(entry.ticker, entry.rows) for entry in found] == [("AA", 4), ("MM", 6), ("ZZ", 3), ("a1", 5)]
    assert stored_tickers(connection, CRYPTO, D1) == ["AA", "MM", "ZZ", "a1"]
    assert list(digests(connection, CRYPTO, M1)) == []


def test_a_series_without_bars_has_an_empty_digest(common):
    (found,) = digests(common, CRYPTO, D1, ["NOBODY"])
    assert found == SeriesDigest("NOBODY", 0, None, None, hashlib.sha256(b"").hexdigest())


def test_reading_carries_the_public_columns(common, ticker):
    bars = changed(walk(230), 7, adjusted_close=np.nan)
    put(common, {ticker: bars})
    table = read_bars(common, CRYPTO, D1, [ticker])
    assert tuple(table.column_names) == PUBLIC_COLUMNS
    assert table["time"].to_pylist() == [instant(int(time)) for time in bars.time]
    assert table["close"].to_pylist() == bars.close.tolist()
    assert table["adjusted_close"].null_count == 1
    assert {name: table[name].null_count for name in ("ma10", "ma200_score")} == {
        "ma10": 9,
        "ma200_score": 199,
    }


@pytest.mark.parametrize(
    ("window", "positions"),
    [
        pytest.param(None, range(50), id="everything"),
        pytest.param(Window(utc(2020, 1, 11), utc(2020, 1, 21)), range(10, 20), id="half-open window"),
        pytest.param(Window(utc(2021), utc(2022)), range(0), id="a window without bars"),
    ],
)
def test_windows(common, ticker, window, positions):
    bars, other = walk(50), new_ticker()
    put(common, {ticker: bars, other: bars})
    table = read_bars(common, CRYPTO, D1, [other, "NOBODY", ticker], window=window)
    expected = [(name, time) for name in sorted((ticker, other)) for time in times(bars, positions)]
    assert list(zip(table["ticker"].to_pylist(), table["time"].to_pylist(), strict=True)) == expected
    assert table.schema.names[-13:] == list(INDICATOR_COLUMNS)


def test_rollups_read_prices_and_volume(common, common_warehouse, ticker):
    put(common, {ticker: walk(20, start=utc(2020, 1, 6))})
    refresh_pending(common_warehouse, CRYPTO, D1)
    table = read_bars(common, CRYPTO, Interval.W1, [ticker])
    assert table.column_names == ["ticker", "time", "open", "high", "low", "close", "volume"]
    assert table["time"].to_pylist() == [utc(2020, 1, 6), utc(2020, 1, 13), utc(2020, 1, 20)]


def test_reading_before_the_schema_exists(empty_database):
    with connect(empty_database) as connection, pytest.raises(SchemaMissing, match="hypertape schema apply"):
        list(digests(connection, CRYPTO, D1))
    with connect(empty_database) as connection, pytest.raises(SchemaMissing):
        read_bars(connection, CRYPTO, D1, ["A"])
