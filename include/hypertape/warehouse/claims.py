"""Claims: leases on units of work, so that several workers on several hosts share one list of them.

A unit is named by its kind (`backfill`, `series`, …) and a text of its own. One statement takes it; it is held as long
as its worker beats, and free for the next when the worker has been silent for the lease, or at once when its process
is known to be dead on the same host. A worker that was only frozen finds its token outdated (`require`) and writes
nothing more. No session's lock is held, so a pooler of transactions will do.

    with working(dsn, "backfill", lease=lease) as worker:
        for claim in worker.take(connection, "backfill", units, most=1):
            worker.require(connection, [claim])  # after asking, in the transaction that writes
            worker.end(connection, [claim])
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.types.json import Jsonb

from hypertape.errors import ClaimLost, HypertapeError
from hypertape.queries import query
from hypertape.warehouse.connect import connect
from hypertape.warehouse.locks import let_go

Connection = psycopg.Connection[Any]

LEASE = timedelta(minutes=5)
"""A worker that was silent for so long is dead."""

GIVEN_UP = 2.0
"""Work that a dead worker took more of its leases ago than these fails (`reap`)."""

BEATS_PER_LEASE = 5

KEPT = timedelta(days=30)
"""For so long ended claims tell who did what."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A unit that a worker has taken. `tries`: how often it was taken since it was last done."""

    kind: str
    unit: str
    token: int
    tries: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What became of a unit. `silent`: it runs, and its worker has not beaten for the lease."""

    unit: str
    state: str
    worker_id: str
    token: int
    tries: int
    taken_at: datetime
    ended_at: datetime | None
    error: str | None
    silent: bool

    def ended_since(self, since: datetime | None) -> bool:
        """True when somebody has done it, or failed at it, at or after an instant."""
        if since is None or self.ended_at is None:
            return False
        return self.state in ("done", "failed") and self.ended_at >= since


@dataclass(slots=True)
class Worker:
    """Somebody who takes units: one process, or one thread of it."""

    kind: str
    lease: timedelta = LEASE
    worker_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worker_id = self.worker_id or f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"

    def beat(self, connection: Connection) -> None:
        """Say that the worker lives; everything it holds is held for another lease."""
        process = psutil.Process()
        connection.execute(
            query("worker_beat"),
            {
                "worker": self.worker_id,
                "type": self.kind,
                "host": socket.gethostname(),
                "place": _place(),
                "pid": process.pid,
                "process_started": process.create_time(),
                "metadata": Jsonb({**self.metadata, "lease": self.lease.total_seconds()}),
                "clock": time.time_ns() / 1e9,  # what this host believes: nobody else can say that
            },
        )

    def leave(self, connection: Connection, *, trace: bool = True) -> None:
        """Say that the worker ends; what it holds still is free. Without `trace` it is as if it had never been."""
        connection.execute(query("worker_gone" if trace else "worker_remove"), {"workers": [self.worker_id]})

    def take(
        self,
        connection: Connection,
        kind: str,
        units: Sequence[str],
        *,
        most: int | None = None,
        since: datetime | None = None,
    ) -> list[Claim]:
        """Take those units that nobody works on, in the order given, `most` of them at most.

        Units that were done or failed at or after `since` stay so. The worker must have beaten (`working` sees to it).
        In a transaction of the caller's the units are held from its commit on, so take them in one of their own.
        """
        bury_dead_neighbours(connection)
        named = {
            "kind": kind, "units": list(dict.fromkeys(units)), "worker": self.worker_id, "lease": self.lease,
            "since": since, "most": most,
        }  # fmt: skip
        taken: dict[str, Claim] = {}
        # Workers that come at the same moment want the same ones: who has got none of them looks at what is left.
        for _ in range(100):
            rows = connection.execute(query("claims_take"), named).fetchall()
            taken = {
                unit: Claim(kind, unit, token, tries) for unit, token, tries, _ in rows if unit is not None
            }
            if taken or not rows[0][-1]:
                break
        return [taken[unit] for unit in dict.fromkeys(units) if unit in taken]

    def require(self, connection: Connection, claims: Sequence[Claim]) -> None:
        """Hold the claims until the connection's transaction ends. Raises ClaimLost when one is another's by now.

        From then on a client that says nothing for a lease within the transaction is cut off: it may be frozen.
        """
        let_go(connection, self.lease)
        for kind, mine in _by_kind(claims).items():
            rows = connection.execute(query("claims_check"), self._named(kind, mine)).fetchall()
            if lost := {claim.unit for claim in mine} - {unit for (unit,) in rows}:
                raise ClaimLost(
                    f"{self.worker_id} was silent for too long and lost {', '.join(sorted(lost))} to another worker"
                )

    def end(
        self, connection: Connection, claims: Sequence[Claim], errors: Mapping[str, str] | None = None
    ) -> set[str]:
        """End claims: done, or failed where `errors` (by unit) says why. Returns the units that were still held."""
        errors = errors or {}
        ended: set[str] = set()
        for state, failed in (("done", False), ("failed", True)):
            mine = [claim for claim in claims if (claim.unit in errors) is failed]
            ended |= self._end(connection, mine, state, errors)
        return ended

    def release(self, connection: Connection, claims: Sequence[Claim]) -> set[str]:
        """Give claims back as if they had never been tried. Returns the units that were still held."""
        return self._end(connection, claims, "released", {})

    def drop(self, connection: Connection, kind: str) -> int:
        """Give back whatever the worker holds of a kind, also what it took without being told; return how much it is.

        A connection that breaks in the middle of `take` tells nobody whether it was done.
        """
        named = {"kind": kind, "worker": self.worker_id}
        return connection.execute(query("claims_drop"), named).rowcount

    def _end(
        self, connection: Connection, claims: Sequence[Claim], state: str, errors: Mapping[str, str]
    ) -> set[str]:
        ended: set[str] = set()
        for kind, mine in _by_kind(claims).items():
            named = self._named(kind, mine)
            named |= {"state": state, "errors": [errors.get(claim.unit) for claim in mine]}
            ended |= {unit for (unit,) in connection.execute(query("claims_end"), named).fetchall()}
        return ended

    def _named(self, kind: str, claims: Sequence[Claim]) -> dict[str, Any]:
        return {
            "kind": kind,
            "units": [claim.unit for claim in claims],
            "tokens": [claim.token for claim in claims],
            "worker": self.worker_id,
        }


@contextmanager
def working(
    dsn: str,
    kind: str,
    *,
    lease: timedelta = LEASE,
    metadata: Mapping[str, Any] | None = None,
    name: str = "",
    trace: bool = True,
) -> Iterator[Worker]:
    """A worker that beats on a timer of its own for the length of the block, also during a long request.

    Each beat opens a connection for itself, so that none is held between them. A beat that fails is logged and tried
    again at the next one: the lease outlives some. At the end what is still held is free. `name` is the worker's id
    where it has one of its own; it must be unique. `trace`: see `Worker.leave`.
    """
    worker = Worker(kind, lease, name, metadata=metadata or {})
    with connect(dsn, autocommit=True) as connection:
        worker.beat(connection)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(dsn, worker, stop), name="heartbeat", daemon=True)
    beating.start()
    try:
        yield worker
    finally:
        stop.set()
        beating.join()
        try:
            with connect(dsn, autocommit=True) as connection:
                worker.leave(connection, trace=trace)
        except HypertapeError as error:  # what the block raised says more
            _LOG.warning("The worker's end was not noted, its lease runs out by itself: %s", error)


def look(
    connection: Connection, kind: str, units: Sequence[str] | None = None, *, lease: timedelta = LEASE
) -> list[Unit]:
    """What became of units (None: of all of the kind), in the order of their names."""
    named = {"kind": kind, "units": None if units is None else list(units), "lease": lease}
    return [Unit(*row) for row in connection.execute(query("claims_look"), named).fetchall()]


def reap(connection: Connection, *, leases: float = GIVEN_UP) -> list[tuple[str, str, str]]:
    """Fail what dead workers took more than so many of their leases ago; return kind, unit and worker of each.

    Each is judged by the lease that it told with its beats. Ended claims older than `KEPT` are dropped, and workers
    that are dead as long.
    """
    bury_dead_neighbours(connection)
    named = {"lease": LEASE, "leases": leases, "error": "Worker timeout"}
    found = [
        (kind, unit, who) for kind, unit, who in connection.execute(query("claims_reap"), named).fetchall()
    ]
    connection.execute(query("claims_forget"), {"older": KEPT})
    return found


def bury_dead_neighbours(connection: Connection) -> list[str]:
    """Note the workers of this host whose processes are gone, so that nobody waits for their lease; return them."""
    rows = connection.execute(query("worker_neighbours"), {"place": _place()}).fetchall()
    dead = [worker for worker, pid, started in rows if not _lives(pid, started)]
    if dead:
        connection.execute(query("worker_gone"), {"workers": dead})
    return dead


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _place() -> str:
    """Where a process number means something: the host's boot and the namespace of its processes."""
    parts = [socket.gethostname()]
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts.append(boot.read_text(encoding="ascii").strip() if boot.exists() else str(int(psutil.boot_time())))
    if namespace.is_symlink():
        parts.append(os.readlink(namespace))
    return " ".join(parts)


def _beat(dsn: str, worker: Worker, stop: threading.Event) -> None:
    while not stop.wait(worker.lease.total_seconds() / BEATS_PER_LEASE):
        try:
            with connect(dsn, autocommit=True) as connection:
                worker.beat(connection)
        except HypertapeError as error:
            _LOG.warning("A heartbeat failed, the next one comes: %s", error)


def _by_kind(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    kinds: dict[str, list[Claim]] = {}
    for claim in claims:
        kinds.setdefault(claim.kind, []).append(claim)
    return kinds
