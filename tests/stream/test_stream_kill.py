"""kill -9 of the writer, of the server, and of both, under load: what was accepted is there once, and nothing else is.

Sixty rounds, and two minutes without a database, with --thorough. Without: two rounds, which kill the server
under a living writer, then that writer, then both; and a moment without a database.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stream_job import OPTIONS, part, sent
from ticks_lab import NOW, assert_candles_are_right, refresh, rows, tick_digest, value

from hypertape.stream.database import DatabaseSink
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from thorough import is_thorough

pytestmark = pytest.mark.database

THOROUGH = is_thorough()
ROUNDS = 60 if THOROUGH else 2
AWAY_PARTS, AWAY_SECONDS = (2_000, 120.0) if THOROUGH else (40, 0.0)
"""What is sent while the database is away, and how long it is."""

VICTIMS = ("server", "both", "writer")
PARTS = 4_000
"""More than a child sends before it is killed."""


def start(dsn: str, root: Path, first: int, parts: int = PARTS) -> subprocess.Popen[bytes]:
    arguments = (dsn, str(root / "spool"), str(root / "told"), str(first), str(parts))
    job = Path(__file__).with_name("stream_job.py")
    with (root / "output").open("ab") as output:
        return subprocess.Popen([sys.executable, str(job), *arguments], stdout=output, stderr=output)


def accepted(root: Path) -> set[int]:
    """The parts whose acceptance was told; a line that the kill cut is none."""
    whole, _, _ = (
        (root / "told").read_bytes().rpartition(b"\n") if (root / "told").exists() else (b"", b"", b"")
    )
    return {int(line) for line in whole.split()}


def wait_for_parts(root: Path, child: subprocess.Popen[bytes], before: int) -> None:
    for _ in range(1200):
        if len(accepted(root)) > before:
            return
        assert child.poll() is None, (root / "output").read_text()
        time.sleep(0.05)
    raise AssertionError("nothing was accepted in a minute")


def kill_server(server: EmbeddedServer) -> None:
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # its children notice and end


def stored(dsn: str) -> dict[tuple[object, ...], int]:
    with connect(dsn, autocommit=True) as connection:
        found = rows(
            connection,
            "select symbol_name, (extract(epoch from tick_time) * 1000000)::bigint, sequence, count(*) "
            "from ticks group by 1, 2, 3",
        )
    return {tuple(key): number for *key, number in found}


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_killed_at_any_moment(own_server, tmp_path):
    chance = random.Random(11)
    dsn = own_server.up()
    first = 0
    for number in range(ROUNDS):
        victim = VICTIMS[number % 3]
        before = len(accepted(tmp_path))
        child = start(dsn, tmp_path, first)
        wait_for_parts(tmp_path, child, before)
        time.sleep(chance.uniform(0, 0.5))
        if victim != "writer":
            kill_server(own_server)
            time.sleep(chance.choice([0, 0.3]))  # ticks go to the spool meanwhile
        if victim == "server":  # the writer lives on: it catches up, and dies while the server is there
            assert own_server.up() == dsn
            wait_for_parts(tmp_path, child, len(accepted(tmp_path)) + 8)
        assert child.poll() is None, (tmp_path / "output").read_text()
        child.kill()
        child.wait(30)
        if victim != "writer":
            assert own_server.up() == dsn
        first = max(accepted(tmp_path)) + 10  # beyond whatever was on its way
    with start(dsn, tmp_path, first, 4) as last:  # it stores what is left in the spool
        assert last.wait(120) == 0, (tmp_path / "output").read_text()
    found, told = stored(dsn), accepted(tmp_path)
    ticks = {n: part(n) for n in told}
    wanted = {(t.symbol, t.time, t.sequence) for n in told for t in ticks[n]}
    missing = wanted - found.keys()
    assert not missing, f"{len(missing)} of {len(wanted)} accepted ticks are gone"
    assert set(found.values()) == {1}
    # not told, but on their way at a kill: at most the four parts of each round
    others = {sequence // 200 for _, _, sequence in found.keys() - wanted}
    assert len(others) <= 4 * ROUNDS
    ticks |= {n: part(n) for n in others - told}
    known = {(t.symbol, t.time, t.sequence): t for each in ticks.values() for t in each}
    assert found.keys() <= known.keys()
    with connect(dsn, autocommit=True) as connection:
        assert value(connection, "select count(*) from dead_letter") == 0
        refresh(connection)  # and their notes are whole: every candle is right
        assert_candles_are_right(connection, [known[key] for key in found])
    more = len(found) - len(wanted)
    print(f"{ROUNDS} kills: {len(wanted)} ticks accepted, all there once; {more} more were on their way")


def test_the_database_goes_away_and_comes_back(own_server, tmp_path):
    """The feed goes on, the spool takes it, and afterwards all is as if nothing had happened."""
    dsn = own_server.up()

    async def work(away: bool) -> tuple[int, object]:
        spool = tmp_path / ("away" if away else "there")
        async with DatabaseSink(dsn, spool, OPTIONS, now=lambda: NOW) as sink:
            await sink.publish(sent(0))
            if away:
                await asyncio.to_thread(own_server.down)
            for number in range(1, AWAY_PARTS):
                await asyncio.wait_for(sink.publish(sent(number)), 30)
                if away:
                    await asyncio.sleep(AWAY_SECONDS / AWAY_PARTS)
            spooled = sink.status.spool_records
            if away:
                assert "Start it" in (sink.status.away or "")
                await asyncio.to_thread(own_server.up)
            await asyncio.wait_for(sink.ticks.drained(), 300)
            assert sink.status.spool_records == 0
        with connect(dsn, autocommit=True) as connection:
            digest = tick_digest(connection)
            connection.execute("truncate bars.ticks, tick_pending")
            return spooled, digest

    undisturbed = asyncio.run(work(away=False))
    spooled, digest = asyncio.run(work(away=True))
    assert undisturbed[0] == 0
    assert spooled > 0
    assert digest == undisturbed[1]
    assert digest[0] == AWAY_PARTS * 200


def test_a_stream_starts_while_the_database_is_away(own_server, tmp_path):
    dsn = own_server.up()
    own_server.down()

    async def work() -> None:
        async with DatabaseSink(dsn, tmp_path, OPTIONS, now=lambda: NOW) as sink:
            await asyncio.wait_for(sink.publish(part(1)), 30)
            assert sink.status.spool_records > 0

    asyncio.run(work())
    own_server.up()

    async def again() -> None:
        async with DatabaseSink(dsn, tmp_path, OPTIONS, now=lambda: NOW) as sink:
            await asyncio.wait_for(sink.ticks.drained(), 60)

    asyncio.run(again())
    assert stored(dsn).keys() == {(t.symbol, t.time, t.sequence) for t in part(1)}
