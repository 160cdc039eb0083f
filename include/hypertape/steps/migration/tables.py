"""What a file holds beside its series: Stockula's other tables, and rows of bar tables that belong to no series.

Upserted where they can be, kept in quarantine where not, and compared afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from hypertape.queries import query
from hypertape.steps.migration.plan import selection_of
from hypertape.stores.stockula_tables import Batch, Reject, Row, read_table, reject
from hypertape.stores.strays import stray_rows
from hypertape.warehouse.migrations import Comparison, Connection, PlannedUnit
from hypertape.warehouse.stockula import MARKET, TABLES, Kept, keep_rows


def copy_table(
    connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit
) -> tuple[int, Kept, int]:
    """Copy one table in one transaction; return rows read, what keeping them did, and how many were refused."""
    read = refused = 0
    kept = Kept(0, 0, 0)
    with connection.transaction():
        for batch in _batches(migration, unit):
            did, rejects = _keep(connection, _table(unit), batch.rows, batch.stored)
            rejects += batch.rejects
            _quarantine(connection, migration, unit, rejects)
            kept, read, refused = kept + did, read + len(batch), refused + len(rejects)
    return read, kept, refused


def compare_table(connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit) -> Comparison:
    """Prove a table copied: copying it once more, in a transaction that is rolled back, would write nothing.

    Neither into the table nor into quarantine.
    """
    source, rows, absent, kept = hashlib.sha256(), 0, 0, Kept(0, 0, 0)
    with connection.transaction():
        for batch in _batches(migration, unit):
            did, rejects = _keep(connection, _table(unit), batch.rows, batch.stored)
            kept += did
            absent += _quarantine(connection, migration, unit, [*batch.rejects, *rejects])
            source.update(json.dumps(batch.rows, default=str, sort_keys=True).encode())
            rows += len(batch.rows) - len(rejects)
        raise psycopg.Rollback
    digest = source.hexdigest()
    missing = kept.inserted + absent
    equal = not (missing or kept.updated)
    return Comparison(
        rows, rows - kept.inserted, digest, digest if equal else "different", missing, kept.updated
    )


def _keep(
    connection: Connection, table: str, rows: Sequence[Row], stored: Sequence[Row]
) -> tuple[Kept, list[Reject]]:
    """Keep rows; those the database refuses come back as rejects, found by halving: they must not cost the others."""
    if not rows:
        return Kept(0, 0, 0), []
    try:
        with connection.transaction():
            return keep_rows(connection, table, rows), []
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        if len(rows) == 1:
            reason = error.diag.message_primary or type(error).__name__
            return Kept(0, 0, 0), [reject(stored[0], "refused_by_database", reason)]
    half = len(rows) // 2
    first, refused = _keep(connection, table, rows[:half], stored[:half])
    rest, more = _keep(connection, table, rows[half:], stored[half:])
    return first + rest, refused + more


def _batches(migration: Mapping[str, Any], unit: PlannedUnit) -> Iterator[Batch]:
    chosen, path = selection_of(migration["options"]), Path(unit.file)
    if _table(unit) in TABLES:
        yield from read_table(path, _table(unit), symbols=chosen.tickers, start=chosen.start)
        return
    for strays in stray_rows(path, _table(unit), symbols=chosen.tickers, start=chosen.start):
        yield Batch(rejects=strays)


def _table(unit: PlannedUnit) -> str:
    assert unit.table_name is not None
    return unit.table_name


def _quarantine(
    connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit, rejects: Sequence[Reject]
) -> int:
    """Keep the refused rows whole and return how many were not there; their `interval` is the name of their table."""
    if not rejects:
        return 0
    tickers, rules, values, rows = (list(column) for column in zip(*rejects, strict=True))
    kind, table = unit.address.partition(":")[0], _table(unit)
    market = MARKET if kind == "stockula" else table.partition("_")[0]
    parameters = {
        "load_ids": [0] * len(rows), "run_id": migration["run_id"], "market": market, "interval": table,
        "sources": [f"{kind}:{Path(unit.file).name}"] * len(rows), "tickers": tickers, "times": [None] * len(rows),
        "rules": rules, "values": values, "rows": rows,
    }  # fmt: skip
    return connection.execute(query("quarantine_rows"), parameters).rowcount
