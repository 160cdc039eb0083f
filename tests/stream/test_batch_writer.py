"""The writer: accepted means durable, a poisoned row stands alone, what is sent twice is there once."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from ticks_lab import DAY_ONE, NOON, NOW, feed, rows, store, tick, tick_digest, value, writing

from hypertape.errors import BadInput, DatabaseBusy, SpoolFull
from hypertape.frame import instant
from hypertape.stream.bar_table import BarStorage
from hypertape.stream.database import DatabaseSink
from hypertape.stream.event_table import EventTable
from hypertape.stream.gaps import close_filled_gaps, close_gaps, feed_gaps
from hypertape.stream.letters import dead_letters, mark_replayed
from hypertape.stream.metrics import WriterMetrics
from hypertape.stream.model import MINUTE, SCALE, Bar1m, FeedGap, Rejected, SymbolInfo
from hypertape.stream.spool import Spool
from hypertape.stream.symbols import SymbolIds
from hypertape.stream.tick_table import DAY, TickTable
from hypertape.stream.workers import beat, remove_worker, stream_workers
from hypertape.stream.writer import WriterOptions
from hypertape.warehouse.connect import connect

pytestmark = pytest.mark.database


def count(connection):
    return value(connection, "select count(*) from bars.ticks")


# what is stored


def test_every_value_arrives_as_it_was_sent(connection, warehouse):
    extremes = [
        tick("A", bid=0, ask=-1, bid_volume=1, ask_volume=99_999_999),
        tick("Ä€", sequence=0, bid=9_223_372_036_854_775_807, ask=None, bid_volume=None, ask_volume=10_000),
        tick("C", time=1_767_571_200_123_457, bid=None, ask=-9_223_372_036_854_775_807, source="Quelle Ü"),
        tick("D", sequence=2**63 - 1, bid=10**8, ask=10**16, bid_volume=12_345_678_901_234_567, source=""),
    ]
    store(warehouse, extremes)
    found = rows(
        connection,
        "select symbol_name, tick_time, sequence, bid_price, ask_price, bid_volume, ask_volume, source "
        "from ticks order by 1",
    )
    sent = [(t.symbol, instant(t.time), *t[2:]) for t in sorted(extremes, key=lambda t: t.symbol)]
    scaled = [
        (*head, *(None if v is None else int(v * SCALE) for v in values), source)
        for *head, a, b, c, d, source in found
        for values in [(a, b, c, d)]
    ]
    assert scaled == [tuple(row) for row in sent]


@pytest.mark.parametrize("again", [1, 20], ids=["once more", "often"])
def test_the_same_tick_twice_is_one_tick(connection, warehouse, again):
    ticks = feed(2_500)
    store(warehouse, ticks)
    before = tick_digest(connection)
    for _ in range(again):
        store(warehouse, ticks[::-1] if again == 1 else ticks[:300] * 2)
    assert tick_digest(connection) == before
    assert value(connection, "select count(*) from dead_letter") == 0


def test_another_tick_with_the_key_of_a_stored_one_is_kept_beside_it(connection, warehouse):
    """In the same batch, and in a later one: the first stays, the other is no tick and not lost."""
    store(warehouse, [tick(), tick(bid=7), tick("X")])
    store(warehouse, [tick(bid=8), tick("Y"), tick("X")])
    assert value(connection, "select bid_price from ticks where symbol_name = 'EURUSD'") * SCALE == tick().bid
    letters = dead_letters(connection)
    assert sorted(json.loads(letter.record)["bid"] for letter in letters) == ["0.00000007", "0.00000008"]
    assert {letter.error for letter in letters} == {"another tick of this symbol has this time and sequence"}
    assert count(connection) == 3


POISON = {
    "no price at all": (tick(bid=None, ask=None), "violates check constraint"),
    "a negative sequence": (tick(sequence=-1), "violates check constraint"),
    "a price beyond 64 bits": (tick(bid=10**20), "too large"),
    "a price that is text": (tick(bid="1.08"), "invalid literal|must be"),
    "a symbol that is none": (tick(""), "cannot be a symbol"),
    "a symbol with a NUL": (tick("EUR\0USD"), "cannot be a symbol"),
    "a symbol too long": (tick("E" * 51), "cannot be a symbol"),
    "a source with a NUL": (tick(source="a\0b"), "invalid byte sequence"),
    "half a character": (tick("EUR\ud800"), "cannot be a symbol|surrogates"),
    "an instant beyond the calendar": (tick(time=10**18), "ahead of the clock"),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_a_poisoned_tick_among_a_thousand(connection, warehouse, poison):
    bad, why = poison
    ticks = feed(999)
    store(warehouse, [*ticks[:617], bad, *ticks[617:]], options=WriterOptions(batch_size=1000))
    assert count(connection) == 999
    (letter,) = dead_letters(connection)
    assert letter.kind == "tick"
    assert set(json.loads(letter.record)) >= {"symbol", "time", "sequence", "bid"}
    assert re.search(why, letter.error), letter.error
    # mended and replayed
    store(warehouse, [tick("MENDED")])
    mark_replayed(connection, [letter.letter_id])
    assert count(connection) == 1000
    assert dead_letters(connection) == []
    assert len(dead_letters(connection, replayed=True)) == 1
    store(warehouse, [bad])
    (letter,) = dead_letters(connection)
    assert letter.times == 2


@pytest.mark.parametrize(
    ("time", "stored"),
    [
        (NOW - 89 * DAY, True), (NOW - 89 * DAY - 1, False), (NOW + 5 * MINUTE, True), (NOW + 5 * MINUTE + 1, False),
    ],
    ids=["the oldest", "too old", "a clock ahead", "too far ahead"],
)  # fmt: skip
def test_what_is_too_old_or_too_new_is_refused(connection, warehouse, time, stored):
    store(warehouse, [tick(time=time), tick("OTHER")])
    assert count(connection) == 1 + stored
    assert value(connection, "select count(*) from dead_letter") == (not stored)


def test_what_was_dropped_stays_dropped_whatever_the_clock_says(connection, warehouse):
    connection.execute("update tick_state set dropped_before = '2026-01-06'")
    store(warehouse, [tick(), tick(time=NOON + DAY)], now=NOW)
    assert rows(connection, "select tick_time from ticks") == [(instant(NOON + DAY),)]
    assert [letter.error for letter in dead_letters(connection)] == ["older than what is kept"]


# queue and batches


def test_batches_by_size_and_by_age(connection, warehouse):
    metrics = WriterMetrics(CollectorRegistry())
    options = WriterOptions(batch_size=100, interval=1.0, lanes=2)

    async def work():
        async with writing(warehouse, options=options, metrics=metrics) as writer:
            full = await writer.submit(feed(250))
            await asyncio.sleep(0.02)
            assert (writer.status.queued, full.done()) == (50, False), (
                "two are full, the rest waits for its age"
            )
            await asyncio.wait_for(full, 30)

    asyncio.run(work())
    assert metrics.batch_size.labels("ticks")._sum.get() == 250
    assert value(connection, "select count(distinct xmin::text) from bars.ticks") == 3


def test_a_write_does_not_wait_for_its_batch_to_fill(connection, warehouse):
    async def work():
        async with writing(warehouse, options=WriterOptions(interval=60)) as writer:
            await asyncio.wait_for(writer.write([tick()]), 30)
            assert count(connection) == 1, "accepted is durable"

    asyncio.run(work())


def test_closing_writes_what_is_queued(connection, warehouse):
    async def work():
        async with writing(warehouse, options=WriterOptions(interval=60)) as writer:
            future = await writer.submit(feed(130))
            assert not future.done()
        assert future.done()
        with pytest.raises(BadInput, match="is closed"):
            await writer.submit([tick()])

    asyncio.run(work())
    assert count(connection) == 130


def test_a_full_queue_makes_the_feed_wait(connection, warehouse):
    """The database holds still; no spool: the third hundred has no room until it moves again."""
    options = WriterOptions(batch_size=100, queue_size=200)
    ticks = feed(1000)

    async def work():
        with connect(warehouse) as blocker:
            blocker.execute("lock table bars.ticks in access exclusive mode")
            async with writing(warehouse, options=options) as writer:
                feeding = asyncio.create_task(writer.submit(ticks))
                await asyncio.sleep(0.5)
                assert not feeding.done()
                assert (writer.status.queued, writer.status.in_flight) == (200, 100)
                blocker.rollback()
                await (await feeding)

    asyncio.run(work())
    assert count(connection) == 1000


# retries and the spool


def broken_connections(dsn, registry, spool=None, tries=3):
    """Write while the server ends every session of the writer that begins a batch."""
    metrics = WriterMetrics(registry)

    async def work():
        options = WriterOptions(tries=tries, retry_delay=0.01)
        async with writing(dsn, options=options, spool=spool, metrics=metrics) as writer:
            await writer.write([tick("WARM")])
            with connect(dsn, autocommit=True) as killer:
                killer.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'hypertape stream' and datname = current_database()"
                )
            await writer.write([tick()])
            return writer.status

    return asyncio.run(work()), metrics


def test_a_broken_connection_is_tried_again(connection, warehouse):
    status, metrics = broken_connections(warehouse, CollectorRegistry())
    assert (status.accepted, status.refused, status.away) == (2, 0, None)
    assert count(connection) == 2
    assert metrics.writes.labels("ticks", "success")._value.get() == 2


def test_the_meters_have_the_document_s_names(warehouse):
    registry = CollectorRegistry()
    broken_connections(warehouse, registry)
    found = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert found >= {
        "timescale_write_total", "timescale_write_errors_total", "timescale_write_latency_seconds_count",
        "timescale_write_queue_depth", "timescale_write_batch_size_sum",
    }  # fmt: skip
    assert registry.get_sample_value("timescale_write_total", {"writer": "ticks", "status": "success"}) == 2


def test_only_what_may_pass_is_tried_again(warehouse, tmp_path):
    """A refusal that will not pass (no permission) goes to the spool at once and waits there."""
    registry = CollectorRegistry()
    metrics = WriterMetrics(registry)
    spool = Spool(tmp_path, most_bytes=1 << 20)

    async def work():
        async with writing(
            warehouse, options=WriterOptions(retry_delay=30), spool=spool, metrics=metrics
        ) as writer:
            with connect(warehouse, autocommit=True) as owner:
                owner.execute("alter table bars.ticks rename to away")
                await asyncio.wait_for(writer.write([tick()]), 20)
                status = writer.status
                owner.execute("alter table bars.away rename to ticks")
            return status

    status = asyncio.run(work())
    assert (status.accepted, status.spool_records) == (1, 1)
    assert "ticks" in (status.away or "")


def test_a_slow_database_makes_nobody_wait(connection, warehouse, tmp_path):
    """Spooled after a moment, in order, and everything is there once when the database moves again."""
    ticks = feed(3_000)
    options = WriterOptions(batch_size=500, slow_after=0.1, lanes=2)

    async def work():
        spool = Spool(tmp_path, most_bytes=1 << 24)
        async with writing(warehouse, options=options, spool=spool) as writer:
            with connect(warehouse) as blocker:
                blocker.execute("lock table bars.ticks in access exclusive mode")
                await asyncio.wait_for(writer.write(ticks), 20)
                assert writer.status.spool_records == 6
                assert writer.status.accepted == 3_000
                blocker.rollback()
            await asyncio.wait_for(writer.drained(), 60)
            assert (writer.status.spool_records, writer.status.spool_bytes) == (0, 0)
            await writer.write([tick("DIRECT")])

    asyncio.run(work())
    assert count(connection) == 3_001


def test_a_full_spool_refuses_and_keeps_what_it_accepted(connection, warehouse, tmp_path):
    ticks = feed(2_000)
    options = WriterOptions(batch_size=100, slow_after=0.05)

    async def work():
        spool = Spool(tmp_path, most_bytes=40_000)
        async with writing(warehouse, options=options, spool=spool) as writer:
            with connect(warehouse) as blocker:
                blocker.execute("lock table bars.ticks in access exclusive mode")
                accepted, sent = 0, None
                for start in range(0, 2_000, 100):
                    (sent,) = await asyncio.gather(
                        writer.write(ticks[start : start + 100]), return_exceptions=True
                    )
                    if sent is not None:
                        break
                    accepted += 100
                assert isinstance(sent, SpoolFull)
                assert "HYPERTAPE_SPOOL_MEGABYTES" in str(sent)
                assert 0 < accepted < 2_000
                assert (writer.status.accepted, writer.status.refused) == (accepted, 100)
                blocker.rollback()
            await asyncio.wait_for(writer.drained(), 60)
            assert count(connection) == accepted
            await writer.write(ticks[accepted:])  # the feed was told, and sends again
        return accepted

    asyncio.run(work())
    assert count(connection) == 2_000


def test_what_a_dead_process_spooled_comes_first(connection, warehouse, tmp_path):
    async def spool_only():
        spool = Spool(tmp_path, most_bytes=1 << 24)
        async with writing(warehouse, options=WriterOptions(slow_after=0.05), spool=spool) as writer:
            with connect(warehouse) as blocker:
                blocker.execute("lock table bars.ticks in access exclusive mode")
                await writer.write([tick("OLD", sequence=n) for n in range(10)])
                left = [path.read_bytes() for path in sorted(tmp_path.glob("*.segment"))]
                blocker.rollback()
                await writer.drained()
        return left

    left = asyncio.run(spool_only())
    connection.execute("truncate bars.ticks")
    for place, data in enumerate(left):
        (tmp_path / f"{place + 1:012d}.segment").write_bytes(data)

    async def next_process():
        async with writing(warehouse, spool=Spool(tmp_path, most_bytes=1 << 24)) as writer:
            await asyncio.wait_for(writer.drained(), 30)
            assert count(connection) == 10

    asyncio.run(next_process())


# bars


def bar(symbol="VIC", time=NOON, **others):
    values = {"open": 3, "high": 5, "low": 1, "close": 4, "volume": 7, "vwap": None}
    return Bar1m(symbol, time, **(values | others))


def test_bars_by_the_document_s_verbs(connection, warehouse):
    """The later of two bars of a minute replaces the earlier, within a batch and between two."""
    bars = [bar(time=NOON + n * MINUTE, volume=n) for n in range(5)]

    async def work():
        async with BarStorage(warehouse) as storage:
            await (await storage.write_bars([*bars, bar(volume=9)]))
            assert await storage.get_bars("VIC", instant(NOON), instant(NOON + 2 * MINUTE)) == [
                bar(volume=9),
                bars[1],
            ]
            assert await storage.get_latest_bars("VIC", 2) == bars[3:]
            await storage.write_bars([bar(vwap=4)])
        async with BarStorage(warehouse) as storage:
            assert (await storage.get_bars("VIC", instant(NOON), instant(NOON + 1)))[0].vwap == 4
            assert await storage.get_latest_bars("NONE", 3) == []
            await (await storage.write_bars([bar(high=0), bar("OK")]))

    asyncio.run(work())
    assert [(letter.kind, json.loads(letter.record)["high"]) for letter in dead_letters(connection)] == [
        ("bar", "0")
    ]
    assert value(connection, "select count(*) from bars_1m") == 6


def test_the_document_s_upsert_runs_as_written(connection):
    statement = """INSERT INTO bars_1m (symbol, timestamp, open, high, low, close, volume, vwap)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (symbol, timestamp) DO UPDATE SET
    open = EXCLUDED.open,
    high = EXCLUDED.high,
    low = EXCLUDED.low,
    close = EXCLUDED.close,
    volume = EXCLUDED.volume,
    vwap = EXCLUDED.vwap;"""
    for close in (1.5, 1.75):
        connection.execute(statement, ("VIC", instant(NOON), 1.5, 2, 1, close, 100, 1.6))
    assert rows(connection, "select close::text, vwap::text from bars_1m") == [("1.75000000", "1.60000000")]


# what feeds say beside ticks


def test_notices_are_stored_as_durably(connection, warehouse, tmp_path):
    gap = FeedGap("fix", "EURUSD", "sequence", NOON, None, 4, None)
    listed = SymbolInfo("EURUSD", "Euro", 5, 1_000, 100_000 * SCALE)

    async def work():
        async with DatabaseSink(warehouse, tmp_path, now=lambda: NOW) as sink:
            await sink.record([Rejected("fix", b"\xff8=FIX", "no checksum"), gap, listed])
            await sink.record(
                [gap._replace(end=NOON + 5, first_sequence=7), Rejected("fix", b"\xff8=FIX", "again")]
            )
            await sink.publish([tick(sequence=5, time=NOON + 1, source="fix")])

    asyncio.run(work())
    (letter,) = dead_letters(connection, source="fix")
    assert (letter.record, letter.times, letter.error) == (b"\xff8=FIX", 2, "again")
    (known,) = feed_gaps(connection)
    assert (known.end_time, known.last_sequence, known.first_sequence) == (instant(NOON + 5), 4, 7)
    symbol = "select name, digits, tick_size, last_synced_at is not null from symbols where ticker = 'EURUSD'"
    assert rows(connection, symbol) == [("Euro", 5, 0.00001, True)]
    assert close_filled_gaps(connection, "replay") == [], "one of two is still missing"
    store(warehouse, [tick(sequence=6, time=NOON + 2, source="fix")])
    assert close_filled_gaps(connection, "replay") == [known.gap_id]
    assert feed_gaps(connection) == []
    assert feed_gaps(connection, closed=True)[0].closed_by == "replay"
    close_gaps(connection, [known.gap_id], "again")
    assert feed_gaps(connection, closed=True)[0].closed_by == "replay", "closed once"


def test_notices_survive_the_spool(warehouse):
    table = EventTable(warehouse, now=lambda: NOW)
    notices = [
        Rejected("f", b"\0\xff", "e"),
        FeedGap("f", None, "silent", 1, None, None, None),
        SymbolInfo("A", None, 5, None, 1),
    ]
    assert table.decode(table.encode(notices)) == notices
    of_ticks, ticks = TickTable(warehouse, SymbolIds(), now=lambda: NOW), feed(50)
    assert of_ticks.decode(of_ticks.encode(ticks)) == ticks


def test_running_streams_say_how_they_are(connection):
    started = instant(DAY_ONE)
    beat(connection, "one", started, {"queued": 3})
    beat(connection, "one", started, {"queued": 4})
    (worker,) = stream_workers(connection)
    assert (worker.name, worker.figures, worker.started_at) == ("one", {"queued": 4}, started)
    assert worker.beat_at - started > timedelta(0)
    remove_worker(connection, "one")
    assert stream_workers(connection) == []


def test_no_tick_slips_in_under_a_border_that_moves(connection, warehouse):
    """A batch under way holds off the drop until it has committed, and its note then keeps its day."""
    with psycopg.connect(warehouse, autocommit=True) as writer:
        from hypertape.queries import query

        store(warehouse, [tick("S")])
        connection.execute("delete from tick_pending")
        writer.execute(query("stream_begin"))
        writer.execute("insert into tick_pending (first_time, last_time) values ('2026-01-05', '2026-01-05')")
        connection.execute("set lock_timeout = '200ms'")
        with pytest.raises(DatabaseBusy, match="lock timeout"):
            connection.execute("select hypertape.drop_ticks('2026-01-08')")
        writer.execute("commit")
        connection.execute("select hypertape.drop_ticks('2026-01-08')")
    assert value(connection, "select dropped_before from tick_state") == instant(DAY_ONE)
    assert count(connection) == 1
