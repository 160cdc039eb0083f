"""Cut over to the warehouse and back: each way carries over what the other side lacks, proves it, then switches.

`to_warehouse` migrates the SQLite files and makes the warehouse the truth. `to_sqlite` writes every series that loads
changed since then back into the SQLite files. The switch is the last thing that happens, with no load under way, so
nothing is written to a store that nobody reads any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BadInput, BadSetting, CheckFailed
from hypertape.settings import Settings
from hypertape.steps.migration.files import FileIdentity, find_files, identity
from hypertape.steps.migration.run import migrate
from hypertape.steps.mirror import deliver_mirrors
from hypertape.stores import Selection, Store
from hypertape.stores._sqlite_file import held_against_writers
from hypertape.stores.addresses import open_store, parse_address
from hypertape.stores.series_copy import Job, handle
from hypertape.warehouse import cutover
from hypertape.warehouse.connect import connect, is_pooled
from hypertape.warehouse.cutover import SQLITE, WAREHOUSE, Change

Connection = psycopg.Connection[Any]
OnStep = Callable[[str, int, int], None]

_PATIENCE = 3
"""Migrations in a row that may find their files changed meanwhile."""


def to_warehouse(
    dsn: str,
    address: str | None = None,
    *,
    by: str,
    now: datetime,
    run_id: str,
    reason: str | None = None,
    workers: int = 1,
    settings: Settings,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Migrate the SQLite store at `address` (default: the last one), verify it, and make the warehouse the truth.

    Does nothing when the warehouse already is the truth for this store: an older file must not overwrite newer loads.
    Raises BadInput, and what `migrate` raises; then the truth stays where it was.
    """
    with connect(dsn, autocommit=True) as connection:
        standing = cutover.standing(connection)
        pair = _pair(address, standing)
        if standing is not None and standing.truth == WAREHOUSE and standing.address == pair:
            return {
                "truth": WAREHOUSE,
                "address": pair,
                "since": standing.since.isoformat(),
                "switched": False,
            }
        synced = _follow_and_decide(
            connection, dsn, pair, by=by, reason=reason,
            now=now, run_id=run_id, settings=settings, workers=workers, on_step=on_step,
        )  # fmt: skip
    deliver_mirrors(dsn, now=now, settings=settings)
    return {"truth": WAREHOUSE, "address": pair, "since": now.isoformat(), "switched": True, **synced}


def to_sqlite(
    dsn: str,
    address: str | None = None,
    *,
    by: str,
    now: datetime,
    run_id: str,
    reason: str | None = None,
    settings: Settings,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Write what loads changed since the cut-over into the SQLite store, verify it, and make that store the truth.

    Most of it is done while loads go on; then loads are held, the rest is carried over, and the switch is made in the
    same transaction. Without a cut-over everything is written. Raises BadInput, or CheckFailed when the two sides
    differ: then the truth stays where it was. And BadSetting behind a pooler: one connection holds the loads while
    another one reads, and where each of a pool's connections is held so, all wait for ever.
    """
    with connect(dsn) as connection:
        if is_pooled(connection):
            raise BadSetting(
                "Carrying back to SQLite needs two connections at once, and this is a pooler of transactions",
                next_step="Name the server in HYPERTAPE_DIRECT_DATABASE_URL.",
            )
        standing = cutover.standing(connection)
        pair = _pair(address, standing)
        if standing is not None and standing.truth == SQLITE and standing.address == pair:
            return {"truth": SQLITE, "address": pair, "since": standing.since.isoformat(), "switched": False}
        since = standing.load_id if standing is not None and standing.address == pair else None
        with (
            closing(_open("warehouse", dsn, settings, now, run_id)) as source,
            closing(_open(pair, dsn, settings, now, run_id)) as target,
        ):
            changes = cutover.changed_since(connection, since or 0)
            connection.commit()
            counts = _carry(source, target, _everything(source) if since is None else changes, now, on_step)
            cutover.hold_loads(connection)
            late = [
                change for change in cutover.changed_since(connection, since or 0) if change not in changes
            ]
            counts = _sum(counts, _carry(source, target, late, now, on_step))
        cutover.decide(connection, SQLITE, pair, since=now, decided_by=by, reason=reason, synced=counts)
        connection.commit()
    return {"truth": SQLITE, "address": pair, "since": now.isoformat(), "switched": True, **counts}


def status(dsn: str) -> list[cutover.Cutover]:
    """Every decision so far, the newest first; the first one stands."""
    with connect(dsn, autocommit=True) as connection:
        return cutover.history(connection)


def _follow_and_decide(
    connection: Connection,
    dsn: str,
    pair: str,
    *,
    by: str,
    reason: str | None,
    run_id: str,
    now: datetime,
    **others: Any,
) -> dict[str, Any]:
    """Migrate the SQLite store until it is what it was when a migration began; then decide, while nobody can write it.

    Raises BadInput if something keeps writing to it.
    """
    place = parse_address(pair)[1]
    for attempt in range(1, _PATIENCE + 1):
        before = _identities(place)
        done = migrate(dsn, [place], schema="dual_write", run_id=f"{run_id}__{attempt}", now=now, **others)
        synced = {
            name: getattr(done.reported.totals, name)
            for name in ("inserted", "updated", "unchanged", "refused", "units")
        }
        with held_against_writers(find_files([place])), connection.transaction():
            if _identities(place) == before:
                cutover.hold_loads(connection)  # every later load has a higher id than the one that is noted
                cutover.decide(
                    connection, WAREHOUSE, pair, since=now, decided_by=by, reason=reason, synced=synced
                )
                return synced
    raise BadInput(
        f"Something keeps writing to {place}, so the warehouse cannot catch up with it",
        next_step="Stop what writes there, then run this again. The truth stays where it was.",
    )


def _identities(place: str) -> list[FileIdentity]:
    return [identity(path) for path in find_files([place])]


def _pair(address: str | None, standing: cutover.Cutover | None) -> str:
    """The SQLite store that is meant, with an absolute path."""
    given = address or (standing.address if standing is not None else None)
    if given is None:
        raise BadInput(
            "There was no cut-over yet, so the SQLite store has to be named",
            next_step="Name it: sqlite:DIR_OR_FILE.",
        )
    kind, place = parse_address(given)
    if kind != "sqlite":
        raise BadInput(f"{given} cannot be written", next_step="Name a store sqlite:DIR_OR_FILE.")
    return f"sqlite:{Path(place).resolve()}"


def _open(address: str, dsn: str, settings: Settings, now: datetime, run_id: str) -> Store:
    return open_store(address, settings=settings, dsn=dsn, now=now, run_id=run_id, source="rollback")


def _everything(source: Store) -> list[Change]:
    found = source.series(Selection())
    return [Change(info.series, info.first, 0) for info in found if info.first is not None]


def _carry(
    source: Store, target: Store, changes: Sequence[Change], now: datetime, on_step: OnStep | None
) -> dict[str, int]:
    """Write each changed series from its first changed bar on, and prove that it arrived. Raises CheckFailed."""
    counts = {"series": 0, "inserted": 0, "updated": 0, "unchanged": 0, "refused": 0}
    for done, change in enumerate(changes, start=1):
        series = change.series
        copied = handle(source, target, (series, True, Job(change.first, now, force=True, verify=True)))
        if copied.error is not None:
            raise copied.error
        if copied.discrepancies:
            found = ", ".join(f"{each.what} {each.source}" for each in copied.discrepancies)
            raise CheckFailed(
                f"{target.address} does not hold what was written into it: {found}",
                market=series.market, ticker=series.ticker, interval=series.interval.value,
                next_step="The truth stays where it was. Look at the file, then run this again.",
            )  # fmt: skip
        did = {
            name: getattr(copied.written, name) for name in ("inserted", "updated", "unchanged", "refused")
        }
        counts = _sum(counts, {"series": 1, **did})
        if on_step is not None:
            on_step("carry back", done, len(changes))
    return counts


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: count + other[name] for name, count in one.items()}
