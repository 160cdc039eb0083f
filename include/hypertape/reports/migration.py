"""What the report of a migration shows, gathered from its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BadInput
from hypertape.reports.run import MOST, rows
from hypertape.reports.verdict import BAD, GOOD, NOTE, UNKNOWN, Statement, plural

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


def gather_migration(connection: Connection, migration_id: int | None) -> Row:
    """Everything the template `migration.html` needs; the newest migration without an id. Raises BadInput."""
    found = rows(connection, "migration_get", migration_id=migration_id)
    if not found:
        raise BadInput(
            f"There is no migration {migration_id}" if migration_id else "Nothing has been migrated",
            next_step="See `select migration_id, run_id, state from migration`.",
        )
    (migration,) = found
    units = rows(
        connection, "migration_units", migration_id=migration["migration_id"], part=None, states=None
    )
    (totals,) = rows(connection, "migration_totals", migration_id=migration["migration_id"])
    inspected = migration["inspected"]
    sources = _sources(units)
    refused = rows(connection, "report_migration_refused", sources=sources, most=MOST)
    return {
        "migration": migration,
        "inspected": inspected,
        "problems": [
            {"path": report["path"], **problem} for report in inspected for problem in report["problems"]
        ],
        "units": _worst_first(units)[:MOST],
        "units_total": len(units),
        "samples": [unit for unit in units if unit["sample"]][:MOST],
        "totals": totals,
        "quarantine": refused,
        "quarantine_total": refused[0]["total"] if refused else 0,
        "verdict": verdict(migration, totals),
        "answers": _answers(migration, totals, inspected, _by_rule(connection, migration["migration_id"])),
    }


def _by_rule(connection: Connection, migration_id: int) -> dict[str, int]:
    found = rows(connection, "migration_refused", migration_id=migration_id)
    return {row["rule"]: row["rows"] for row in found}


def _sources(units: Sequence[Row]) -> list[str]:
    return sorted({load_source(unit["address"], unit["file"]) for unit in units})


def load_source(address: str, file: str) -> str:
    """What `load` and `quarantine` call a migrated file: `stockula:market.db`."""
    return f"{address.partition(':')[0]}:{Path(file).name}"


def verdict(migration: Mapping[str, Any], totals: Mapping[str, Any]) -> Statement:
    """The headline."""
    if migration["dry_run"]:
        return Statement(NOTE, f"Rehearsal: {plural(totals['planned'], 'row')} would be copied, nothing was")
    if totals["different"]:
        return Statement(
            BAD,
            f"Not equal: {plural(totals['different'], 'unit')} of {totals['units']} differ",
            (f"{totals['rows_missing']} rows are missing and {totals['rows_different']} differ.",),
        )
    if totals["done"] < totals["units"]:
        left = totals["units"] - totals["done"]
        return Statement(
            BAD, f"Incomplete: {plural(left, 'unit')} of {totals['units']} not copied", (_AGAIN,)
        )
    if totals["equal"] < totals["units"]:
        return Statement(UNKNOWN, "Copied, not verified: nothing is proven", (_AGAIN,))
    if totals["refused"]:
        return Statement(
            NOTE,
            "Every row arrived with the same bits, or is in quarantine",
            (f"{plural(totals['refused'], 'row')} of the files cannot be bars and are kept in quarantine.",),
        )
    return Statement(GOOD, "Every row arrived, with the same bits")


_AGAIN = "Start the same migration again: only what is open is copied."


def _answers(
    migration: Mapping[str, Any],
    totals: Mapping[str, Any],
    inspected: Sequence[Mapping[str, Any]],
    rules: Mapping[str, int],
) -> list[tuple[str, Statement]]:
    return [
        ("Did every row arrive?", _arrived(migration, totals)),
        ("What was wrong in the files?", _wrong(inspected, totals["refused"], rules)),
        ("How would I know?", _known(totals)),
    ]


def _arrived(migration: Mapping[str, Any], totals: Mapping[str, Any]) -> Statement:
    if migration["dry_run"]:
        return Statement(UNKNOWN, "Nothing was copied: this is a rehearsal")
    did = tuple(
        f"{plural(totals[name], 'row')} {words}"
        for name, words in (
            ("inserted", "new"),
            ("updated", "changed"),
            ("unchanged", "as stored already"),
            ("refused", "in quarantine"),
        )
        if totals[name]
    )
    missing = totals["rows_missing"] + totals["rows_different"]
    if missing or totals["done"] < totals["units"]:
        return Statement(BAD, "No", did)
    return Statement(GOOD, f"Yes: {plural(totals['rows_read'], 'row')}", did)


def _wrong(inspected: Sequence[Mapping[str, Any]], refused: int, rules: Mapping[str, int]) -> Statement:
    problems = [problem for report in inspected for problem in report["problems"]]
    unknown = [table for report in inspected for table in report["unknown"]]
    because = tuple(f"{problem['name']}: {plural(problem['rows'], 'row')}" for problem in problems)
    if refused:
        found = ", ".join(f"{rule} {count}" for rule, count in rules.items())
        because = (
            *because,
            f"{plural(refused, 'row')} cannot be what their table holds, for quarantine: {found}",
        )
    if unknown:
        because = (*because, f"Tables that are not migrated: {', '.join(t['name'] for t in unknown)}")
    return Statement(NOTE, "Some things deserve a look", because) if because else Statement(GOOD, "Nothing")


def _known(totals: Mapping[str, Any]) -> Statement:
    if not totals["equal"] and not totals["different"]:
        return Statement(UNKNOWN, "Not verified")
    return Statement(
        GOOD if not totals["different"] else BAD,
        f"{totals['equal']} of {plural(totals['units'], 'unit')} are equal",
        (
            "What was read of each is compared with what is stored: by digests, and row by row where these differ.",
        ),
    )


def _worst_first(units: Sequence[Row]) -> list[Row]:
    order = {"failed": 0, "running": 1, "pending": 2, "done": 3}
    return sorted(units, key=lambda unit: (unit["verdict"] == "equal", order[unit["state"]], unit["unit"]))
