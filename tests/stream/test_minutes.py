"""Minutes finalised from ticks: in event time, corrected by what comes late, and equal to the candles."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from ticks_lab import ALL, DAY_ONE, NOON, expected_candles, feed, refresh, rows, store, tick, value, writing

from hypertape.frame import instant
from hypertape.model import Window
from hypertape.stream.bars import BarStream, MinuteClock, build_bars, check_bars, repair_bars
from hypertape.stream.model import MINUTE
from hypertape.stream.tick_table import DAY

SECOND = 1_000_000


def at(seconds: float, symbol: str = "A"):
    return tick(symbol, NOON + round(seconds * SECOND))


@pytest.mark.parametrize(
    ("batches", "due"),
    [
        ([[at(0), at(59)]], []),
        ([[at(0), at(64.999)]], []),
        ([[at(0), at(65)]], ["A 0"]),
        ([[at(65)], [at(0)]], ["A 0"]),
        ([[at(64)], [at(59)], [at(65)]], ["A 0"]),
        ([[at(0), at(1, "B"), at(125, "C")]], ["A 0", "B 0"]),
        ([[at(3600)], [at(60), at(0)]], ["A 0", "A 1"]),
    ],
    ids=[
        "its minute goes on", "within the lateness", "just beyond it", "late at once", "late within the lateness",
        "one symbol closes the minute of others", "an hour late",
    ],
)  # fmt: skip
def test_when_a_minute_is_final(batches, due):
    clock = MinuteClock(5 * SECOND)
    for batch in batches:
        clock.touch(batch)
    assert sorted(f"{symbol} {(time - NOON) // MINUTE}" for symbol, time in clock.take()) == due
    assert clock.take() == set(), "once"


def test_silence_ends_every_minute():
    clock = MinuteClock(5 * SECOND)
    clock.touch([at(0), at(70)])
    assert clock.take() == {("A", NOON)}
    assert clock.take(idle=True) == {("A", NOON + MINUTE)}
    clock.touch([at(71)])
    assert clock.take() == set()
    clock.give_back([("A", NOON)])
    assert clock.take() == {("A", NOON)}


@pytest.mark.database
def test_own_bars_equal_the_candles(connection, warehouse, caplog):
    """A disordered feed with repeats, a second stream's ticks between, and every late one corrects."""
    caplog.set_level(logging.INFO)
    ticks = feed(3_000, span=DAY // 4)
    chance = random.Random(3)
    sent = (
        sorted(ticks, key=lambda t: t.time + chance.choice([0, 0, 0, 20 * SECOND, 600 * SECOND]))
        + ticks[::50]
    )
    stream = BarStream(warehouse, lateness=5.0)

    async def work():
        async with writing(warehouse, on_stored=stream.touch) as writer:
            for start in range(0, len(sent), 300):
                await writer.write(sent[start : start + 300])
                await stream.build()
            await stream.build(idle=True)

    asyncio.run(work())
    refresh(connection)
    check = check_bars(connection, ALL)
    candles = expected_candles(ticks, "1m")
    assert (check.compared, check.differing) == (len(candles), ())
    assert stream.built >= len(candles)
    assert stream.corrected > 0
    assert "is corrected by a late tick" in caplog.text
    assert value(connection, "select count(*) from bars_1m where corrected_at is not null") > 0
    expected = [
        (
            symbol,
            instant(opens),
            *(-(-doubled // 2) if doubled > 0 else doubled // 2 for doubled in prices),
            volume,
        )
        for symbol, opens, *prices, volume, _ in candles
    ]
    scaled = ", ".join(f"({name} * 100000000)::bigint" for name in ("open", "high", "low", "close", "volume"))
    assert rows(connection, f"select symbol, timestamp, {scaled} from bars_1m order by 1, 2") == expected


@pytest.mark.database
def test_vwap_weighs_mids_by_their_volumes(connection, warehouse):
    store(
        warehouse,
        [
            tick(sequence=1, bid=100, ask=102, bid_volume=1, ask_volume=2),
            tick(sequence=2, bid=None, ask=109, bid_volume=None, ask_volume=5),
            tick("B", bid_volume=None, ask_volume=0),
        ],
    )
    build_bars(connection, [("EURUSD", NOON), ("B", NOON), ("B", NOON + MINUTE), ("NONE", NOON)])
    found = rows(connection, "select symbol, (vwap * 100000000)::bigint from bars_1m order by 1")
    assert found == [("B", None), ("EURUSD", (101 * 3 + 109 * 5) // 8)]


@pytest.mark.database
def test_what_a_kill_left_undone_is_found_and_repaired(connection, warehouse):
    store(warehouse, feed(300))
    refresh(connection)
    check = check_bars(connection, ALL)
    assert len(check.differing) == check.compared > 0
    assert {bar.corrected for bar in repair_bars(connection, ALL)} == {False}
    assert check_bars(connection, ALL).differing == ()
    connection.execute("update bars_1m set high = high + 1 where symbol = 'S1'")
    wrong = check_bars(connection, ALL).differing
    assert {symbol for symbol, _ in wrong} == {"S1"}
    assert {(bar.symbol, bar.corrected) for bar in repair_bars(connection, ALL)} == {("S1", True)}
    assert check_bars(connection, ALL).differing == ()
    nothing = Window(instant(DAY_ONE - DAY), instant(DAY_ONE))
    assert (check_bars(connection, nothing).compared, repair_bars(connection, nothing)) == (0, [])


@pytest.mark.database
def test_bars_of_dropped_ticks_stay(connection, warehouse):
    store(warehouse, feed(100))
    refresh(connection)
    repair_bars(connection, ALL)
    before = rows(connection, "select * from bars_1m order by 1, 2")
    connection.execute("select hypertape.drop_ticks('2026-01-06')")
    assert value(connection, "select count(*) from ticks") == 0
    assert build_bars(connection, [(symbol, NOON) for symbol in ("S0", "S1")]) == []
    assert repair_bars(connection, ALL) == []
    assert rows(connection, "select * from bars_1m order by 1, 2") == before


@pytest.mark.database
def test_bars_wait_for_a_database_that_is_away(warehouse, caplog):
    stream = BarStream("postgresql://nobody@127.0.0.1:1/none")
    stream.touch([at(0), at(100)])
    assert asyncio.run(stream.build()) == []
    assert "1 bars wait" in caplog.text
    assert stream._clock.take() == {("A", NOON)}
