"""Candles equal a recomputation of their ticks for every bucket, whatever way those came, and outlive them."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from ticks_lab import (
    ALL,
    DAY_ONE,
    NOON,
    NOW,
    assert_candles_are_right,
    compress_all,
    expected_candles,
    feed,
    refresh,
    rows,
    store,
    stored_candles,
    tick,
    value,
)

from hypertape.errors import SchemaMissing
from hypertape.frame import instant
from hypertape.model import TIMEFRAMES, Window, utc
from hypertape.stream.model import MINUTE
from hypertape.stream.retention import configure_ticks, drop_old_ticks, dropped_before
from hypertape.stream.rollups import (
    buckets,
    check_candles,
    note_window,
    pending_notes,
    refresh_candles,
)
from hypertape.stream.tick_table import DAY

pytestmark = pytest.mark.database


def test_late_reordered_and_repeated_ticks(connection, warehouse):
    """In the order of a bad feed, in several refreshes, the last of them into compressed chunks."""
    ticks = feed(6_000, span=3 * DAY)
    chance = random.Random(2)
    late, live = ticks[::7], [t for i, t in enumerate(ticks) if i % 7]
    store(warehouse, live)
    refresh(connection)
    assert_candles_are_right(connection, live)
    compress_all(connection)
    chance.shuffle(late)
    store(warehouse, late + chance.sample(live, 500) + late[:50])
    refresh(connection)
    assert_candles_are_right(connection, ticks)
    assert value(connection, "select count(*) from ticks") == len(ticks)
    assert value(connection, "select count(*) from dead_letter") == 0
    checks = check_candles(connection, ALL)
    assert [(c.timeframe, c.differing) for c in checks] == [(name, 0) for name in TIMEFRAMES]
    assert all(c.buckets == len(expected_candles(ticks, c.timeframe)) for c in checks)


def test_ticks_of_one_instant_are_ordered_by_their_sequence(connection, warehouse):
    """Also where a sequence has more digits than the microseconds of a second, and comes last first."""
    ticks = [
        tick(sequence=s, bid=price, ask=price)
        for price, s in enumerate((7_000_001, 9, 12_000_000, 10**15), 1)
    ]
    ticks += [
        tick("SAME", sequence=s, bid=price, ask=price) for price, s in enumerate((10**15, 12_000_000, 9), 1)
    ]
    ticks += [tick(time=NOON + 1, bid=5, ask=5)]
    store(warehouse, ticks)
    refresh(connection)
    assert [(c[2] // 2, c[5] // 2) for c in stored_candles(connection, "1m")] == [(2, 5), (3, 1)]
    assert_candles_are_right(connection, ticks)


def test_the_comparison_can_fail(connection, warehouse):
    store(warehouse, feed(200))
    refresh(connection)
    store(warehouse, [tick("S0", NOON, 1, bid=1, ask=1)])
    assert [c.differing for c in check_candles(connection, ALL)] == [1] * 7
    first = check_candles(connection, ALL, ["1h"])[0].sample[0]
    assert first[1] == instant(NOON)
    note_window(connection, buckets("1m", instant(NOON), instant(NOON)))
    refresh(connection)
    assert [c.differing for c in check_candles(connection, ALL)] == [0] * 7


def test_only_where_ticks_came_is_refreshed(connection, warehouse):
    store(warehouse, [tick(), tick(time=DAY_ONE + MINUTE)])
    found = refresh_candles(connection, "lab")
    assert found is not None
    noon, begin = instant(NOON), instant(DAY_ONE)
    assert [r.window for r in found if r.timeframe == "1m"] == [
        Window(begin + timedelta(minutes=1), begin + timedelta(minutes=2)),
        Window(noon, noon + timedelta(minutes=1)),
    ]
    assert [r.window for r in found if r.timeframe == "1d"] == [Window(begin, begin + timedelta(days=1))]
    assert refresh_candles(connection, "lab") == []


def test_a_level_that_fails_stops_the_levels_above_it(connection, warehouse):
    ticks = feed(500)
    store(warehouse, ticks)
    kind = value(connection, "select relkind::text from pg_class where oid = 'bars.ohlc_15m'::regclass")
    rename = "alter {} bars.{} rename to {}"
    what = {"r": "table", "v": "materialized view"}[kind]
    connection.execute(rename.format(what, "ohlc_15m", "away"))
    with pytest.raises(SchemaMissing, match="ohlc_15m"):
        refresh_candles(connection, "lab")
    assert [(n, len(stored_candles(connection, n)) > 0) for n in ("1m", "5m")] == [("1m", True), ("5m", True)]
    assert stored_candles(connection, "5m") == expected_candles(ticks, "5m")
    assert [stored_candles(connection, name) for name in ("30m", "1h", "4h", "1d")] == [[]] * 4
    assert pending_notes(connection)[0] > 0
    connection.execute(rename.format(what, "away", "ohlc_15m"))
    refresh(connection)
    assert_candles_are_right(connection, ticks)
    assert pending_notes(connection) == (0, None)


def test_one_refreshes_at_a_time(connection, warehouse):
    store(warehouse, [tick()])
    connection.execute(
        "update tick_state set refresh_holder = 'another', refresh_until = now() + interval '1 hour'"
    )
    assert refresh_candles(connection, "lab") is None
    assert pending_notes(connection)[0] == 1
    connection.execute("update tick_state set refresh_until = now() - interval '1 second'")  # it died
    assert refresh_candles(connection, "lab") != []
    assert rows(connection, "select refresh_holder from tick_state") == [(None,)]


# retention


@pytest.fixture
def three_days(connection, warehouse):
    ticks = feed(3_000, span=3 * DAY)
    store(warehouse, ticks)
    refresh(connection)
    return ticks


def test_history_outlives_its_ticks(connection, warehouse, three_days):
    before = {name: stored_candles(connection, name) for name in TIMEFRAMES}
    border = drop_old_ticks(connection, keep_days=30, now=instant(NOW + 29 * DAY), holder="lab")
    assert border == utc(2026, 1, 7) == dropped_before(connection)
    assert value(connection, "select min(tick_time) from ticks") >= border
    assert all(len(candles) > 0 for candles in before.values())
    assert {name: stored_candles(connection, name) for name in TIMEFRAMES} == before
    # a late tick of a dropped day, asked for by hand too
    store(warehouse, [tick("S0", NOON)], keep_days=30)
    assert value(connection, "select error from dead_letter") == "older than what is kept"
    # and one that somebody stored past the writer, which brings its chunk back
    symbol = value(connection, "select symbol_id from symbols where ticker = 'S0'")
    connection.execute(
        "insert into bars.ticks (symbol_id, tick_time, sequence, bid_price, source) values (%s, %s, 1, 7, 'sql')",
        (symbol, instant(NOON)),
    )
    note_window(connection, ALL)
    refresh(connection)
    for name in TIMEFRAMES:
        connection.execute(
            "call hypertape.refresh_tick_rollup(%s, '2025-12-01', '2026-02-01')", [f"bars.ohlc_{name}"]
        )
    assert {name: stored_candles(connection, name) for name in TIMEFRAMES} == before
    assert [c.differing for c in check_candles(connection, ALL)] == [0] * 7


def test_late_ticks_on_the_border_s_side(connection, warehouse, three_days):
    """What is still kept is still refreshed, and what was dropped beside it stays as it was."""
    drop_old_ticks(connection, keep_days=30, now=instant(NOW + 29 * DAY), holder="lab")
    late = [tick("S1", DAY_ONE + 2 * DAY + 5, 1), tick("S1", DAY_ONE + 3 * DAY - 1, 2)]
    store(warehouse, late, now=NOW, keep_days=30)
    refresh(connection)
    assert_candles_are_right(connection, [*three_days, *late])


def test_days_whose_candles_wait_are_not_dropped(connection, warehouse, three_days):
    store(warehouse, [tick("S0", NOON)])
    connection.execute("select hypertape.drop_ticks('2026-01-07')")
    assert value(connection, "select count(*) from ticks") == len(three_days) + 1
    assert dropped_before(connection) == utc(2026, 1, 5)  # the day that waits begins here
    assert drop_old_ticks(connection, keep_days=30, now=instant(NOW + 29 * DAY), holder="lab") == utc(
        2026, 1, 7
    )
    assert stored_candles(connection, "1d") == expected_candles([*three_days, tick("S0", NOON)], "1d")


def test_ticks_stored_past_the_writer_are_rolled_up_before_they_go(connection, three_days):
    symbol = value(connection, "select symbol_id from symbols where ticker = 'S0'")
    connection.execute(
        "insert into bars.ticks (symbol_id, tick_time, sequence, bid_price, source) values (%s, %s, 1, 7, 'sql')",
        (symbol, instant(NOON)),
    )
    drop_old_ticks(connection, keep_days=30, now=instant(NOW + 29 * DAY), holder="lab")
    own = tick("S0", NOON, 1, bid=700_000_000, ask=None, bid_volume=None, ask_volume=None)
    assert stored_candles(connection, "1d") == expected_candles([*three_days, own], "1d")


def test_chunks_and_compression_follow_the_settings(connection):
    configure_ticks(connection, chunk_hours=6, compress_days=3)
    configure_ticks(connection, chunk_hours=6, compress_days=3)
    if value(connection, "select hypertape.server_tier()") == "plain":
        statement = "select config ->> 'compress_after' from shim.policy where relation = 'bars.ticks'"
    else:
        statement = (
            "select config ->> 'compress_after' from timescaledb_information.jobs "
            "where hypertable_name = 'ticks' and proc_name = 'policy_compression'"
        )
    assert rows(connection, statement) == [("3 days",)]


# what readers see


def test_candles_under_the_document_s_names(connection, warehouse):
    store(warehouse, [tick(bid=1, ask=2, bid_volume=3, ask_volume=None)])
    refresh(connection)
    columns = dict(
        rows(
            connection,
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'ticks'::regclass and attnum > 0",
        )
    )
    numeric = dict.fromkeys(("bid_price", "ask_price", "bid_volume", "ask_volume"), "numeric(20,8)")
    assert (
        columns.items() >= ({"symbol_id": "bigint", "symbol_name": "character varying(50)"} | numeric).items()
    )
    found = rows(
        connection,
        "select symbol_name, timeframe, close_time - open_time, open_price::text, volume::text, tick_count "
        "from ohlc_candles order by close_time - open_time",
    )
    widths = list(TIMEFRAMES.items())
    assert found == [("EURUSD", name, width, "0.00000002", "0.00000003", 1) for name, width in widths]
    plan = "\n".join(
        line for (line,) in rows(connection, "explain select * from ohlc_candles where timeframe = '5m'")
    )
    assert "15m" not in plan
    assert rows(connection, "select open_price, close_time from ohlc_1d") != []
