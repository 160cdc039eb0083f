"""Ticks beside others: cryptofeed's PostgreSQL backend on the same quotes, and a hundred WebSocket clients."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import CommandFailed, output_of
from benchmarks.result import Result
from psycopg import conninfo

from hypertape.stream.model import SCALE, Tick
from hypertape.stream.sinks.websocket import WebSocketSink

PEER_PYTHON = "HYPERTAPE_BENCH_PEER_PYTHON"
"""Names a Python of at least 3.12, which the peer needs; default: what is on the path."""

CLIENTS, MESSAGE = 100, 100
WINDOW = 5_000
"""Ticks after which the clients are waited for: less than a client may leave unread."""


def cryptofeed(dsn: str, ticks: Sequence[Tick], durable: float) -> Result:
    """Quotes a second until they are committed, in an environment that is made for it and thrown away."""
    work = "cryptofeed's PostgreSQL backend, same quotes, plain table (writer vs it)"
    try:
        with tempfile.TemporaryDirectory(prefix="hypertape_bench_peer_") as directory:
            python = _environment(Path(directory))
            quotes = Path(directory) / "quotes.jsonl"
            quotes.write_text("\n".join(json.dumps(_quote(tick)) for tick in ticks))
            script = Path(__file__).with_name("peer_cryptofeed.py")
            where = json.dumps(conninfo.conninfo_to_dict(dsn))
            told = json.loads(output_of([str(python), str(script), where, str(quotes)]))
    except (CommandFailed, OSError) as error:
        print(f"cryptofeed cannot be had here: {error}", file=sys.stderr)
        return Result(f"{work}: not measured, see above", float("nan"), "rows/s")
    assert told["rows"] == len(ticks), told
    rate = told["rows"] / told["seconds"]
    return Result(work.replace("'s", f" {told['version']}'s", 1), rate, "rows/s", durable / rate)


def fan_out(ticks: Sequence[Tick]) -> list[Result]:
    """Ticks a second to each of a hundred clients of all symbols; each window is waited for by all of them.

    A message is of one symbol, so a hundred ticks of fifty symbols are some forty messages to each.
    """
    one = [tick._replace(symbol="S00") for tick in ticks]
    single, dropped = asyncio.run(_fan_out(one))
    mixed, more = asyncio.run(_fan_out(ticks[: 2 * WINDOW]))
    return [
        Result(
            f"fan-out to each of {CLIENTS} WebSocket clients, {MESSAGE} of one symbol a message",
            single,
            "ticks/s",
        ),
        Result(f"the same, {len({tick.symbol for tick in ticks})} symbols", mixed, "ticks/s"),
        Result(f"clients of {CLIENTS} that were dropped", dropped + more, "clients"),
    ]


async def _fan_out(ticks: Sequence[Tick]) -> tuple[float, int]:
    sink = WebSocketSink("127.0.0.1", 0, _everybody)
    await sink.start()
    words = ("-m", "benchmarks.listeners", sink.port, CLIENTS, WINDOW)
    child = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, words), stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert child.stdout is not None
    try:
        await child.stdout.readline()
        count = len(ticks) // WINDOW * WINDOW
        started = time.perf_counter()
        for start in range(0, count, WINDOW):
            for first in range(start, start + WINDOW, MESSAGE):
                await sink.publish(list(ticks[first : first + MESSAGE]))
                await asyncio.sleep(0)
            line = await asyncio.wait_for(child.stdout.readline(), 120)
            assert int(line) == WINDOW, line
        return count / (time.perf_counter() - started), sink.dropped
    finally:
        child.kill()
        await child.wait()
        await sink.close()


async def _everybody(headers: Mapping[str, str], address: str) -> str:
    return "benchmark"


def _quote(tick: Tick) -> list[Any]:
    return [tick.symbol, tick.time / 1e6, *(f"{(value or 0) / SCALE:.8f}" for value in (tick.bid, tick.ask))]


def _environment(directory: Path) -> Path:
    """A virtual environment with the peer in it; return its Python. Raises CommandFailed, OSError."""
    output_of([_python(), "-m", "venv", str(directory / "environment")])
    python = directory / "environment" / "bin" / "python"
    output_of(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "cryptofeed",
            "asyncpg",
        ]
    )
    return python


def _python() -> str:
    named = (
        os.environ.get(PEER_PYTHON),
        sys.executable,
        *map(shutil.which, ("python3.13", "python3.12", "python3")),
    )
    for each in named:
        if each and _is_new(each):
            return each
    raise OSError(f"it needs Python 3.12 or newer, and none is on the path; name one in {PEER_PYTHON}")


def _is_new(python: str) -> bool:
    try:
        output_of([python, "-c", "import sys; sys.exit(sys.version_info < (3, 12))"])
    except (CommandFailed, OSError):
        return False
    return True
