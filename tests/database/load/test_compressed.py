"""A restatement of compressed history leaves it as small as it was; on plain PostgreSQL there is nothing to do."""

from __future__ import annotations

import pytest
from lab import (
    CRYPTO,
    D1,
    changed,
    fingerprint,
    fresh_fingerprint,
    new_ticker,
    put,
    query,
    request,
    scaled,
    to_frame,
    value,
    walk,
)

from hypertape.model import utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading import write
from hypertape.warehouse.loading.load import load_bars
from hypertape.warehouse.loading.write import chunks_in_the_way, opened
from hypertape.warehouse.schema import tier

RELATION = "bars.crypto_data_1d"
TICKERS = 60


@pytest.fixture
def compressed_years(connection):
    """Two chunks (of 360 days) of some series, compressed where the server can. Returns the series."""
    series = {new_ticker("Z"): walk(720, seed=seed, start=utc(2020, 4, 8)) for seed in range(TICKERS)}
    put(connection, series)
    if tier(connection) == "timescaledb":
        connection.execute("select compress_chunk(show_chunks(%s))", (RELATION,))
    return series


def size(connection):
    if tier(connection) == "plain":
        return value(connection, "select pg_total_relation_size(%s)", RELATION)
    return value(connection, "select hypertable_size(%s)", RELATION)


def still_compressed(connection):
    rows = query(
        connection,
        "select is_compressed, count(*) from timescaledb_information.chunks "
        "where hypertable_name = 'crypto_data_1d' group by 1",
    )
    return dict(rows)


def test_a_restated_year_stays_as_small_as_it_was(connection, compressed_years):
    before = size(connection)
    year = {
        ticker: scaled(bars, 0.5).take(slice(0, 360)) for ticker, bars in list(compressed_years.items())[:30]
    }
    results = put(connection, year, run_id="restate")
    assert {result.restated for result in results.values()} == {360}
    for ticker, bars in list(compressed_years.items())[28:32]:
        expected = changed(bars, slice(0, 360), **_halved()) if ticker in year else bars
        assert fingerprint(connection, ticker) == fresh_fingerprint(connection, expected)
    if tier(connection) == "timescaledb":
        connection.execute("delete from bars.crypto_data_1d where ticker like 'FRESH%%'")
        connection.execute("select compress_chunk(show_chunks(%s), if_not_compressed => true)", (RELATION,))
        assert size(connection) < 1.2 * before


def _halved():
    return dict.fromkeys(("open", "high", "low", "close", "adjusted_close"), lambda price: price * 0.5)


def test_what_was_closed_is_closed_again(connection, compressed_years):
    if tier(connection) == "plain":
        assert (
            query(
                connection, "select * from hypertape.compressed_chunks(%s, '-infinity', 'infinity')", RELATION
            )
            == []
        )
        return
    before = size(connection)
    assert still_compressed(connection) == {True: 2}
    put(connection, {ticker: scaled(bars, 0.5) for ticker, bars in compressed_years.items()})
    assert still_compressed(connection) == {True: 2}
    assert size(connection) < 1.2 * before


def test_in_place_it_would_grow(connection, compressed_years, monkeypatch):
    """The proof that the test of the size can fail."""
    if tier(connection) == "plain":
        assert chunks_of(connection, compressed_years) == []
        return
    before = size(connection)
    monkeypatch.setattr(write, "FEWEST", 10**9)
    put(connection, {ticker: scaled(bars, 0.5) for ticker, bars in compressed_years.items()})
    assert size(connection) > 2 * before


def chunks_of(connection, series):
    """What a load of these series would open."""
    from hypertape.warehouse.loading.load import _compare, _open
    from hypertape.warehouse.loading.stored import series_states

    asked = request()
    batch = _open(to_frame(series), asked)
    states = series_states(connection, CRYPTO, D1, [entry.ticker for entry in batch])
    _compare(connection, asked, batch, states)
    return chunks_in_the_way(connection, asked, batch)


@pytest.mark.parametrize(
    ("tickers", "bars", "chunks"),
    [
        (60, slice(0, 720), 2),
        (60, slice(0, 100), 1),
        (7, slice(0, 720), 2),
        (1, slice(0, 720), 0),
        (60, slice(719, 720), 0),
    ],
    ids=["all of both years", "what one year's averages see", "a tenth", "one ticker", "the last bar"],
)
def test_only_chunks_of_which_much_changes_are_opened(connection, compressed_years, tickers, bars, chunks):
    found = {
        ticker: scaled(series, 0.5).take(bars) for ticker, series in list(compressed_years.items())[:tickers]
    }
    expected = chunks if tier(connection) == "timescaledb" else 0
    assert len(chunks_of(connection, found)) == expected


def test_a_load_that_fails_closes_what_it_opened(connection, compressed_years):
    chunks = chunks_of(connection, {t: scaled(bars, 0.5) for t, bars in compressed_years.items()})

    def fail():
        with opened(connection, chunks):
            assert not chunks or set(still_compressed(connection)) == {False}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    if chunks:
        assert still_compressed(connection) == {True: 2}


def test_a_chunk_left_open_by_a_kill_is_right_and_closed_by_the_policy(connection, compressed_years):
    if tier(connection) == "plain":
        assert value(connection, "select hypertape.close_chunk('nowhere.at_all')") is None
        return
    chunks = chunks_of(connection, {t: scaled(bars, 0.5) for t, bars in compressed_years.items()})
    for chunk in chunks:  # what the killed load had done so far
        connection.execute("select hypertape.open_chunk(%s)", (chunk,))
    put(connection, {ticker: scaled(bars, 0.5) for ticker, bars in compressed_years.items()})
    assert still_compressed(connection) == {False: 2}
    job = value(
        connection,
        "select job_id from timescaledb_information.jobs where proc_name = 'policy_compression' "
        "and hypertable_name = 'crypto_data_1d'",
    )
    connection.execute(f"call run_job({job})")
    assert still_compressed(connection) == {True: 2}


def test_within_a_transaction_of_the_caller_s_nothing_is_opened(warehouse, connection, compressed_years):
    with connect(warehouse) as other, other.transaction():
        changes = {ticker: scaled(bars, 0.5) for ticker, bars in compressed_years.items()}
        load_bars(other, to_frame(changes), request())
    ticker, bars = next(iter(compressed_years.items()))
    assert fingerprint(connection, ticker) == fresh_fingerprint(connection, scaled(bars, 0.5))
