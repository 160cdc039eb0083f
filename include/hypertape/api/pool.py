"""The warehouse as the API sees it: a few connections that are lent out statement by statement."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from hypertape.errors import DatabaseBusy, HypertapeError
from hypertape.model import Interval
from hypertape.warehouse.connect import (
    CONNECT_TIMEOUT_SECONDS,
    ISOLATION,
    connect,
    pin_session,
    pin_settings,
    translate_errors,
)
from hypertape.warehouse.dsn import normalise_dsn, place

Connection = psycopg.Connection[Any]
T = TypeVar("T")

WAIT_SECONDS = 3.0
"""How long a request waits for a free connection before it is told that the warehouse is busy."""

STATEMENT_SECONDS = 30.0
"""How long one statement may take, unless the settings say otherwise."""

REST_SECONDS = 2.0
"""How long nobody waits again for a warehouse that was away."""

_MOST_WAITING = 200

_PLANNING = {"plan_cache_mode": "force_custom_plan"}
"""Plans are made for the values at hand: one for any window would hold every chunk of a table."""


class Warehouse:
    """Connections to one warehouse, opened when they are first needed, also in a process that was forked since.

    A connection is lent for one piece of work and never while a client reads its answer, so slow readers hold none.
    Settings are pinned once per connection where the server answers itself: then a piece of work costs its own round
    trips and no other. Behind a pooler each piece is a transaction that brings its settings, three round trips more.
    psycopg prepares each statement on its fifth use and keeps it with the connection.
    """

    def __init__(
        self, dsn: Callable[[], str], *, size: int, statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        self._dsn, self._size = dsn, size
        self._settings = {"statement_timeout": f"{1000 * statement_seconds:.0f}", **_PLANNING}
        self._pool: ConnectionPool[Connection] | None = None
        self._where = "warehouse"
        self._lock = Lock()
        self._away: tuple[float, HypertapeError] | None = None
        self.edges: dict[tuple[str, Interval], datetime] = {}
        """By market and stored interval, the newest bar that was seen: a hint where to look first, never an answer."""

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do some work under the settings of `PINNED`, and return its result.

        Each statement (or pipeline) of it is committed by itself, unless the work opens a transaction. When the
        connection turns out to be broken, as after a restart of the server, the idle ones are checked and the work is
        done once more; it must therefore only read, or write what may be written twice. Raises DatabaseBusy when none
        is free in time, and what `translate_errors` raises.
        """
        pool = self._opened()
        if self._away is not None and time.monotonic() - self._away[0] < REST_SECONDS:
            raise self._away[1]
        with translate_errors(self._where):
            try:
                return self._lend(pool, work)
            except psycopg.OperationalError as error:
                if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P")):
                    raise
                pool.check()
                return self._lend(pool, work)

    def dsn(self) -> str:
        """The warehouse's address. Raises as `resolve_dsn` does."""
        return self._dsn()

    def close(self) -> None:
        """Close the connections; those that are lent out are closed when they come back."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _lend(self, pool: ConnectionPool[Connection], work: Callable[[Connection], T]) -> T:
        try:
            with pool.connection(timeout=WAIT_SECONDS) as connection:
                if not connection.autocommit:  # behind a pooler, as `_configure` found
                    with connection.pipeline():  # psycopg does not wait for `begin` then
                        pin_settings(connection, **self._settings)
                return work(connection)
        except TooManyRequests as error:
            raise DatabaseBusy(f"{self._where}: {_MOST_WAITING} requests are waiting already") from error
        except PoolTimeout as error:
            raise self._why() from error

    def _why(self) -> HypertapeError:
        """Tell a warehouse that is away, or refuses us, from one whose connections are all lent out."""
        try:
            connect(self._dsn()).close()
        except HypertapeError as error:
            self._away = time.monotonic(), error
            return error
        return DatabaseBusy(f"{self._where}: no connection came free in {WAIT_SECONDS:g} s")

    def _opened(self) -> ConnectionPool[Connection]:
        if self._pool is None:
            dsn = self._dsn()
            with self._lock:
                if self._pool is None:
                    self._where = place(dsn)
                    self._pool = _new_pool(dsn, self._size, self._settings)
        return self._pool


def _new_pool(dsn: str, size: int, settings: Mapping[str, str]) -> ConnectionPool[Connection]:
    given = conninfo.conninfo_to_dict(normalise_dsn(dsn))
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "hypertape api",
        **_SILENCE,
    }
    address = conninfo.make_conninfo(**{**defaults, **given, "client_encoding": "utf8"})
    pool: ConnectionPool[Connection] = ConnectionPool(
        address,
        min_size=0,
        max_size=size,
        max_waiting=_MOST_WAITING,
        max_idle=300,
        reconnect_timeout=WAIT_SECONDS,
        kwargs={"autocommit": True},
        configure=partial(_configure, settings=settings),
        open=True,
        name="hypertape-api",
    )
    atexit.register(partial(pool.close, timeout=1))
    return pool


_SILENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that says nothing any more, as behind a broken network, is given up after 25 seconds (libpq's names)."""


def _configure(connection: Connection, *, settings: Mapping[str, str]) -> None:
    """Pin the session's settings once; behind a pooler, which would hand them on, leave them to each transaction.

    Read committed is a setting of the session where statements run without a `begin` that could say it.
    """
    pooled, _ = pin_session(connection, default_transaction_isolation="read committed", **settings)
    connection.isolation_level = ISOLATION
    connection.autocommit = not pooled
