"""`hypertape stream` as people run it: feeds into a real warehouse, listeners on the other side, signals, codes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner
from websockets.sync.client import connect as listen

from hypertape.cli import app
from hypertape.errors import HypertapeError
from hypertape.orchestration.demo_summary import Summary
from hypertape.orchestration.demo_ticks import find_ticks, run_ticks
from hypertape.settings import load_settings
from hypertape.stream.feeds import open_feed
from hypertape.stream.gaps import add_gaps
from hypertape.stream.model import SCALE, FeedGap, Tick
from hypertape.stream.record import json_of
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from scrape import undeclared, values

pytestmark = pytest.mark.database

NOW = time.time_ns() // 1000
"""The stream refuses what is older than it keeps, by its own clock, so that these ticks are of today."""


def tick(number: int, symbol: str = "EURUSD", **others: Any) -> Tick:
    values = {
        "bid": 108_455_000 + number,
        "ask": 108_457_000 + number,
        "bid_volume": SCALE,
        "ask_volume": SCALE,
    }
    return Tick(symbol, NOW + 1000 * number, number, **{**values, **others}, source="")


class Lab:
    """A warehouse, a state directory, and the command line on them."""

    def __init__(self, dsn: str, directory: Path) -> None:
        self.dsn, self.directory = dsn, directory
        self.environment = {
            **os.environ, "HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_STATE_DIR": str(directory / "state"),
        }  # fmt: skip

    def file(self, name: str, lines: Sequence[bytes]) -> str:
        path = self.directory / name
        path.write_bytes(b"\n".join(lines))
        return str(path)

    def run(self, *arguments: str, code: int = 0) -> Any:
        """What the command prints: JSON where it was asked for, else its text."""
        try:
            done = CliRunner().invoke(app, ["stream", *arguments], env=self.environment)
        finally:
            logging.getLogger("hypertape").handlers.clear()
            logging.getLogger("hypertape").propagate = True
        error = done.exception
        said = done.output + (str(error) if isinstance(error, HypertapeError) else "")
        assert (error.exit_code if isinstance(error, HypertapeError) else done.exit_code) == code, (
            said,
            error,
        )
        return json.loads(done.stdout) if "--json" in arguments else said

    def rows(self, statement: str) -> list[Any]:
        with connect(self.dsn) as connection:
            return connection.execute(statement.encode()).fetchall()

    def sequences(self) -> list[int]:
        return [row[0] for row in self.rows("select sequence from ticks order by sequence")]

    @contextmanager
    def running(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
        """A stream as a process of its own, and what it writes to stderr."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hypertape.cli", "stream", "run", *arguments],
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said: list[str] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: said.extend(process.stderr or []))
        reader.start()
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()
            reader.join()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def lab(warehouse: str, tmp_path: Path) -> Lab:
    return Lab(warehouse, tmp_path)


def until(condition: Any, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come in time"
        time.sleep(0.05)


def test_a_file_becomes_ticks_candles_bars_and_an_answer_to_what_is_missing(lab):
    lines = [json_of(tick(n)) for n in (1, 2, 2, 5, 6)]
    name = lab.file("ticks.jsonl", [*lines[:3], b'{"symbol": "EURUSD", "bid": "x"}', *lines[3:]])
    done = lab.run("run", f"jsonl:{name}", "--json", code=4)
    figures = done["feeds"]["jsonl:ticks.jsonl"]
    assert (figures["ticks"], figures["rejected"], figures["gaps"], figures["state"]) == (5, 1, 1, "ended")
    assert done["dead_letters"] == 1
    assert lab.sequences() == [1, 2, 5, 6]
    assert lab.rows("select sum(tick_count) from ohlc_1m") == [(4,)]
    assert lab.rows("select count(*) > 0 from bars_1m") == [(True,)]
    (gap,) = lab.run("gaps", "--json")
    assert (gap["source"], gap["symbol"], gap["last_sequence"], gap["first_sequence"]) == (
        "jsonl:ticks.jsonl",
        "EURUSD",
        2,
        5,
    )
    (letter,) = lab.run("dead-letters", "--json")
    assert letter["record"] == '{"symbol": "EURUSD", "bid": "x"}'
    assert "not a line of jsonl" in letter["error"]
    assert "There is no such gap" in lab.run("gaps", "--source", "nobody")
    assert lab.run("gaps", "--source", "nobody", "--json") == []
    assert "Replay what is missing" in lab.run("gaps", "--strict", code=3)

    missed = lab.file("missed.jsonl", [json_of(tick(n)) for n in (3, 4)])
    lab.run("replay", missed, "--source", "jsonl:ticks.jsonl", "--json")
    assert lab.sequences() == [1, 2, 3, 4, 5, 6]
    (gap,) = lab.run("gaps", "--closed", "--json")
    assert gap["closed_by"] == "replay"
    lab.run("gaps", "--strict")

    assert "still no ticks" in lab.run("replay", "--dead-letter", code=4)
    lab.run("dead-letters", "--settle", str(letter["letter_id"]))
    assert lab.run("dead-letters", "--json") == []
    status = lab.run("status", "--json")
    assert (status["streams"], status["open_gaps"], status["dead_letters"], status["pending_ranges"]) == (
        [],
        0,
        0,
        0,
    )
    assert "no stream is alive" in lab.run("status", "--strict", code=3).lower()


def test_a_tick_that_could_not_be_stored_is_replayed_after_the_mend(lab):
    with connect(lab.dsn, autocommit=True) as connection:
        connection.execute("alter table bars.ticks add constraint lab check (sequence <> 500)")
    name = lab.file("ticks.jsonl", [json_of(tick(n)) for n in range(1, 1001)])
    lab.run("run", f"jsonl:{name}", "--json", code=4)
    assert lab.rows("select count(*) from ticks") == [(999,)]
    (letter,) = lab.run("dead-letters", "--json")
    assert '"sequence":500' in letter["record"]
    assert "lab" in letter["error"]
    assert lab.run("replay", "--dead-letter", "--json", code=4)["refused"] == 1
    with connect(lab.dsn, autocommit=True) as connection:
        connection.execute("alter table bars.ticks drop constraint lab")
    assert lab.run("replay", "--dead-letter", "--json")["stored"] == 1
    assert lab.rows("select count(*) from ticks") == [(1000,)]
    assert lab.run("dead-letters", "--json") == []


def test_a_running_stream_serves_listeners_and_a_signal_flushes_it(lab):
    with connect(lab.dsn, autocommit=True) as connection:
        key = api_keys.create(connection, "lab", "read", now=_now(connection))
    with lab.running("jsonl:-", "--to", "database,websocket", "--port", "0", "--json") as (process, said):
        assert process.stdin is not None
        until(lambda: any("listening on" in line for line in said))
        port = re.search(r":(\d+)$", next(line for line in said if "listening on" in line).strip())
        assert port is not None
        headers = {"Authorization": f"Bearer {key}"}
        with listen(
            f"ws://127.0.0.1:{port[1]}/ws?topics=ticker:EURUSD", additional_headers=headers
        ) as client:
            assert json.loads(client.recv(10)) == {"topics": ["ticker:EURUSD"]}
            process.stdin.write(json_of(tick(1)).decode() + "\n")
            process.stdin.flush()
            heard = json.loads(client.recv(10))
            assert (heard["topic"], heard["ticks"][0]["sequence"]) == ("ticker:EURUSD", 1)
            assert lab.sequences() == [1], "what a listener heard is stored"
        until(lambda: lab.run("status", "--json")["streams"] != [])
        status = lab.run("status", "--json", "--strict")
        assert status["streams"][0]["alive"] is True
        assert "jsonl:-" in status["streams"][0]["figures"]["feeds"]
        url = f"http://127.0.0.1:{port[1]}"
        scraped = httpx.get(f"{url}/metrics", headers=headers).text
        assert undeclared(scraped, "every", "stream") == (set(), set())
        assert values(scraped, "hypertape_up") == [1]
        assert values(scraped, "hypertape_stream_feed_ticks_total", feed="jsonl:-") == [1]
        assert values(scraped, "hypertape_stream_queue_limit_rows") == [10_000]
        assert httpx.get(f"{url}/status", headers=headers).json()["feeds"]["jsonl:-"]["ticks"] == 1
        assert httpx.get(f"{url}/metrics").status_code == 401
        process.stdin.write(json_of(tick(2)).decode() + "\nhalf a line")
        process.stdin.flush()
        until(lambda: lab.sequences() == [1, 2])
        missed = lab.file("missed.jsonl", [json_of(tick(3))])
        lab.run("replay", missed, "--source", "jsonl:-", "--json")  # beside the running stream
        assert lab.sequences() == [1, 2, 3]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, said
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["feeds"]["jsonl:-"]["ticks"] == 2
    assert lab.run("status", "--json")["streams"] == [], "it signed off"


def test_with_the_database_away_ticks_wait_in_the_spool(lab):
    name = lab.file("ticks.jsonl", [json_of(tick(n)) for n in range(1, 11)])
    there = lab.environment["HYPERTAPE_DATABASE_URL"]
    lab.environment["HYPERTAPE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"
    said = lab.run("run", f"jsonl:{name}")
    assert "spool" in said
    lab.environment["HYPERTAPE_DATABASE_URL"] = there
    assert lab.sequences() == []
    assert lab.run("status", "--json")["spool_bytes_here"] > 0
    assert lab.run("replay", "--spool", "--json")["tick_batches"] > 0
    assert lab.sequences() == list(range(1, 11))
    assert lab.run("replay", "--spool", "--json") == {"tick_batches": 0, "notice_batches": 0}


def test_a_killed_stream_knows_what_it_missed_when_it_starts_again(lab):
    """Its last tick and number are in the warehouse: the time without it is a gap, and a replay closes it."""
    with lab.running("jsonl:-") as (process, _):
        assert process.stdin is not None
        process.stdin.write("".join(json_of(tick(n)).decode() + "\n" for n in (1, 2)))
        process.stdin.flush()
        until(lambda: lab.sequences() == [1, 2])
        process.kill()
        process.wait()
    assert lab.run("gaps", "--json") == [], "nobody knows of it yet"
    again = lab.file("again.jsonl", [json_of(tick(n)) for n in (7, 8)])
    done = lab.run("run", f"jsonl:{again}?source=jsonl:-", "--json")
    assert done["feeds"]["jsonl:-"]["gaps"] == 1
    (gap,) = lab.run("gaps", "--json")
    shown = [gap[name] for name in ("source", "symbol", "reason", "last_sequence", "first_sequence")]
    assert shown == ["jsonl:-", "EURUSD", "sequence", 2, 7]
    missed = lab.file("missed.jsonl", [json_of(tick(n)) for n in range(3, 7)])
    lab.run("replay", missed, "--source", "jsonl:-", "--json")
    assert lab.run("gaps", "--json") == []
    with connect(lab.dsn) as connection:  # a gap that no number proves filled: who replays says so
        add_gaps(connection, [FeedGap("jsonl:-", None, "silent", NOW, NOW + 1, None, None)])
    (silent,) = lab.run("gaps", "--json")
    lab.run("replay", missed, "--source", "jsonl:-", "--closes", str(silent["gap_id"]), "--json")
    assert lab.run("gaps", "--closed", "--json")[0]["closed_by"] == "replay"


def test_the_synthetic_feed_is_the_same_for_a_seed():
    async def records(seed: int) -> list[Any]:
        feed = open_feed(f"synthetic:{seed}?ticks=300&pause=0&start=2026-01-05T00:00:00Z")
        return [event async for batch in feed.run() for event in batch]

    one, again, other = (asyncio.run(records(seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert {event.symbol for event in one if isinstance(event, Tick)} == {"SYNEUR", "SYNGOLD"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "kafka:x"], 2, "names no feed"),
        (["run", "jsonl:nowhere.jsonl"], 2, "no such file"),
        (["run", "jsonl:-", "--to", "printer"], 2, "Targets: database, websocket, rabbitmq"),
        (["run", "jsonl:-", "--to", ""], 2, "Targets: database, websocket, rabbitmq"),
        (["run", "jsonl:-", "jsonl:-"], 2, "Two feeds have one name"),
        (["run", "jsonl:-", "--to", "rabbitmq"], 2, "HYPERTAPE_RABBITMQ_URL"),
        (["replay"], 2, "Name a file, --dead-letter or --spool"),
        (["replay", "ticks.txt"], 2, "Name its feed"),
        (["replay", "ticks.jsonl", "--spool"], 2, "Name a file, --dead-letter or --spool"),
        (["gaps", "--close", "x"], 2, "are no ids"),
        (["replay", "--spool", "--closes", "1"], 2, "Name a file, --dead-letter or --spool"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_says_what_can(lab, arguments, code, said):
    assert said in lab.run(*arguments, code=code)


def test_a_schema_that_is_not_there_is_said_before_a_tick_is_read(empty_database, tmp_path):
    lab = Lab(empty_database, tmp_path)
    name = lab.file("ticks.jsonl", [json_of(tick(1))])
    assert "hypertape schema apply" in lab.run("run", f"jsonl:{name}", code=5)


def _now(connection: psycopg.Connection[Any]) -> Any:
    row = connection.execute("select now()").fetchone()
    assert row is not None
    return row[0]


def test_the_demos_ticks_show_every_defect_that_was_planted(lab):
    settings, now = load_settings(state_dir=lab.directory / "state", database_url=lab.dsn), datetime.now(UTC)
    shown = run_ticks(lab.dsn, settings, now)
    assert {each.what for each in shown if each.found} == {"gap", "duplicate", "poisoned", "late"}
    assert (
        "4 of 4 planted defects found, 4 of them in ticks" in Summary([], [], [], [], True, shown).verdict()
    )
    with connect(lab.dsn, autocommit=True) as connection:
        for table in ("feed_gap", "dead_letter", "bars.ticks", "bars_1m"):
            connection.execute(f"delete from {table}".encode())
    shown = find_ticks(lab.dsn, now)
    assert len(Summary([], [], [], [], True, shown).missed) == 4, "a check that cannot fail is none"
