"""Connections to the warehouse, and the one place where PostgreSQL's failures become hypertape's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import conninfo

from hypertape.errors import (
    BadInput,
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    PinBroken,
    PoolerTooOld,
    RolledBack,
    SchemaMissing,
    ServerReplaced,
)
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.dsn import normalise_dsn, place
from hypertape.warehouse.embedded.state import running_dsn

CONNECT_TIMEOUT_SECONDS = 10

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "timezone": "UTC",  # times are compared and written as UTC
        "datestyle": "ISO, MDY",  # text dates are read by Python and by casts
        "intervalstyle": "postgres",
        "extra_float_digits": "1",  # floats as text keep every bit
        "array_nulls": "on",  # NULL in an array is no text
        "search_path": "public, shim, bars",  # what the schema names for its database
        "client_connection_check_interval": "1s",  # a query ends with the client that asked it, and its locks
    }
)
"""What our statements rely on, and a role, a database or another client of a pooler may have set otherwise.

`pin_session` sets them for a session. Behind PgBouncer in transaction pooling that would reach other clients, and
`pin_settings` sets them for one transaction. The isolation, read committed, is not among them: a `begin` says it
itself (`ISOLATION`).
"""

ISOLATION = psycopg.IsolationLevel.READ_COMMITTED
"""A statement that waited for a lock sees what was committed meanwhile."""

_KEPT_BY_POOLERS = ("timezone", "datestyle")
"""PgBouncer keeps these for each client by itself, in every mode."""

_DEMANDED_OF_POOLED = ("extra_float_digits", "array_nulls", "search_path")

_BY_SQLSTATE: dict[str, type[HypertapeError]] = {
    "53100": DiskFull,
    "28000": DatabaseRefused,  # unknown role, no pg_hba.conf entry
    "28P01": DatabaseRefused,  # wrong password
    "3D000": DatabaseRefused,  # no such database
    "42501": DatabaseRefused,  # insufficient privilege
    "42P05": PoolerTooOld,  # a prepared statement of another client of the same server
    "26000": PoolerTooOld,  # a prepared statement that another server of the pool has
    "25006": DatabaseRefused,  # a read-only server or transaction
    "42P01": SchemaMissing,
    "3F000": SchemaMissing,
    "HT001": RolledBack,  # refuse_stray_load
    "HT002": PinBroken,  # bars_pinned
    "HT003": BadInput,  # bars_pinned: no such pin, or not of it
    "40001": DatabaseBusy,  # serialization failure
    "40P01": DatabaseBusy,  # deadlock
    "55P03": DatabaseBusy,  # lock timeout
    "55006": DatabaseBusy,  # object in use
    "57014": DatabaseBusy,  # statement timeout
    "25P03": DatabaseBusy,  # idle in transaction timeout
    "25P04": DatabaseBusy,  # transaction timeout
    "57P01": DatabaseBusy,  # admin shutdown
    "57P02": DatabaseBusy,  # crash shutdown
    "57P03": DatabaseUnreachable,  # starting up or shutting down
    "57P05": DatabaseBusy,  # idle session timeout
}
_BY_SQLSTATE_CLASS: dict[str, type[HypertapeError]] = {"08": DatabaseUnreachable, "53": DatabaseBusy}

# libpq gives no SQLSTATE for a refused connection, only the server's (or PgBouncer's) words.
_BY_WORDS: tuple[tuple[str, type[HypertapeError]], ...] = (
    ("no space left on device", DiskFull),
    ("too many clients", DatabaseBusy),
    ("too many connections", DatabaseBusy),
    ("remaining connection slots", DatabaseBusy),
    ("no more connections allowed", DatabaseBusy),
    ("query_wait_timeout", DatabaseBusy),
    ("authentication failed", DatabaseRefused),
    ("no password supplied", DatabaseRefused),
    ("does not exist", DatabaseRefused),
    ("no such database", DatabaseRefused),
    ("no such user", DatabaseRefused),
    ("permission denied", DatabaseRefused),
    ("not permitted to log in", DatabaseRefused),
    ("not currently accepting connections", DatabaseRefused),
    ("pg_hba.conf", DatabaseRefused),
    ("does not support ssl", DatabaseRefused),
    ("certificate", DatabaseRefused),
)

_REPLACED = (
    "could not load library",
    "undefined symbol",
    "incompatible library",
    'could not access file "$libdir',
)
"""What a server says whose programs were upgraded or removed under it: a new session loads libraries from the disk."""

_LIBPQ_FRAME = re.compile(
    r"^connection failed: (connection to server (at|on socket) [^,]*(, port \d+)? failed: (FATAL: +)?)?"
    r"| Is the server running .*\?$"
)


class WarehouseConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose failures are those of `errors`, whatever was asked of the server."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Do one exchange with the server: everything that psycopg does passes through here."""
        if timeout is not None:  # its end is no failure, and psycopg's own affair
            return super().wait(gen, interval, timeout)
        with translate_errors(self):
            return super().wait(gen, interval)


def connect(
    dsn: str, *, autocommit: bool = False, application_name: str = "hypertape"
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection on which `PINNED` holds and transactions are read committed.

    `dsn` is a URI (`postgres://` and Airflow's own parameters included) or a keyword string. Raises
    DatabaseUnreachable, DatabaseBusy, DatabaseRefused, DiskFull or, for an unreadable DSN, BadSetting; and
    DatabaseRefused behind a pooler whose server sets otherwise what a client may not set there.
    """
    given = conninfo.conninfo_to_dict(normalise_dsn(dsn))
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
    }
    address = conninfo.make_conninfo(**{**defaults, **given, "client_encoding": "utf8"})
    with translate_errors(place(dsn)):
        connection = WarehouseConnection.connect(address, autocommit=True)
        try:
            _pin(connection)
            connection.isolation_level = ISOLATION
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
    return connection


def _pin(connection: WarehouseConnection) -> None:
    """Pin the session's settings; behind a pooler, where they would reach other clients, demand them of the server."""
    pooled, found = pin_session(connection)
    wrong = {
        name: found[name] for name in _DEMANDED_OF_POOLED if found.get(name, PINNED[name]) != PINNED[name]
    }
    if pooled and wrong:
        told = ", ".join(f"{name} is {value!r} and must be {PINNED[name]!r}" for name, value in wrong.items())
        raise DatabaseRefused(
            f"{place(connection.info.dsn)}: behind the pooler {told}",
            next_step="Set it on the role or the database (`alter role … set …`) and reconnect the pooler, "
            "or name the server itself in HYPERTAPE_DATABASE_URL.",
        )


def pin_session(connection: psycopg.Connection[Any], **more: str) -> tuple[bool, dict[str, str]]:
    """Set `PINNED`, and `more`, for a session; return whether a pooler answers for the server, and what held before.

    It is one round trip. A pooler answers with a process number of its own making. Behind one only what it keeps per
    client (time zone, dates) is set; the rest is `pin_settings`' affair, or the server's.
    """
    settings = {**PINNED, **more}
    pooled, found = connection.execute(
        query("pin_session"),
        {
            "pid": connection.info.backend_pid,
            "names": list(settings),
            "values": list(settings.values()),
            "kept": list(_KEPT_BY_POOLERS),
        },
    ).fetchone() or (False, {})
    return pooled, found


def pin_settings(connection: psycopg.Connection[Any], **more: str) -> None:
    """Set `PINNED`, and `more`, until the end of the connection's transaction, which must be under way."""
    settings = {**PINNED, **more}
    names, values = list(settings), list(settings.values())
    connection.execute(query("pin_settings"), {"names": names, "values": values})


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """True where a pooler answers for the server: the server's process is not the one the client was told of."""
    row = connection.execute(query("server_process")).fetchone()
    return row is not None and row[0] != connection.info.backend_pid


@contextmanager
def translate_errors(where: str | psycopg.Connection[Any] | None = None) -> Iterator[None]:
    """Turn psycopg's errors inside the block (or the decorated function) into those of `errors`.

    `where` (a connection, or a text such as `host:port/database`) is named in the message. An error that is a
    defect of the statement itself (syntax, a violated key) passes unchanged.
    """
    try:
        yield
    except psycopg.Error as error:
        kind = _kind(error)
        if kind is None:
            raise
        at = f"{_name(where)}: " if where is not None else ""
        raise kind(at + _reason(error)) from error


def translated(error: BaseException) -> HypertapeError | None:
    """A failure of PostgreSQL that reached the outside as psycopg's or SQLAlchemy's, as one of `errors`; else None."""
    inner = getattr(error, "orig", error)
    if not isinstance(inner, psycopg.Error):
        return None
    kind = _kind(inner)
    return kind(_reason(inner)) if kind else None


def resolve_dsn(settings: Settings) -> str:
    """Return the warehouse's DSN as a `postgresql://` URI: the environment's, else the embedded server's.

    Raises DatabaseUnreachable when none is named and the embedded server is down, BadSetting when the
    environment's cannot be read.
    """
    if settings.given_dsn:
        return normalise_dsn(settings.given_dsn)
    dsn = running_dsn(settings.state_dir)
    if dsn is None:
        raise DatabaseUnreachable(
            f"No warehouse is named and the embedded server of {settings.state_dir} is not running",
            next_step="Start it with `hypertape db up`, or set HYPERTAPE_DATABASE_URL.",
        )
    return dsn


def resolve_reader_dsn(settings: Settings) -> str:
    """Return the DSN with which the warehouse is only read: HYPERTAPE_READER_DATABASE_URL, else `resolve_dsn`'s."""
    return (
        normalise_dsn(settings.reader_database_url) if settings.reader_database_url else resolve_dsn(settings)
    )


def _kind(error: psycopg.Error) -> type[HypertapeError] | None:
    words = str(error).lower()
    if "no space left on device" in words:
        return DiskFull
    if "copy from stdin failed: error from python" in words:
        return None  # our own COPY was given up: psycopg waits for this one, and raises what ended it
    if any(said in words for said in _REPLACED):
        return ServerReplaced
    if error.sqlstate:
        return _BY_SQLSTATE.get(error.sqlstate) or _BY_SQLSTATE_CLASS.get(error.sqlstate[:2])
    if isinstance(error, psycopg.OperationalError):
        return next((kind for text, kind in _BY_WORDS if text in words), DatabaseUnreachable)
    return None


def _reason(error: psycopg.Error) -> str:
    """The server's sentence when it gave one, else libpq's words on a single line."""
    words = _LIBPQ_FRAME.sub("", " ".join(str(error).split()))
    return error.diag.message_primary or words or type(error).__name__


def _name(where: str | psycopg.Connection[Any]) -> str:
    return where if isinstance(where, str) else place(where.info.dsn)
