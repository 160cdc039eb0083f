"""What a file holds beside its series: Stockula's other tables, and rows of bar tables that belong to no series.

Upserted where they can be, kept in quarantine where not, and compared afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pyarrow as pa

from hypertape.frame import reject_frame
from hypertape.steps.migration.worker import Worker, source_of
from hypertape.stores import HasUnassigned
from hypertape.stores.stockula_tables import Batch, Reject, Row, read_table, reject
from hypertape.warehouse.migration_ledger import Connection, Progress, Unit, UnitProof
from hypertape.warehouse.quarantine import keep_rejects
from hypertape.warehouse.stockula import MARKET, TABLES, RowCounts, keep_rows


@dataclass(frozen=True, slots=True)
class TableCopied:
    """What copying a table did, and how many of its rows were refused, by rule."""

    progress: Progress
    rules: Mapping[str, int] = field(default_factory=dict)


def copy_table(worker: Worker, unit: Unit) -> TableCopied:
    """Copy one table in one transaction, which a rehearsal rolls back."""
    kept, rules, read = RowCounts(0, 0, 0), Counter[str](), 0
    with worker.ledger.transaction(force_rollback=worker.migration.dry_run):
        for batch in _batches(worker, unit):
            did, rejects = _keep(worker.ledger, unit.table_name, batch.rows, batch.stored)
            _quarantine(worker, unit, [*rejects, *batch.rejects])
            kept, read = kept + did, read + len(batch)
            rules.update(rule for _, _, rule, _, _ in (*rejects, *batch.rejects))
    progress = Progress(None, read, kept.inserted, kept.updated, kept.unchanged, rules.total())
    return TableCopied(progress, rules)


def compare_table(worker: Worker, unit: Unit) -> UnitProof:
    """Prove a table copied: copying it once more, in a transaction that is rolled back, would write nothing.

    Neither into the table nor into quarantine.
    """
    source, rows, absent, kept = hashlib.sha256(), 0, 0, RowCounts(0, 0, 0)
    with worker.ledger.transaction():
        for batch in _batches(worker, unit):
            did, rejects = _keep(worker.ledger, unit.table_name, batch.rows, batch.stored)
            kept += did
            absent += _quarantine(worker, unit, [*batch.rejects, *rejects])
            source.update(json.dumps(batch.rows, default=str, sort_keys=True).encode())
            rows += len(batch.rows) - len(rejects)
        raise psycopg.Rollback
    digest = source.hexdigest()
    missing = kept.inserted + absent
    equal = not (missing or kept.updated)
    return UnitProof(
        rows, rows - kept.inserted, digest, digest if equal else "different", missing, kept.updated
    )


def _keep(
    connection: Connection, table: str, rows: Sequence[Row], stored: Sequence[Row]
) -> tuple[RowCounts, list[Reject]]:
    """Keep rows; those the database refuses come back as rejects, found by halving: they must not cost the others."""
    if not rows:
        return RowCounts(0, 0, 0), []
    try:
        with connection.transaction():
            return keep_rows(connection, table, rows), []
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        if len(rows) == 1:
            reason = error.diag.message_primary or type(error).__name__
            return RowCounts(0, 0, 0), [reject(stored[0], "refused_by_database", reason)]
    half = len(rows) // 2
    first, refused = _keep(connection, table, rows[:half], stored[:half])
    rest, more = _keep(connection, table, rows[half:], stored[half:])
    return first + rest, refused + more


def _batches(worker: Worker, unit: Unit) -> Iterator[Batch]:
    chosen = worker.selection
    if unit.table_name in TABLES:
        yield from read_table(Path(unit.file), unit.table_name, symbols=chosen.tickers, start=chosen.start)
        return
    source = worker.source(unit)
    assert isinstance(source, HasUnassigned)
    for found in source.unassigned(chosen, places=(unit.table_name,)):
        yield Batch(rejects=_rows(found.rejects))


def _rows(rejects: pa.Table) -> list[Reject]:
    columns = rejects.to_pydict()
    return list(zip(*(columns[name] for name in rejects.column_names), strict=True))


def _quarantine(worker: Worker, unit: Unit, rejects: Sequence[Reject]) -> int:
    """Keep the refused rows whole and return how many were not there; their `interval` is the name of their table."""
    if not rejects:
        return 0
    market = MARKET if unit.address.startswith("stockula:") else unit.table_name.partition("_")[0]
    return keep_rejects(
        worker.ledger, market, unit.table_name, reject_frame(rejects), run_id=worker.migration.run_id,
        source=source_of(unit),
    )  # fmt: skip
