"""Four workers over 300 tickers with the suite, for ten minutes of the market: calm, beside an executor, killed,
frozen, restarted. Some four minutes each; `-s -k killed` runs one and prints its table, HYPERTAPE_ROUNDS=3 shortens it.

In every run, with fewer tickers: test_workers.py, test_shared_rounds.py.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crew import Crew, statuses, sums

from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse.claims import BEATS_PER_LEASE
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.schema import apply

TICKERS = [f"T{n:03}" for n in range(300)]
ROUNDS, STEP, LEASE = int(os.environ.get("HYPERTAPE_ROUNDS", "10")), 20.0, 5.0
BOUND = LEASE + LEASE / BEATS_PER_LEASE
PATIENCE = 30.0
"""Seconds that a loaded machine, and the batch that a living worker is in, may take on top."""

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]


@contextmanager
def own_server() -> Iterator[tuple[EmbeddedServer, str]]:
    """A server that may be restarted, and a new warehouse on it."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-"))
    directory.chmod(0o755)
    server = EmbeddedServer(load_settings(state_dir=directory))
    dsn = server.up()
    try:
        with connect(dsn, autocommit=True) as connection:
            apply(connection, all_markets().values())
        yield server, dsn
    finally:
        server.remove()
        shutil.rmtree(directory)


class Trouble:
    """What happens to a crew; `took` are the seconds from a worker's end to its work being taken."""

    def __init__(self, crew: Crew, server: EmbeddedServer) -> None:
        self.crew, self.server, self.took = crew, server, list[float]()

    def calm(self, number: int) -> None:
        """Nothing."""

    def beside(self, number: int) -> None:
        """Nothing: there are two processes more, which do a DAG's tasks."""

    def killed(self, number: int) -> None:
        """A worker is killed in its work, another begins."""
        victim, units = self.crew.holder()
        victim.kill()
        victim.wait()
        self.took.append(self.crew.taken_after(units, victim))
        self.crew.hire()

    def frozen(self, number: int) -> None:
        """A worker is stopped past its lease, and wakes."""
        victim, units = self.crew.holder()
        victim.send_signal(signal.SIGSTOP)
        self.took.append(self.crew.taken_after(units, victim))
        time.sleep(1.0)
        victim.send_signal(signal.SIGCONT)

    def restarted(self, number: int) -> None:
        """The server is stopped in the middle of work, and is back after some seconds; twice."""
        if number in (2, 6):
            self.crew.holder()
            self.server.down()
            time.sleep(3.0)
            self.server.up()


@pytest.mark.parametrize("kind", ["calm", "beside", "killed", "frozen", "restarted"])
def test_three_hundred_tickers(kind: str, tmp_path: Path, new_warehouse: Callable[..., object]):
    """No ticker is left out for another, none asked for twice in a round, and the bars are those of one worker."""
    with own_server() as (server, dsn):
        crew = Crew(dsn, tmp_path, TICKERS, STEP, ROUNDS, lease=LEASE, check=True)
        try:
            trouble = Trouble(crew, server)
            for _ in range(4):
                crew.hire()
            if kind == "beside":
                crew.schedule()
            for number in range(ROUNDS):
                time.sleep(max(0.0, crew.anchor + (number + 0.1) * STEP - time.time()))
                getattr(trouble, kind)(number)
            said = crew.finish()
            # before one worker asks the same vendor for everything
            rounds, asks, twice = crew.vendor.by_round(STEP), crew.vendor.asks(), crew.vendor.twice(STEP)
            mine = sums(dsn)
            print(report(kind, said, trouble.took, rounds, asks, statuses(dsn)))
            with own_server() as (_, alone):
                assert mine == crew.sums_of_one_worker(alone), said
        finally:
            crew.end()
    assert all(seconds < BOUND + PATIENCE for seconds in trouble.took), trouble.took
    if kind == "calm":
        assert {max(counter.values()) for counter in rounds.values()} == {1}
    if kind in ("calm", "beside"):
        assert twice == 0
        assert max(asks.values()) - min(asks.values()) <= 1, "all take turns"
    ends = Counter(process.returncode for process in crew.processes)
    ends[0] += ends.pop(-signal.SIGTERM, 0)  # told to end before it had begun
    killed = len(trouble.took) if kind == "killed" else 0
    assert ends == Counter({0: len(crew.processes) - killed, -signal.SIGKILL: killed}), said


def report(
    kind: str,
    said: str,
    took: list[float],
    rounds: dict[int, Counter[str]],
    asks: Counter[str],
    ended: Counter[str],
) -> str:
    """What came of it, as tables: what the vendor saw, what each worker says it did (numbers 04 on: the executor's)."""
    whats = ("asked", "skipped", "failed", "reclaimed", "lost")
    twice = sum(n - 1 for counter in rounds.values() for n in counter.values())
    lines = [
        f"\n{kind}, load of the machine {os.getloadavg()[0]:.1f}",
        f"tickers in each round: {', '.join(str(len(counter)) for counter in rounds.values())}; "
        f"asked for twice in one: {twice}; asks of a ticker: {min(asks.values())} to {max(asks.values())}",
        f"seconds from an end to its work taken (bound {BOUND:.0f}): {', '.join(f'{s:.1f}' for s in took) or '-'}",
        f"sync_progress: {', '.join(f'{count} {status}' for status, count in sorted(ended.items()))}",
        f"| worker | {' | '.join(whats)} |",
        f"|---|{'---|' * len(whats)}",
    ]
    for log in re.split(r"\n(?=\d\d\.log)", said):
        counts = (sum(map(int, re.findall(rf"{what} (\d+)", log))) for what in whats)
        lines.append(f"| {log.split('.log')[0]} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)
