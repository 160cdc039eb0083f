"""Stockula's other tables: upserted where they can be read, kept in quarantine where not, and compared afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from hypertape.queries import query
from hypertape.steps.migration_plan import selection_of
from hypertape.stores.stockula_tables import Batch, read_table
from hypertape.warehouse.stockula import MARKET, Kept, keep_rows
from hypertape.warehouse.transfer import Comparison, Connection, PlannedUnit

_SAMPLE = 5


def copy_table(
    connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit
) -> tuple[int, Kept, int]:
    """Copy one table in one transaction; return rows read, what keeping them did, and how many were refused."""
    read = refused = 0
    kept = Kept(0, 0, 0)
    with connection.transaction():
        for batch in _batches(migration, unit):
            kept += keep_rows(connection, _table(unit), batch.rows)
            _quarantine(connection, migration, unit, batch)
            read, refused = read + len(batch), refused + len(batch.rejects)
    return read, kept, refused


def compare_table(connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit) -> Comparison:
    """Prove a table copied: copying it once more, in a transaction that is rolled back, would write nothing."""
    source, rows, kept = hashlib.sha256(), 0, Kept(0, 0, 0)
    with connection.transaction():
        for batch in _batches(migration, unit):
            kept += keep_rows(connection, _table(unit), batch.rows)
            source.update(json.dumps(batch.rows, default=str, sort_keys=True).encode())
            rows += len(batch.rows)
        raise psycopg.Rollback
    digest = source.hexdigest()
    equal = not (kept.inserted or kept.updated)
    return Comparison(
        rows, rows - kept.inserted, digest, digest if equal else "different", kept.inserted, kept.updated
    )


def _batches(migration: Mapping[str, Any], unit: PlannedUnit) -> Iterator[Batch]:
    selection = selection_of(migration["options"])
    return read_table(Path(unit.file), _table(unit), symbols=selection.tickers, start=selection.start)


def _table(unit: PlannedUnit) -> str:
    assert unit.table_name is not None
    return unit.table_name


def _quarantine(
    connection: Connection, migration: Mapping[str, Any], unit: PlannedUnit, batch: Batch
) -> None:
    """Keep the refused rows whole; their `interval` is the name of their table."""
    if not batch.rejects:
        return
    tickers, rules, values, rows = (list(column) for column in zip(*batch.rejects, strict=True))
    parameters = {
        "load_ids": [0] * len(rows), "run_id": migration["run_id"], "market": MARKET, "interval": _table(unit),
        "sources": [f"stockula:{Path(unit.file).name}"] * len(rows), "tickers": tickers, "times": [None] * len(rows),
        "rules": rules, "values": values, "rows": rows,
    }  # fmt: skip
    connection.execute(query("quarantine_rows"), parameters)
