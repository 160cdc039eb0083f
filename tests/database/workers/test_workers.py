"""Four workers share the minutes of a market: each series asked for once a round, none left out, whatever happens.

At length, with 300 tickers, the suite and a restarted server: test_workers_at_length.py.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from crew import Crew, sums

from hypertape.warehouse.claims import BEATS_PER_LEASE
from hypertape.warehouse.connect import connect
from hypertape.warehouse.progress import workers

TICKERS = [f"T{n:03}" for n in range(24)]
LEASE = 2.0
PATIENCE = 30.0
"""Seconds that a loaded machine may take on top."""


@pytest.fixture
def crew(warehouse: str, tmp_path: Path) -> Iterator[Crew]:
    made = Crew(warehouse, tmp_path, TICKERS, step=3.0, rounds=3, at_once=3)
    try:
        yield made
    finally:
        made.end()


def test_four_workers_share_a_market(crew, new_warehouse):
    """Each series is asked for once a round, none is left out, and the bars are those of one worker alone."""
    for _ in range(4):
        crew.hire()
    said = crew.finish()
    assert [process.returncode for process in crew.processes] == [0, 0, 0, 0], said
    assert {max(counter.values()) for counter in crew.vendor.by_round(crew.step).values()} == {1}
    assert max(crew.vendor.asks().values()) - min(crew.vendor.asks().values()) <= 1, "all take turns"
    mine = sums(crew.dsn)
    with new_warehouse() as alone:
        assert mine == crew.sums_of_one_worker(alone)
    with connect(crew.dsn) as connection:
        who = connection.execute(
            "select count(distinct worker_id) from sync_progress where status = 'completed'"
        ).fetchone()
        ended = {state.state for state in workers(connection, everyone=True)}
    assert who is not None
    assert who[0] >= 2
    assert ended == {"ended"}


def test_a_worker_killed_one_frozen_and_lost_connections_leave_no_hole(crew, new_warehouse):
    """The killed one's series go on at once (one host), the frozen one's after its lease."""
    crew.vendor.delay, crew.lease = 0.5, LEASE
    for _ in range(4):
        crew.hire()
    killed, units = crew.holder()
    killed.kill()
    killed.wait()
    took = [crew.taken_after(units, killed)]
    frozen, units = crew.holder()
    frozen.send_signal(signal.SIGSTOP)
    took.append(crew.taken_after(units, frozen))
    frozen.send_signal(signal.SIGCONT)
    crew.hire()
    with connect(crew.dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid "
            "<> pg_backend_pid()"
        )
    said = crew.finish()
    mine = sums(crew.dsn)
    with new_warehouse() as alone:
        assert mine == crew.sums_of_one_worker(alone), said
    print(f"seconds until the work of the killed and of the frozen was taken: {took}\n{said}")
    assert max(took) < LEASE + LEASE / BEATS_PER_LEASE + PATIENCE, (took, said)
    ends = Counter(process.returncode for process in crew.processes)
    ends[0] += ends.pop(-signal.SIGTERM, 0)  # told to end before it had begun
    assert ends == {0: 4, -signal.SIGKILL: 1}, said
