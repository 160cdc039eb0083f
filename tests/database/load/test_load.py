"""The load contract, one clause a test: what is written, what is kept, what is counted."""

from __future__ import annotations

import threading
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from lab import (
    CRYPTO,
    D1,
    H1,
    LONG_AGO,
    M1,
    NOW,
    START,
    VN,
    changed,
    compress_long_ago,
    digest,
    fingerprint,
    fresh_fingerprint,
    grid,
    new_ticker,
    put,
    query,
    request,
    row_versions,
    scaled,
    times,
    to_frame,
    tuples_written,
    value,
    walk,
)

from hypertape.errors import RateLimited, SuspectScale
from hypertape.frame import Bars, empty_frame, instant, reject_frame
from hypertape.model import utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading import write
from hypertape.warehouse.loading.load import load_bars, record_failures

DAY = 86_400_000_000


@pytest.fixture
def ticker():
    return new_ticker()


def pending(connection, load_id):
    return query(
        connection, "select first_changed, last_changed from rollup_pending where load_id = %s", load_id
    )


def load_row(connection, load_id, *columns):
    (row,) = query(connection, f"select {', '.join(columns)} from load where load_id = %s", load_id)
    return row


def load_ids(connection, ticker, relation="bars.crypto_data_1d"):
    """The load each bar points at, in time order."""
    return np.array(
        [
            row[0]
            for row in query(
                connection, f"select load_id from {relation} where ticker = %s order by time", ticker
            )
        ]
    )


def test_a_first_load_inserts_everything_and_says_so(common, ticker):
    bars = walk(300)
    result = put(
        common, {ticker: bars}, fetched={ticker: 305}, duplicates={ticker: 2}, expected={ticker: (310, 10)}
    )[ticker]
    assert (result.inserted, result.updated, result.recomputed, result.unchanged) == (300, 0, 0, 0)
    assert [result.first_changed, result.last_changed] == times(bars, [0, -1])
    assert load_row(
        common,
        result.load_id,
        "run_id",
        "market",
        "interval",
        "ticker",
        "attempt",
        "source",
        "status",
        "error",
    ) == ("run", "crypto", "1d", ticker, 1, "csv_tree", "loaded", None)
    assert load_row(common, result.load_id, "fetched", "inserted", "duplicates", "expected", "missing") == (
        305, 300, 2, 310, 10,
    )  # fmt: skip
    assert load_row(common, result.load_id, "first_changed", "last_changed") == tuple(times(bars, [0, -1]))
    assert pending(common, result.load_id) == [tuple(times(bars, [0, -1]))]
    assert set(load_ids(common, ticker)) == {result.load_id}


@pytest.mark.parametrize("interval", [D1, H1, M1], ids=str)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain rows", "compressed chunks"])
def test_the_same_load_twice_writes_no_tuple(common, interval, compressed):
    relation = f"bars.crypto_data_{interval.value}"
    names = [new_ticker(stem) for stem in "ABC"]
    start = LONG_AGO if compressed else START
    series = {name: walk(260, seed=seed, interval=interval, start=start) for seed, name in enumerate(names)}
    rejects = reject_frame([(names[0], utc(2021), "ohlc_order", "low=3, close=2", '{"close": 2}')])
    put(common, series, interval=interval, rejects=rejects)
    if compressed:
        compress_long_ago(common, relation)
    before = [digest(common, name, interval=interval) for name in series]
    versions = row_versions(common, relation)
    kept = {
        name: row_versions(common, name)
        for name in ("series", "quarantine", "bar_revision", "rollup_pending")
    }
    with tuples_written(common) as written:
        results = put(common, series, interval=interval, rejects=rejects)
    assert set(written) == {"public.load"}, "only the ledger grows"
    assert {(r.inserted, r.updated, r.recomputed, r.unchanged) for r in results.values()} == {(0, 0, 0, 260)}
    assert all(pending(common, r.load_id) == [] for r in results.values())
    assert [digest(common, name, interval=interval) for name in series] == before
    assert row_versions(common, relation) == versions
    assert {name: row_versions(common, name) for name in kept} == kept


def test_the_proof_of_no_tuples_can_fail(common, ticker):
    put(common, {ticker: walk(10)})
    with tuples_written(common) as written:
        put(common, {ticker: changed(walk(10), 4, volume=1.0)})
    assert any("crypto_data_1d" in name or "_hyper_" in name for name in written)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain rows", "compressed chunks"])
def test_a_restated_bar_keeps_its_former_value_and_moves_the_indicators_that_see_it(
    common, ticker, compressed
):
    bars, at = walk(500, start=LONG_AGO if compressed else START), 100
    first = put(common, {ticker: bars})[ticker]
    if compressed:
        compress_long_ago(common, "bars.crypto_data_1d")
    restated = changed(bars, at, close=lambda close: close * 1.001)
    second = put(common, {ticker: restated.take(slice(at, at + 1))}, run_id="restate")[ticker]

    assert (second.inserted, second.updated, second.recomputed, second.unchanged) == (0, 1, 199, 0)
    assert (second.first_changed, second.last_changed) == (*times(bars, [at]), *times(bars, [at]))
    assert pending(common, second.load_id) == [(*times(bars, [at]), *times(bars, [at]))]
    assert fingerprint(common, ticker) == fresh_fingerprint(common, restated)

    ids = load_ids(common, ticker)
    assert ids[at] == second.load_id
    assert set(np.delete(ids, at)) == {first.load_id}, "a recomputed bar keeps the load of its prices"

    former = query(
        common,
        "select time, open, high, low, close, volume, adjusted_close, load_id, replaced_by, valid_from, valid_to "
        "from bar_revision where market = 'crypto' and interval = '1d' and ticker = %s",
        ticker,
    )
    loaded = [load_row(common, load_id, "loaded_at")[0] for load_id in (first.load_id, second.load_id)]
    columns = ("open", "high", "low", "close", "volume", "adjusted_close")
    assert former == [
        (
            *times(bars, [at]),
            *(getattr(bars, name)[at] for name in columns),
            first.load_id,
            second.load_id,
            *loaded,
        )
    ]


def test_exactly_the_bars_that_see_a_change_are_written(common, ticker):
    bars, at = walk(500), 100
    put(common, {ticker: bars})
    versions = "select time, ctid::text, xmin::text from bars.crypto_data_1d where ticker = %s and time >= %s"
    before = set(query(common, versions, ticker, START))
    put(common, {ticker: changed(bars, at, close=lambda close: close * 1.001)})
    written = {row[0] for row in set(query(common, versions, ticker, START)) - before}
    assert written == set(times(bars, range(at, at + 200)))


def test_bars_older_than_the_series_shift_the_indicators_of_its_first_bars(common, ticker):
    bars = walk(600)
    put(common, {ticker: bars.take(slice(250, 600))})
    result = put(common, {ticker: bars.take(slice(0, 250))})[ticker]
    assert (result.inserted, result.updated, result.recomputed) == (250, 0, 199)
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)
    assert query(common, "select first_time, last_time from series where ticker = %s", ticker) == [
        tuple(times(bars, [0, -1]))
    ]


@pytest.mark.parametrize(
    ("gap", "recomputed"),
    [
        pytest.param(slice(120, 121), 199, id="one bar"),
        pytest.param(slice(100, 160), 199, id="sixty bars"),
        pytest.param(slice(390, 391), 9, id="near the end"),
        pytest.param(slice(0, 3), 16, id="before the start: averages that begin earlier"),
    ],
)
def test_bars_put_into_a_gap(common, ticker, gap, recomputed):
    bars = walk(400)
    outside = np.ones(400, bool)
    outside[gap] = False
    put(common, {ticker: bars.take(outside)})
    result = put(common, {ticker: bars.take(gap)})[ticker]
    assert (result.inserted, result.updated, result.recomputed) == (gap.stop - gap.start, 0, recomputed)
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)


@pytest.mark.parametrize(
    ("columns", "recomputed"),
    [
        pytest.param({"volume": 7.0}, 1, id="volume: the next bar's previous volume"),
        pytest.param({"close": lambda close: close * 1.0001}, 199, id="close: every average that sees it"),
        pytest.param({"open": lambda price: price * 1.0001}, 0, id="open: no indicator sees it"),
        pytest.param(
            {"high": lambda price: price * 1.01, "low": lambda price: price * 0.99}, 0, id="high and low"
        ),
        pytest.param({"adjusted_close": 55.5}, 0, id="adjusted close: no indicator sees it"),
        pytest.param({"close": lambda close: np.nextafter(close, np.inf)}, None, id="one bit of the close"),
    ],
)
def test_which_rows_a_change_rewrites(common, ticker, columns, recomputed):
    bars = walk(400)
    put(common, {ticker: bars})
    after = changed(bars, 150, **columns)
    result = put(common, {ticker: after})[ticker]
    assert (result.inserted, result.updated, result.unchanged) == (0, 1, 399)
    assert recomputed is None or result.recomputed == recomputed
    assert fingerprint(common, ticker) == fresh_fingerprint(common, after)
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 1


def test_a_source_without_adjusted_closes_leaves_the_stored_ones(common, ticker):
    bars = walk(50)
    put(common, {ticker: bars})
    bare = changed(bars, slice(None), adjusted_close=np.nan)
    assert put(common, {ticker: bare})[ticker].unchanged == 50
    after = changed(bare, 10, close=lambda close: close * 1.001)
    assert put(common, {ticker: after})[ticker].updated == 1
    kept = query(
        common, "select adjusted_close from bars.crypto_data_1d where ticker = %s order by time", ticker
    )
    assert [row[0] for row in kept] == bars.adjusted_close.tolist()


def test_an_adjusted_close_that_arrives_later_is_stored(common, ticker):
    bars = walk(50)
    put(common, {ticker: changed(bars, slice(None), adjusted_close=np.nan)})
    assert (
        value(common, "select count(adjusted_close) from bars.crypto_data_1d where ticker = %s", ticker) == 0
    )
    result = put(common, {ticker: bars})[ticker]
    assert (result.updated, result.recomputed) == (50, 0)
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)


# the open bar


def open_series(bars=40):
    """A series whose last bar opened on the day of NOW and is still open."""
    return walk(bars, start=utc(NOW.year, NOW.month, NOW.day) - timedelta(days=bars - 1))


def provisional(connection, ticker):
    return value(connection, "select provisional_time from series where ticker = %s", ticker)


def test_the_open_bar_is_stored_and_marked(common, ticker):
    bars = open_series()
    result = put(common, {ticker: bars})[ticker]
    assert result.inserted == 40
    assert [provisional(common, ticker)] == times(bars, [-1])
    assert list(load_row(common, result.load_id, "provisional_from")) == times(bars, [-1])


def test_a_session_that_has_closed_leaves_no_open_bar(common, ticker):
    bars = walk(1, start=utc(2025, 6, 30))
    put(common, {ticker: bars}, VN, now=utc(2025, 6, 30, 7, 59))
    assert provisional(common, ticker) == utc(2025, 6, 30)
    put(common, {ticker: bars}, VN, now=utc(2025, 6, 30, 8))
    assert provisional(common, ticker) is None


def test_a_change_of_the_open_bar_is_no_restatement(common, ticker):
    bars = open_series()
    put(common, {ticker: bars})
    later = changed(bars, -1, close=lambda close: close * 1.001, volume=5.0)
    result = put(common, {ticker: later}, now=NOW + timedelta(hours=1))[ticker]
    assert (result.updated, result.recomputed) == (1, 0)
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 0
    assert [provisional(common, ticker)] == times(bars, [-1])


def test_the_open_bar_becomes_final_without_being_written_again(common, ticker):
    bars = open_series()
    put(common, {ticker: bars})
    before = row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'")
    put(common, {ticker: bars}, now=NOW + timedelta(days=1))
    assert provisional(common, ticker) is None
    assert row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'") == before
    final = changed(bars, -1, volume=6.0)
    put(common, {ticker: final}, now=NOW + timedelta(days=1))
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 1, (
        "now it is final"
    )


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(slice(0, 20), id="earlier bars"),
        pytest.param(slice(40, 41), id="later bars, as a backfill of one day"),
    ],
)
def test_a_load_that_does_not_reach_the_open_bar_leaves_its_mark(common, ticker, others):
    bars = open_series(41)
    put(common, {ticker: bars.take(slice(20, 40))}, now=NOW - timedelta(days=1))
    put(common, {ticker: bars.take(others)}, now=NOW + timedelta(days=3))
    assert [provisional(common, ticker)] == times(bars, [39])
    put(common, {ticker: changed(bars, 39, volume=3.0)}, now=NOW + timedelta(days=3))
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 0
    assert provisional(common, ticker) is None


# scale


@pytest.mark.parametrize("factor", [1000.0, 100.0, 0.01, 0.001])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(slice(200, 230), id="after the edge"),
        pytest.param(slice(0, 30), id="before the edge"),
        pytest.param(slice(100, 130), id="in the overlap"),
        pytest.param(slice(180, 230), id="across the edge"),
        pytest.param(slice(200, 201), id="a single bar"),
    ],
)
def test_prices_in_another_unit_are_refused_whole(common, ticker, factor, part):
    bars, other = walk(230), new_ticker()
    put(common, {ticker: bars.take(slice(30, 200))})
    before = fingerprint(common, ticker)
    results = put(common, {ticker: scaled(bars.take(part), factor), other: walk(20)})
    refused = results[ticker]
    assert isinstance(refused.refused, SuspectScale)
    assert (refused.inserted, refused.updated, refused.recomputed, refused.unchanged) == (0, 0, 0, 0)
    assert fingerprint(common, ticker) == before
    status, error = load_row(common, refused.load_id, "status", "error")
    assert status == "failed"
    assert "of the stored neighbours" in error
    assert "--legacy-scale" in error, "the message says what to do next"
    assert pending(common, refused.load_id) == []
    assert results[other].inserted == 20, "the others of the batch load"
    assert load_row(common, results[other].load_id, "status") == ("loaded",)


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (1 / 2, "a two-for-one split"),
        (1 / 10, "a ten-for-one split"),
        (1 / 20, "a twenty-for-one split"),
        (10.0, "a one-for-ten consolidation"),
        (30.0, "a one-for-thirty consolidation"),
    ],
)
def test_a_real_split_is_not_refused(common, ticker, factor, reason):
    bars = walk(230)
    put(common, {ticker: bars.take(slice(0, 200))})
    split = scaled(bars.take(slice(200, 230)), factor)
    assert put(common, {ticker: split})[ticker].inserted == 30, reason


def test_a_split_restated_over_the_whole_history_is_loaded(common, ticker):
    bars = walk(230)
    put(common, {ticker: bars})
    restated = scaled(bars, 1 / 4)
    assert put(common, {ticker: restated})[ticker].updated == 230
    assert fingerprint(common, ticker) == fresh_fingerprint(common, restated)


def test_bars_years_away_are_no_neighbours(common, ticker):
    """Bitcoin rose a thousandfold within four years: windows loaded out of order must not be refused."""
    early, late = walk(30), scaled(walk(30, start=START + timedelta(days=1500)), 1000.0)
    put(common, {ticker: early})
    assert put(common, {ticker: late})[ticker].inserted == 30


# quarantine


def test_a_refused_row_is_kept_once_and_counted_every_time(common, ticker):
    row = '{"ticker": "X", "close": -1}'
    rejects = reject_frame(
        [
            (ticker, utc(2021), "non_positive_price", "close=-1", row),
            (ticker, None, "bad_time", "yesterday", '{"time": "yesterday"}'),
        ]
    )
    first = put(common, {ticker: walk(5)}, rejects=rejects, run_id="one")[ticker]
    again = put(common, {ticker: walk(5)}, rejects=rejects, run_id="two")[ticker]
    assert (first.quarantined, again.quarantined) == (2, 2)
    kept = query(
        common,
        "select load_id, run_id, time, rule, value, source, row_text from quarantine where ticker = %s order by rule",
        ticker,
    )
    assert kept == [
        (first.load_id, "one", None, "bad_time", "yesterday", "csv_tree", '{"time": "yesterday"}'),
        (first.load_id, "one", utc(2021), "non_positive_price", "close=-1", "csv_tree", row),
    ]


def test_a_batch_of_refused_rows_alone_is_recorded(common, ticker):
    rejects = reject_frame([(ticker, utc(2021), "negative_volume", "volume=-1.0", "{}")])
    (result,) = load_bars(common, empty_frame(), request(rejects=rejects))
    assert (result.ticker, result.quarantined, result.inserted) == (ticker, 1, 0)
    assert query(common, "select 1 from series where ticker = %s", ticker) == []


def test_an_empty_batch_does_nothing(common):
    with tuples_written(common) as written:
        assert load_bars(common, empty_frame(), request()) == []
    assert written == {}


def test_tickers_that_could_not_be_fetched_are_recorded_with_their_error(common, ticker):
    record_failures(common, {ticker: RateLimited("429 from the vendor")}, request(attempt=2))
    record_failures(common, {}, request())
    assert query(common, "select status, attempt, error, inserted from load where ticker = %s", ticker) == [
        ("failed", 2, str(RateLimited("429 from the vendor")), 0)
    ]


# the ways in


@pytest.mark.parametrize("compressed", [False, True], ids=["plain rows", "compressed chunks"])
@pytest.mark.parametrize(
    ("copied", "limit", "way"),
    [
        pytest.param(0, 0, "COPY for new rows, staging for the rest", id="COPY and staging"),
        pytest.param(0, 10**9, "COPY for new rows, arrays for the rest", id="COPY and arrays"),
        pytest.param(10**9, 0, "staging for new and recomputed rows together", id="staging"),
        pytest.param(10**9, 10**9, "arrays", id="arrays"),
    ],
)
def test_every_way_in_writes_the_same(common, monkeypatch, copied, limit, way, compressed):
    one, two = new_ticker("A"), new_ticker("B")
    bars = walk(700, start=LONG_AGO if compressed else START)
    bars.adjusted_close[::7] = np.nan
    monkeypatch.setattr(write, "COPY_FROM", copied)
    monkeypatch.setattr(write, "ARRAY_LIMIT", limit)
    first = put(common, {one: bars.take(slice(100, 600)), two: bars.take(slice(100, 110))})
    if compressed:
        compress_long_ago(common, "bars.crypto_data_1d")
    after = changed(bars, slice(300, 340), close=lambda close: close * 1.01, high=lambda high: high * 1.02)
    second = put(common, {one: after, two: after.take(slice(0, 105))})
    monkeypatch.undo()
    assert first[one].inserted == 500
    counts = (second[one].inserted, second[one].updated, second[one].unchanged, second[one].recomputed)
    assert counts == (200, 40, 460, 199 + 199), way
    assert (second[two].inserted, second[two].unchanged, second[two].recomputed) == (100, 5, 10)
    assert fingerprint(common, one) == fresh_fingerprint(common, after)
    whole_b = Bars(
        *(
            np.concatenate([a, b])
            for a, b in zip(_arrays(after, 0, 105), _arrays(bars, 105, 110), strict=True)
        )
    )
    assert fingerprint(common, two) == fresh_fingerprint(common, whole_b)
    ids = load_ids(common, one)
    assert set(ids[100:300]) == set(ids[340:600]) == {first[one].load_id}
    assert set(ids[:100]) == set(ids[300:340]) == set(ids[600:]) == {second[one].load_id}


def _arrays(bars, start, stop):
    part = bars.take(slice(start, stop))
    return [
        getattr(part, name) for name in ("time", "open", "high", "low", "close", "volume", "adjusted_close")
    ]


def test_many_rows_take_the_copy_path_by_themselves(common, ticker):
    bars = walk(write.ARRAY_LIMIT + 5, interval=M1)
    assert put(common, {ticker: bars}, interval=M1)[ticker].inserted == len(bars)
    after = scaled(bars, 2.0)
    assert put(common, {ticker: after}, interval=M1)[ticker].updated == len(bars)
    assert digest(common, ticker, interval=M1).rows == len(bars)
    assert fingerprint(common, ticker, interval=M1) == fresh_fingerprint(common, after, interval=M1)


@pytest.mark.parametrize(
    ("interval", "spacing"),
    [
        pytest.param(D1, 200, id="a bar every 200 days: 200 bars back is a century"),
        pytest.param(H1, 24 * 40, id="an hour every 40 days"),
        pytest.param(M1, 60 * 24 * 3, id="a minute every three days"),
    ],
)
def test_lookback_reaches_as_far_as_the_series_needs(common, ticker, interval, spacing):
    bars = walk(230, interval=interval, start=utc(1910))
    sparse = Bars(bars.time[0] + (bars.time - bars.time[0]) * spacing, *_arrays(bars, 0, 230)[1:])
    for part in (slice(0, 200), slice(220, 230), slice(200, 220)):
        put(common, {ticker: sparse.take(part)}, interval=interval, now=utc(2100))
    assert fingerprint(common, ticker, interval=interval) == fresh_fingerprint(
        common, sparse, interval=interval
    )


def test_tickers_of_one_batch_may_lie_decades_apart(common):
    early, late = new_ticker(), new_ticker()
    old, new = walk(260, start=utc(1995)), walk(260, seed=2, start=utc(2024))
    put(common, {early: old.take(slice(0, 250)), late: new.take(slice(0, 250))})
    put(common, {early: old.take(slice(245, 260)), late: new.take(slice(245, 260))})
    assert fingerprint(common, early) == fresh_fingerprint(common, old)
    assert fingerprint(common, late) == fresh_fingerprint(common, new)


def test_markets_and_intervals_do_not_meet(common, ticker):
    bars = walk(10)
    put(common, {ticker: bars}, CRYPTO, D1)
    put(common, {ticker: scaled(bars, 1000.0)}, VN, D1)
    put(common, {ticker: walk(10, interval=H1, seed=4)}, CRYPTO, H1)
    assert put(common, {ticker: bars}, CRYPTO, D1)[ticker].unchanged == 10


# history


AS_OF = "select {} from bars_as_of('crypto', '1d', %s) where ticker = %s"


def test_bars_as_of_an_instant_are_what_was_known_then(common, ticker):
    bars = walk(30)
    steps = [
        {ticker: bars.take(slice(0, 20)), "B" + ticker: bars.take(slice(0, 3))},
        {ticker: changed(bars, 5, close=lambda close: close * 1.001)},
        {ticker: changed(bars, [5, 6], close=lambda close: close * 1.002)},
        {ticker: bars},
    ]
    loaded = [put(common, step)[ticker].load_id for step in steps]
    instants = [load_row(common, load_id, "loaded_at")[0] for load_id in loaded]
    closes = [query(common, AS_OF.format("close") + " order by time", at, ticker) for at in instants]
    assert [[row[0] for row in column] for column in closes] == [
        step[ticker].close.tolist() for step in steps
    ]
    before = instants[0] - timedelta(microseconds=1)
    assert value(common, AS_OF.format("count(*)"), before, ticker) == 0
    known_now = query(
        common, AS_OF.format("time, open, close, load_id") + " order by time", "infinity", ticker
    )
    assert known_now == query(
        common,
        "select time, open, close, load_id from bars.crypto_data_1d where ticker = %s order by time",
        ticker,
    )


# company


def test_two_loaders_of_overlapping_tickers_end_equal(common_warehouse):
    """Opposite orders and overlapping windows, many times over: no deadlock, nothing lost."""
    names = [new_ticker("W") for _ in range(6)]
    series = {name: walk(120, seed=seed) for seed, name in enumerate(names)}
    failures: list[BaseException] = []
    starting = threading.Barrier(3)

    def loader(seed):
        random = np.random.default_rng(seed)
        try:
            with connect(common_warehouse) as connection:
                starting.wait(30)
                for _ in range(12):
                    chosen = random.permutation(names)[:4]
                    first = int(random.integers(0, 100))
                    part = slice(first, first + 20)
                    put(connection, {name: series[name].take(part) for name in chosen})
                put(connection, {name: series[name] for name in random.permutation(names)})
                connection.commit()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loader, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    with connect(common_warehouse, autocommit=True) as connection:
        for name in names:
            assert fingerprint(connection, name) == fresh_fingerprint(connection, series[name])
        assert value(connection, "select sum(inserted) from load where ticker = any(%s)", names) == 6 * 120
        assert value(connection, "select sum(updated) from load where ticker = any(%s)", names) == 0
        assert value(connection, "select count(*) from bar_revision where ticker = any(%s)", names) == 0


def test_a_second_loader_of_the_same_series_waits_and_sees_the_first(common_warehouse, ticker):
    bars = walk(50)
    with connect(common_warehouse) as first, connect(common_warehouse) as second:
        first.execute("begin")
        put(first, {ticker: bars})
        results = []
        waiting = threading.Thread(target=lambda: results.append(put(second, {ticker: bars})[ticker]))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        first.commit()
        waiting.join(30)
        assert (results[0].inserted, results[0].unchanged) == (0, 50)


@pytest.mark.parametrize("copied", [0, 10**9], ids=["COPY", "arrays"])
def test_a_row_written_behind_the_loaders_back(common, ticker, monkeypatch, copied):
    """A bar whose series the ledger does not know is compared like any other, and its former value kept."""
    bars = walk(20)
    (stranger,) = times(bars, [7])
    common.execute(
        "insert into bars.crypto_data_1d (ticker, time, open, high, low, close, volume, load_id) "
        "values (%s, %s, 90, 90, 90, 90, 1, 0)",
        (ticker, stranger),
    )
    monkeypatch.setattr(write, "COPY_FROM", copied)
    assert put(common, {ticker: bars})[ticker].restated == 1
    assert value(common, "select close from bar_revision where ticker = %s", ticker) == 90.0
    put(common, {ticker: bars})
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)


def test_an_error_in_the_middle_leaves_nothing(common, ticker):
    """The last statement of the load fails: bars, ledger, revisions and notes are as they were."""
    put(common, {ticker: walk(20)})
    tables = ("bars.crypto_data_1d", "load", "series", "bar_revision", "rollup_pending", "quarantine")
    before = {name: row_versions(common, name) for name in tables}
    rejects = reject_frame([(ticker, utc(2021), "a rule", "a value", "broken \0 text")])
    with pytest.raises(psycopg.DataError):
        put(common, {ticker: changed(walk(25), 3, volume=1.0)}, rejects=rejects)
    assert {name: row_versions(common, name) for name in tables} == before


def test_bars_before_1970_and_before_2000(common, ticker):
    bars = walk(260, start=utc(1969, 6, 1))
    put(common, {ticker: bars})
    stored = query(common, "select time from bars.crypto_data_1d where ticker = %s order by time", ticker)
    assert [row[0] for row in stored] == [instant(int(time)) for time in grid(260, start=utc(1969, 6, 1))]
    assert put(common, {ticker: bars})[ticker].unchanged == 260


def test_a_negative_zero_is_a_zero(common, ticker):
    """Equal values must give equal digests, whichever zero arrived first."""
    bars = changed(walk(10), 4, volume=-0.0)
    put(common, {ticker: bars})
    assert put(common, {ticker: changed(bars, 4, volume=0.0)})[ticker].unchanged == 10
    assert fingerprint(common, ticker) == fresh_fingerprint(common, changed(bars, 4, volume=0.0))


def test_load_takes_the_frame_as_it_is_sorted(common):
    """Several tickers in one frame: each result belongs to its ticker."""
    names = [new_ticker("Z"), new_ticker("A"), new_ticker("M")]
    series = {name: walk(5 + at, seed=at) for at, name in enumerate(names)}
    results = load_bars(common, to_frame(series), request())
    assert [(r.ticker, r.inserted) for r in results] == [(name, len(series[name])) for name in sorted(names)]
