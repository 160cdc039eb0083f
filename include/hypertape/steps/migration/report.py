"""How a migration ended: its mirrors brought up to date, its ledger closed, its report written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from hypertape.errors import BatchIncomplete, BatchRefused, CheckFailed, others
from hypertape.reports.pages import migration_report
from hypertape.settings import Settings
from hypertape.steps.after_load import write_report
from hypertape.steps.migration.plan import Planned
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.run_spec import Json
from hypertape.warehouse import migration_ledger
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migration_ledger import Totals


@dataclass(frozen=True, slots=True)
class Reported:
    """How a migration ended: the sums of its units, its refused rows by rule, and the path of its report."""

    totals: Totals
    refused_rules: Mapping[str, int]
    report: Path

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            **asdict(self.totals),
            "refused_rules": dict(self.refused_rules),
            "report": str(self.report),
        }


def report(dsn: str, planned: Planned, *, now: datetime, settings: Settings) -> Reported:
    """Deliver to the mirrors, close the migration and write its report into the state directory.

    Raises at the very end: BatchRefused or BatchIncomplete for units that are not copied, CheckFailed when the two
    sides differ.
    """
    migration_id = planned.migration_id
    if not planned.dry_run:
        deliver_mirrors(dsn, now=now, settings=settings)
    with connect(dsn, autocommit=True) as connection:
        totals = migration_ledger.totals(connection, migration_id)
        good = totals.done == totals.units and not totals.different
        before = migration_ledger.get(connection, migration_id)
        if not good or before.state != "done" or before.finished_at is None:
            migration_ledger.note(
                connection, migration_id, state="done" if good else "failed", finished_at=now
            )
        html = migration_report(connection, migration_id)
        rules = migration_ledger.refused_rules(connection, migration_id)
    path = write_report(settings, f"{planned.run_id}.migration", html)
    if not good:
        _raise_for(dsn, migration_id, totals, path)
    return Reported(totals, rules, path)


def _raise_for(dsn: str, migration_id: int, totals: Totals, path: Path) -> None:
    if totals.different:
        raise CheckFailed(
            f"{totals.different} units differ: {totals.rows_missing} rows missing, "
            f"{totals.rows_different} different",
            next_step=f"Read {path}, then start the same migration again: only these are copied anew.",
        )
    with connect(dsn, autocommit=True) as connection:
        left = migration_ledger.units(connection, migration_id, states=("pending", "running", "failed"))
    failed = [unit for unit in left if unit.state == "failed"]
    again = f"Mend the cause and start the same migration again: only what is open is copied. Report: {path}"
    if failed:
        lines = "; ".join(f"{unit.unit}: {unit.error}" for unit in failed)
        rest = others(totals.units - len(failed), "copied")
        raise BatchRefused(f"{len(failed)} units failed and {rest}: {lines}", next_step=again)
    if left:
        raise BatchIncomplete(f"{len(left)} units were not copied", next_step=again)
