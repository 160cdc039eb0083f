"""The warehouse compared with what is declared: each finding says what is there and, when it is wrong, its mend."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import DiskFull, HypertapeError, PoolerTooOld, ServerReplaced
from hypertape.model import CRITICAL, Interval, Market, format_instant
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse import schema
from hypertape.warehouse.backup_ledger import age_of_newest, known_backups
from hypertape.warehouse.connect import is_pooled
from hypertape.warehouse.doctor_checks import (
    CLOCK_TOLERANCE,
    Finding,
    see_bloat,
    see_clocks,
    see_jobs,
    see_roles,
    see_statistics,
)
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.findings import headline, open_findings
from hypertape.warehouse.findings.headline import BAD, GOOD

Connection = psycopg.Connection[Any]

_LEAST_VERSION = 150_000
CONNECTIONS_PER_TASK = 2
"""One to work, one for a moment: a heartbeat, a turn at a source."""
_BESIDE = 2
"""Of an API process, beside its pool: one that finds keys, one that writes."""
_POOLER_TRIES = 20
_LEAST_FREE = 0.10
_FULL_BYTES, _FULL_PART = 256_000_000, 0.05
"""Less free room (on a small disk: less than this part of it) is a full disk: a few segments of the log take it."""
_LACKING = {
    "plain": "chunks, compression and background policies; rollups are tables that the pipeline refreshes",
    "timescaledb": "nothing",
}


def examine(
    connection: Connection, markets: Sequence[Market], settings: Settings, *, now: datetime
) -> list[Finding]:
    """Run every check. A schema that is missing or behind ends the examination with that finding."""
    findings = [_server(connection, settings), *_pooler(connection, settings), _clock(connection, now)]
    findings += [*_disks(connection, settings), *_hosts(connection, settings)]
    schema = _schema(connection, markets)
    findings.append(schema)
    if schema.level == "bad":
        return findings
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: iter([_tier(connection), _permissions(connection)]),
        lambda: see_roles(connection, settings),
        lambda: _relations(connection, markets),
        lambda: iter([_policies(connection, markets)]),
        lambda: iter([_backups(connection, now)]),
        lambda: see_statistics(connection),
        lambda: see_bloat(connection),
        lambda: see_jobs(connection),
        lambda: see_clocks(connection),
        lambda: _data(connection, now),
    )
    for check in checks:
        findings += check()
    return findings


def _one(connection: Connection, name: str, *parameters: object) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query(name), parameters or None).fetchone()
    assert row is not None
    return row


def _server(connection: Connection, settings: Settings) -> Finding:
    version = connection.info.server_version
    text = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < _LEAST_VERSION:
        return Finding("bad", "server", text, "Use PostgreSQL 15 or newer.")
    replaced = None if settings.given_dsn else EmbeddedServer(settings).status().replaced
    if replaced:
        return Finding("bad", "server", replaced, ServerReplaced.next_step)
    return Finding("ok", "server", text)


def _pooler(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Whether a pooler in between keeps prepared statements, over more transactions than it has sessions at hand."""
    if not is_pooled(connection):
        return
    try:
        for _ in range(_POOLER_TRIES):
            connection.execute(query("server_process"), prepare=True)
            connection.commit()
    except HypertapeError as error:
        yield Finding("bad", "pooler", f"loses prepared statements: {error.what}", PoolerTooOld.next_step)
        return
    if settings.direct_database_url is None:
        mend = "Set HYPERTAPE_DIRECT_DATABASE_URL."
        yield Finding(
            "note", "pooler", "prepared statements work; `schema apply` needs the server itself", mend
        )
    else:
        yield Finding("ok", "pooler", "prepared statements work")


def _hosts(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Where tasks run on several hosts: whether all of them see the landing area, and get their connections."""
    if settings.executor == "LocalExecutor":
        return
    if settings.landing.startswith("file:"):
        mend = "Set HYPERTAPE_LANDING_URL to an object store, such as s3://bucket/landing."
        yield Finding("bad", "landing", f"a directory of one host, under the {settings.executor}", mend)
    else:
        yield Finding("ok", "landing", f"{settings.landing}, for every host")
    (there,) = _one(connection, "doctor_connections")
    needed = CONNECTIONS_PER_TASK * settings.parallelism + settings.api_connections + _BESIDE
    text = f"{settings.parallelism} tasks and an API process may need {needed} connections, the server has {there}"
    if needed > there:
        mend = "Lower AIRFLOW__CORE__PARALLELISM, raise max_connections, or put PgBouncer between."
        yield Finding("note", "connections", text, mend)
    else:
        yield Finding("ok", "connections", text)


def _clock(connection: Connection, now: datetime) -> Finding:
    (there,) = _one(connection, "database_now")
    off = abs(there - now)
    if off > CLOCK_TOLERANCE:
        return Finding(
            "bad", "clock", f"server and this host differ by {off}", "Synchronise both clocks (NTP)."
        )
    return Finding("ok", "clock", f"server and this host agree within {CLOCK_TOLERANCE.seconds} s")


def _disks(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """This host's disk, and the database's: measured where it is the embedded server's, and always written to."""
    yield _measured("disk", settings.state_dir)
    yield _database_disk(connection, None if settings.given_dsn else EmbeddedServer(settings).data_directory)


def _measured(subject: str, directory: Path) -> Finding:
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    text = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB free at {place}"
    if usage.free < min(_FULL_BYTES, _FULL_PART * usage.total):
        return Finding("bad", subject, f"full: {text}", "Free room: loads fail without it.")
    if usage.free < _LEAST_FREE * usage.total:
        return Finding("note", subject, text, "Free room before the next backfill.")
    return Finding("ok", subject, text)


def _database_disk(connection: Connection, directory: Path | None) -> Finding:
    subject = "database's disk"
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(query("doctor_room"))
    except DiskFull as error:
        return Finding(
            "bad", subject, f"full: {error.what}", "Free room on the server: loads fail without it."
        )
    except HypertapeError as error:
        return Finding("note", subject, f"not tried: {error.what}", "Let the role make temporary tables.")
    if directory is not None:
        return _measured(subject, directory)
    return Finding("ok", subject, "takes eight megabytes; how much more its host knows")


def _schema(connection: Connection, markets: Sequence[Market]) -> Finding:
    try:
        schema.verify(connection, markets)
    except HypertapeError as error:
        return Finding("bad", "schema", error.what, error.advice)
    return Finding("ok", "schema", "every script is applied with the text it has now")


def schema_is_current(connection: Connection, markets: Sequence[Market]) -> bool:
    """True where the data can be examined, and what is found be written down by this role."""
    return _schema(connection, markets).level == "ok" and _permissions(connection).level == "ok"


def _tier(connection: Connection) -> Finding:
    tier = schema.tier(connection)
    (version,) = _one(connection, "doctor_timescaledb")
    name = f"TimescaleDB Community {version}" if tier == "timescaledb" else "plain PostgreSQL"
    return Finding("ok" if tier == "timescaledb" else "note", "tier", f"{name}; lacks {_LACKING[tier]}")


def _permissions(connection: Connection) -> Finding:
    standby, read_only = _one(connection, "doctor_read_only")
    if standby:
        return Finding(
            "bad", "permissions", "the server is a standby that only reads", "Name the primary server."
        )
    if read_only:
        mend = "Unset `default_transaction_read_only` of the role, the database or the server."
        return Finding(
            "bad", "permissions", "transactions are read-only by default: nothing can be loaded", mend
        )
    (missing,) = _one(connection, "doctor_permissions")
    if missing:
        return Finding(
            "bad", "permissions", f"may not write {', '.join(missing)}", "Grant insert, update and delete."
        )
    return Finding("ok", "permissions", f"{connection.info.user} may write every table")


def _relations(connection: Connection, markets: Sequence[Market]) -> Iterator[Finding]:
    for market in markets:
        names = [market.relation(interval) for interval in Interval]
        (missing,) = _one(connection, "doctor_relations", names)
        if missing:
            yield Finding(
                "bad",
                f"{market.code} relations",
                f"missing {', '.join(missing)}",
                "Run `hypertape schema apply`.",
            )
        else:
            yield Finding(
                "ok",
                f"{market.code} relations",
                f"{len(names)} stored and derived intervals, public views too",
            )


def _policies(connection: Connection, markets: Sequence[Market]) -> Finding:
    if schema.tier(connection) != "timescaledb":
        return Finding("ok", "policies", "recorded only on this tier")
    expected = len(markets) * len(Interval)
    (found,) = _one(connection, "doctor_policies")
    if found < expected:
        return Finding(
            "bad", "policies", f"{found} of {expected} jobs scheduled", "Re-create the missing policies."
        )
    return Finding("ok", "policies", f"{found} compression and refresh jobs scheduled")


def _backups(connection: Connection, now: datetime) -> Finding:
    """How old the newest verified backup is; that it is too old, or broken, is a finding of the data's too."""
    found = known_backups(connection)
    verified, over = age_of_newest(found, now)
    if not found:
        mend = "Make one (`hypertape backup create`), or let `maintain_warehouse`: set HYPERTAPE_BACKUP_URL."
        return Finding("note", "backups", "there is none", mend)
    if over is not None or verified is None:
        text = f"of {len(found)} none is verified and new enough"
        return Finding("bad" if over else "note", "backups", text, "Run `hypertape backup verify`.")
    text = f"the newest verified one is of {format_instant(verified.made_at)}, in {verified.place}"
    return Finding("ok", "backups", text)


def _data(connection: Connection, now: datetime) -> Iterator[Finding]:
    """The headline of what is wrong with the data, and each finding with its mend."""
    found = open_findings(connection, now)
    said = headline(found)
    yield Finding("ok" if said.level == GOOD else "bad" if said.level == BAD else "note", "data", said.text)
    for each in found:
        level = "bad" if each.severity == CRITICAL else "note"
        yield Finding(level, each.kind.replace("_", " "), each.title, each.mend)
