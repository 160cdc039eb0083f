"""Rollups: equal to a recomputation for every bucket, refreshed just where bars changed, with a check that can fail."""

from __future__ import annotations

import datetime as dt
import math
import re
import threading
from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import CRYPTO, D1, M1, VN, changed, new_ticker, put, query, scaled, value, walk

from hypertape.errors import DatabaseUnreachable
from hypertape.model import Interval, Window, utc
from hypertape.warehouse import rollups
from hypertape.warehouse.claims import Worker, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import Refreshed, buckets, check_rollups, derived, refresh_pending
from hypertape.warehouse.schema import tier
from thorough import examples

FROM_MINUTES = (Interval.M5, Interval.M15, Interval.M30)
FROM_DAYS = (Interval.W1, Interval.W2, Interval.MO1)


def refresh(dsn, market=CRYPTO, interval=D1):
    return refresh_pending(dsn, market, interval)


def recomputed(bars, level):
    """Every bucket of a series by the calendar's own words: no arithmetic shared with the warehouse."""
    found = defaultdict(list)
    for position, time in enumerate(bars.time.tolist()):
        at = dt.datetime.fromtimestamp(0, dt.UTC) + timedelta(microseconds=time)
        found[bucket_of(at, level)].append(position)
    return {
        bucket: (
            bars.open[rows[0]], max(bars.high[rows]), min(bars.low[rows]), bars.close[rows[-1]],
            math.fsum(bars.volume[rows]),
        )
        for bucket, rows in found.items()
    }  # fmt: skip


def bucket_of(at, level):
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if level is Interval.MO1:
        return midnight.replace(day=1)
    monday = midnight - timedelta(days=midnight.weekday())
    if level is Interval.W1:
        return monday
    if level is Interval.W2:  # fortnights are counted from Monday 2000-01-03
        return monday if (monday.date() - dt.date(2000, 1, 3)).days % 14 == 0 else monday - timedelta(days=7)
    minutes = int(level.value.removesuffix("m"))
    return at.replace(minute=at.minute // minutes * minutes, second=0, microsecond=0)


def stored(connection, ticker, level, market=CRYPTO):
    rows = query(
        connection,
        f"select time, open, high, low, close, volume from {market.relation(level)} where ticker = %s",
        ticker,
    )
    return {time: tuple(values) for time, *values in rows}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for bucket, values in expected.items():
        assert found[bucket][:4] == values[:4], bucket
        assert found[bucket][4] == pytest.approx(values[4], rel=1e-12), bucket


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(utc(2019, 11, 20), id="over two ends of years, one in a leap year"),
        pytest.param(utc(1999, 10, 5), id="over the origin of the buckets"),
        pytest.param(utc(1968, 12, 1), id="long before it, over 1970"),
    ],
)
def test_rollups_of_days_equal_a_recomputation(common, common_warehouse, start):
    ticker, bars = new_ticker(), walk(470, start=start)
    put(common, {ticker: bars})
    done = refresh(common_warehouse)
    assert {entry.interval for entry in done} == set(FROM_DAYS)
    for level in FROM_DAYS:
        assert_equal(stored(common, ticker, level), recomputed(bars, level))
    assert [check.differing for check in check_rollups(common, CRYPTO, done)] == [0] * len(done)


@pytest.mark.parametrize("start", [utc(2019, 12, 31, 22, 3), utc(1999, 12, 31, 23, 17)], ids=str)
def test_rollups_of_minutes_equal_a_recomputation(common, common_warehouse, start):
    ticker, bars = new_ticker(), walk(500, interval=M1, start=start)
    keep = np.random.default_rng(3).random(500) < 0.7  # nobody trades in every minute
    bars = bars.take(keep)
    put(common, {ticker: bars}, interval=M1)
    done = refresh(common_warehouse, interval=M1)
    assert {entry.interval for entry in done} == set(FROM_MINUTES)
    for level in FROM_MINUTES:
        assert_equal(stored(common, ticker, level), recomputed(bars, level))
    assert sum(check.differing for check in check_rollups(common, CRYPTO, done)) == 0


def test_rollups_follow_a_restatement(common, common_warehouse):
    ticker, bars = new_ticker(), walk(400)
    put(common, {ticker: bars})
    refresh(common_warehouse)
    after = changed(bars, [100, 300], close=lambda c: c * 1.01, high=lambda h: h * 1.05, volume=9.0)
    put(common, {ticker: after})
    done = refresh(common_warehouse)
    for level in FROM_DAYS:
        assert_equal(stored(common, ticker, level), recomputed(after, level))
    assert sum(check.differing for check in check_rollups(common, CRYPTO, done)) == 0


def test_rollups_follow_bars_older_than_all_others(common, common_warehouse):
    ticker, bars = new_ticker(), walk(200, start=utc(1985, 1, 1))
    put(common, {ticker: bars.take(slice(120, 200))})
    refresh(common_warehouse)
    put(common, {ticker: bars.take(slice(0, 120))})
    refresh(common_warehouse)
    for level in FROM_DAYS:
        assert_equal(stored(common, ticker, level), recomputed(bars, level))


@pytest.fixture(scope="module")
def years(new_warehouse):
    """A warehouse whose rollups already cover two years, so that what follows are changes inside them."""
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        put(connection, {"A": walk(731)})
        put(connection, {"A": walk(700, interval=M1)}, interval=M1)
        refresh(dsn)
        refresh(dsn, interval=M1)
        yield dsn, connection


@pytest.mark.parametrize(
    ("interval", "first", "last"),
    [
        pytest.param(D1, 19, 60, id="into the first of a month"),
        pytest.param(D1, 31, 60, id="from the first of a month to the first of the next"),
        pytest.param(D1, 60, 60, id="the first of a month alone"),
        pytest.param(D1, 19, 59, id="to the end of a month"),
        pytest.param(D1, 3, 19, id="into a Monday"),
        pytest.param(D1, 5, 19, id="from a Monday to a Monday"),
        pytest.param(D1, 350, 366, id="into the first of a year"),
        pytest.param(M1, 7, 30, id="into a half hour"),
        pytest.param(M1, 0, 60, id="from an hour to the next"),
        pytest.param(M1, 61, 65, id="into a five minutes"),
    ],
)
def test_changes_that_end_with_a_buckets_first_instant_reach_that_bucket(years, interval, first, last):
    """TimescaleDB 2.29 forgets the last of several months when the change ends with its first instant."""
    dsn, connection = years
    ticker, bars = new_ticker(), walk(731 if interval is D1 else 700, seed=5, interval=interval)
    part = bars.take(slice(first, last + 1))
    put(connection, {ticker: part}, interval=interval)
    refresh(dsn, interval=interval)
    for level in derived(interval):
        assert_equal(stored(connection, ticker, level), recomputed(part, level))


@settings(max_examples=examples(8, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 730), st.integers(1, 120), st.booleans()), min_size=1, max_size=4))
def test_rollups_equal_a_recomputation_after_any_loads(years, parts):
    """Slices loaded in any order, some of them restated, with a refresh now and then."""
    dsn, connection = years
    ticker, bars, seen = new_ticker(), walk(850, seed=9), np.zeros(850, bool)
    for first, length, refreshed in parts:
        at = slice(first, first + length)
        bars = changed(bars, at, volume=lambda volume: volume + 1.0)
        seen[at] = True
        put(connection, {ticker: bars.take(at)})
        if refreshed:
            refresh(dsn)
    refresh(dsn)
    for level in FROM_DAYS:
        assert_equal(stored(connection, ticker, level), recomputed(bars.take(seen), level))


@pytest.mark.parametrize(
    ("interval", "at", "expected"),
    [
        pytest.param(
            D1, utc(2021, 1, 1),
            {"1w": (utc(2020, 12, 28), utc(2021, 1, 4)), "2w": (utc(2020, 12, 21), utc(2021, 1, 4)),
             "1mo": (utc(2021, 1, 1), utc(2021, 2, 1))},
            id="a New Year's Day",
        ),
        pytest.param(
            D1, utc(2020, 12, 31),
            {"1w": (utc(2020, 12, 28), utc(2021, 1, 4)), "2w": (utc(2020, 12, 21), utc(2021, 1, 4)),
             "1mo": (utc(2020, 12, 1), utc(2021, 1, 1))},
            id="the day before it",
        ),
        pytest.param(
            M1, utc(2021, 5, 5, 10, 44),
            {"5m": (utc(2021, 5, 5, 10, 40), utc(2021, 5, 5, 10, 45)),
             "15m": (utc(2021, 5, 5, 10, 30), utc(2021, 5, 5, 10, 45)),
             "30m": (utc(2021, 5, 5, 10, 30), utc(2021, 5, 5, 11, 0))},
            id="a minute",
        ),
    ],
)  # fmt: skip
def test_one_changed_bar_refreshes_the_buckets_that_hold_it_and_nothing_more(
    common, common_warehouse, interval, at, expected
):
    ticker = new_ticker()
    width = interval.delta
    bars = walk(120, interval=interval, start=at - 60 * width)
    put(common, {ticker: bars}, interval=interval)
    refresh(common_warehouse, interval=interval)
    put(common, {ticker: changed(bars, 60, volume=1.0)}, interval=interval)
    done = refresh(common_warehouse, interval=interval)
    assert {entry.interval.value: (entry.window.start, entry.window.end) for entry in done} == expected
    assert len(done) == len(expected)


def test_changes_far_apart_are_refreshed_apart(common, common_warehouse):
    """A change at each end of a series, by loads of their own: what lies between is left alone."""
    ticker, bars = new_ticker(), walk(800)
    put(common, {ticker: bars})
    refresh(common_warehouse)
    put(common, {ticker: changed(bars, 3, volume=1.0).take(slice(0, 10))})
    put(common, {ticker: changed(bars, 700, volume=1.0).take(slice(690, 710))})
    months = [entry.window for entry in refresh(common_warehouse) if entry.interval is Interval.MO1]
    assert months == [Window(utc(2020, 1), utc(2020, 2)), Window(utc(2021, 12), utc(2022, 1))]


def test_nothing_pending_refreshes_nothing(common, common_warehouse):
    refresh(common_warehouse)
    refresh(common_warehouse, VN)
    put(common, {new_ticker(): walk(1)}, VN)
    assert refresh(common_warehouse) == [], "the other market's notes are not ours"
    assert value(common, "select count(*) from rollup_pending where market = 'vn' and interval = '1d'") == 1
    assert len(refresh(common_warehouse, VN)) == 3
    assert value(common, "select count(*) from rollup_pending where market = 'vn' and interval = '1d'") == 0


def test_an_unchanged_load_leaves_nothing_to_refresh(common, common_warehouse):
    ticker = new_ticker()
    put(common, {ticker: walk(30)})
    refresh(common_warehouse)
    put(common, {ticker: walk(30)})
    assert refresh(common_warehouse) == []


def test_a_change_of_the_adjusted_close_alone_is_noted_but_moves_no_bucket(common, common_warehouse):
    ticker, bars = new_ticker(), walk(60)
    put(common, {ticker: bars})
    refresh(common_warehouse)
    before = stored(common, ticker, Interval.W1)
    put(common, {ticker: changed(bars, 30, adjusted_close=1.0)})
    refresh(common_warehouse)
    assert stored(common, ticker, Interval.W1) == before


def test_a_refresh_that_fails_keeps_its_notes(common, common_warehouse, monkeypatch):
    """Its connection breaks in between: the ranges are still pending, and the next refresh does them at once."""
    ticker, bars = new_ticker(), walk(30)
    refresh(common_warehouse)
    put(common, {ticker: bars})

    def broken(connection, *_):
        connection.close()
        raise DatabaseUnreachable("made up for this test")

    with monkeypatch.context() as patched:
        patched.setattr(rollups, "_refresh", broken)
        with pytest.raises(DatabaseUnreachable):
            refresh(common_warehouse)
    assert (
        value(common, "select count(*) from rollup_pending where market = 'crypto' and interval = '1d'") == 1
    )
    assert stored(common, ticker, Interval.W1) == {}
    refresh(common_warehouse)
    assert_equal(stored(common, ticker, Interval.W1), recomputed(bars, Interval.W1))


def test_a_load_between_two_refreshes_is_not_forgotten(common, common_warehouse, monkeypatch):
    """Notes written while a refresh runs belong to the next one."""
    first, second = new_ticker(), new_ticker()
    refresh(common_warehouse)
    put(common, {first: walk(10)})
    loaded = []

    def loading_meanwhile(*given):
        if not loaded:
            loaded.append(put(common, {second: walk(10, seed=2)})[second].load_id)
        refresh_one(*given)

    refresh_one = rollups._refresh
    with monkeypatch.context() as patched:
        patched.setattr(rollups, "_refresh", loading_meanwhile)
        refresh(common_warehouse)
    assert query(
        common, "select load_id from rollup_pending where interval = '1d' and market = 'crypto'"
    ) == [(loaded[0],)]
    refresh(common_warehouse)
    assert_equal(stored(common, second, Interval.W2), recomputed(walk(10, seed=2), Interval.W2))


def test_two_refreshes_at_once_wait_for_each_other(common_warehouse, common):
    refresh(common_warehouse)
    names = [new_ticker() for _ in range(4)]
    failures = []

    def work(ticker):
        try:
            with connect(common_warehouse, autocommit=True) as connection:
                put(connection, {ticker: walk(100, seed=len(ticker))})
            refresh(common_warehouse)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    for name in names:
        assert_equal(stored(common, name, Interval.MO1), recomputed(walk(100, seed=len(name)), Interval.MO1))


def test_a_refresh_that_another_worker_has_begun_is_waited_for_and_its_end_is_enough(
    common, common_warehouse
):
    """Alive it keeps its claim; once it is dead the one that waits does what it left. No worker stays in the list."""
    refresh(common_warehouse)
    ticker, bars, done = new_ticker(), walk(30), []
    put(common, {ticker: bars})
    with working(common_warehouse, "test") as other:
        other.take(common, rollups.KIND, [CRYPTO.relation(D1)])
        ours = threading.Thread(target=lambda: done.append(refresh(common_warehouse)))
        ours.start()
        ours.join(1.5)
        assert ours.is_alive()
    ours.join(60)
    assert [entry.interval for entry in done[0]] == list(FROM_DAYS)
    assert_equal(stored(common, ticker, Interval.W1), recomputed(bars, Interval.W1))
    left = value(common, "select count(*) from worker_heartbeat where worker_type = 'rollups'")
    assert left == 0


def test_who_lost_its_claim_while_it_refreshed_leaves_the_notes_to_the_next(
    common, common_warehouse, monkeypatch
):
    """It was frozen for longer than its lease: what was noted is refreshed once more, by whoever has the claim."""
    refresh(common_warehouse)
    put(common, {new_ticker(): walk(30)})
    refresh_one, calls = rollups._refresh, []

    def robbed(connection, market, level, window):
        if not calls:
            thief = Worker("test")
            thief.beat(common)
            common.execute(
                "update worker_heartbeat set gone_at = clock_timestamp() where worker_type = 'rollups'"
            )
            claims = thief.take(common, rollups.KIND, [CRYPTO.relation(D1)])
            assert len(claims) == 1
            thief.end(common, claims)
            thief.leave(common)
        calls.append(level)
        refresh_one(connection, market, level, window)

    with monkeypatch.context() as patched:
        patched.setattr(rollups, "_refresh", robbed)
        refresh(common_warehouse)
    assert calls == 2 * list(FROM_DAYS)
    assert (
        value(common, "select count(*) from rollup_pending where market = 'crypto' and interval = '1d'") == 0
    )


def test_a_refresh_by_the_servers_own_policy_is_waited_for(common_warehouse, common):
    """TimescaleDB refuses the second of two refreshes of a rollup, and a migration ended with that."""
    if tier(common) != "timescaledb":
        pytest.skip("the plain tier has no policies that run by themselves")
    ticker, bars = new_ticker(), walk(400, interval=M1)
    put(common, {ticker: bars}, CRYPTO, M1)
    done = []
    with connect(common_warehouse, autocommit=True) as policy:
        policy.execute(
            "insert into _timescaledb_catalog.continuous_aggs_jobs_refresh_ranges "
            "(materialization_id, start_range, end_range, pid, job_id, created_at) "
            "select mat_hypertable_id, 0, 9000000000000000000, pg_backend_pid(), 1, now() "
            "from _timescaledb_catalog.continuous_agg where user_view_name = 'crypto_data_5m'"
        )  # what such a refresh notes while it is at work; it is over when its session is
        ours = threading.Thread(target=lambda: done.append(refresh(common_warehouse, CRYPTO, M1)))
        ours.start()
        ours.join(2)
        assert ours.is_alive()
    ours.join(60)
    assert [entry.interval for entry in done[0]] == list(FROM_MINUTES)
    assert_equal(stored(common, ticker, Interval.M5), recomputed(bars, Interval.M5))


@pytest.mark.parametrize("market", [CRYPTO, VN], ids=lambda market: market.code)
@pytest.mark.parametrize(("base", "levels"), [(D1, FROM_DAYS), (M1, FROM_MINUTES)], ids=["days", "minutes"])
def test_a_stack_of_rollups_equals_each_built_from_the_bars(common, common_warehouse, market, base, levels):
    """2w on 1w on 1d, 30m on 15m on 5m on 1m: prices equal bit for bit, sums to the last digits."""
    names = [new_ticker() for _ in range(3)]
    put(common, {name: walk(700, seed=at, interval=base) for at, name in enumerate(names)}, market, base)
    refresh(common_warehouse, market, base)
    for level in levels:
        direct = {
            (ticker, time): tuple(values)
            for ticker, time, *values in query(
                common,
                "select ticker, "
                + _sql_bucket(level)
                + " as bucket, (array_agg(open order by time))[1], max(high), min(low), "
                f"(array_agg(close order by time desc))[1], sum(volume) from {market.relation(base)} "
                "where ticker = any(%s) group by 1, 2",
                names,
            )
        }
        for name in names:
            found = stored(common, name, level, market)
            assert_equal(found, {time: values for (ticker, time), values in direct.items() if ticker == name})
            assert len(found) > 10


def _sql_bucket(level):
    if level is Interval.MO1:
        return "date_trunc('month', time, 'UTC')"
    return f"date_bin('{level.delta.total_seconds()} seconds', time, '2000-01-03 00:00:00+00')"


# the check


def rollup_table(connection, level):
    """The table that holds a rollup's rows, for a test that breaks them."""
    if value(connection, "select hypertape.server_tier()") == "plain":
        return f"bars.{CRYPTO.relation(level)}"
    return value(
        connection,
        "select format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "from timescaledb_information.continuous_aggregates where view_name = %s",
        CRYPTO.relation(level),
    )


@pytest.mark.parametrize("level", FROM_DAYS, ids=str)
@pytest.mark.parametrize(
    ("harm", "differing"),
    [
        pytest.param("update {} set close = close + 0.01 where {}", 1, id="a wrong close"),
        pytest.param("update {} set open = low where {}", 1, id="a wrong open"),
        pytest.param("update {} set volume = volume * 1.000001 where {}", 1, id="a slightly wrong volume"),
        pytest.param("update {} set high = null where {}", 1, id="a missing high"),
        pytest.param("delete from {} where {}", 1, id="a lost bucket"),
        pytest.param(
            "insert into {0} (ticker, time, open, high, low, close, volume) "
            "select 'PHANTOM', time, 1, 1, 1, 1, 1 from {0} where {1}",
            1,
            id="a bucket without bars",
        ),
    ],
)
def test_the_check_finds_a_corrupted_row(common, common_warehouse, level, harm, differing):
    ticker, bars = new_ticker(), walk(90, start=utc(2010, 1, 4))
    refresh(common_warehouse)  # what other tests left pending
    put(common, {ticker: bars})
    done = [entry for entry in refresh(common_warehouse) if entry.interval is level]
    time = sorted(recomputed(bars, level))[1]
    (before,) = check_rollups(common, CRYPTO, done)
    assert before.differing == 0
    assert before.buckets >= len(recomputed(bars, level))
    with common.transaction(force_rollback=True):
        where = f"ticker = '{ticker}' and time = '{time.isoformat()}'"
        common.execute(harm.format(rollup_table(common, level), where))
        (after,) = check_rollups(common, CRYPTO, done)
    assert after.differing == differing
    assert after.sample in {((ticker, time),), (("PHANTOM", time),)}


@pytest.mark.parametrize("level", FROM_MINUTES)
def test_a_rollup_that_is_compared_with_a_finer_one_is_compared_all_the_same(common, common_warehouse, level):
    """All levels are checked together: 30m stands on 15m, and that on 5m. Whichever is wrong is found."""
    ticker, bars = new_ticker(), walk(90, start=utc(2010, 3, 1), interval=M1)
    refresh(common_warehouse, interval=M1)
    put(common, {ticker: bars}, interval=M1)
    done = refresh(common_warehouse, interval=M1)
    assert {entry.interval for entry in done} == set(FROM_MINUTES)
    with common.transaction(force_rollback=True):
        common.execute(
            f"update {rollup_table(common, level)} set close = close + 1 "
            f"where ticker = '{ticker}' and time = '2010-03-01 00:30+00'"
        )
        found = {check.interval: check.differing for check in check_rollups(common, CRYPTO, done)}
    assert found[level] == 1


def test_the_check_finds_a_stale_rollup(common, common_warehouse):
    """Bars changed and nobody refreshed: every bucket of the range is told."""
    ticker, bars = new_ticker(), walk(56, start=utc(2012, 1, 2))
    put(common, {ticker: bars})
    refresh(common_warehouse)
    put(common, {ticker: scaled(bars, 2.0)})
    window = Window(utc(2012, 1, 2), utc(2012, 2, 27))
    (check,) = check_rollups(common, CRYPTO, [Refreshed(Interval.W1, window)])
    assert check.differing == 8
    refresh(common_warehouse)
    (check,) = check_rollups(common, CRYPTO, [Refreshed(Interval.W1, window)])
    assert check.differing == 0


def test_a_sample_names_at_most_ten_buckets(common, common_warehouse):
    ticker, bars = new_ticker(), walk(200, start=utc(2013, 1, 7))
    put(common, {ticker: bars})
    (check,) = check_rollups(
        common, CRYPTO, [Refreshed(Interval.W1, Window(utc(2013, 1, 7), utc(2013, 12, 30)))]
    )
    assert check.differing == 29
    assert len(check.sample) == 10
    assert check.sample[0] == (ticker, utc(2013, 1, 7))
    refresh(common_warehouse)


def test_nothing_to_check_is_nothing(common):
    assert check_rollups(common, CRYPTO, []) == []


def test_each_stored_interval_has_its_rollups_in_building_order():
    assert derived(D1) == FROM_DAYS
    assert derived(M1) == FROM_MINUTES
    assert derived(Interval.H1) == ()


def test_the_widened_window_is_what_time_bucket_says(common):
    """The buckets Python names and the buckets the database makes are the same."""
    random = np.random.default_rng(11)
    for level in (*FROM_DAYS, *FROM_MINUTES):
        text = value(
            common,
            "select hypertape.rollup_select('x', %s)",
            "1 month" if level.delta is None else level.delta,
        )
        expression = re.search(r"(time_bucket\(.*?\)) as time", text).group(1)
        for days in random.uniform(-11_000, 11_000, 40):
            at = utc(2000, 1, 3) + timedelta(days=float(days))
            found = value(common, f"select {expression} from (select %s::timestamptz as time) as one", at)
            assert buckets(level, at, at).start == found == bucket_of(at, level)
