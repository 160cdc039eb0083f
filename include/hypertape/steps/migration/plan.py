"""Plan a migration: its units of work, and whether it is a new one or one that was interrupted."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hypertape.errors import BadInput
from hypertape.model import Interval, parse_instant
from hypertape.settings import Settings, load_settings
from hypertape.steps.migration.files import address_of, fingerprint, taken
from hypertape.stores import Selection
from hypertape.stores.addresses import open_store
from hypertape.stores.sqlite import table_name
from hypertape.stores.stockula_tables import symbols_of
from hypertape.stores.stockula_words import TABLE as PRICE_TABLE
from hypertape.stores.strays import RULES
from hypertape.warehouse import migrations
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migrations import PlannedUnit
from hypertape.warehouse.stockula import TABLES

_LOG = logging.getLogger(__name__)


def plan(
    dsn: str,
    inspected: Mapping[str, Any],
    *,
    run_id: str,
    now: datetime,
    tables: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    start_date: str | None = None,
    workers: int = 1,
    dry_run: bool = False,
    force: bool = False,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Write the units of a migration to its ledger and return {migration_id, dry_run, resumed, parts, units, rows}.

    `parts` are JSON references, one for each of up to `workers` parallel copies; there is none in a dry run and none
    when the same files were migrated with the same wishes before. An interrupted migration is continued under its old
    id. `force` starts a new one: everything is copied again, which writes nothing where nothing
    differs. Raises BadInput.
    """
    options = {
        "tables": sorted(tables or ()),
        "symbols": sorted(symbols or ()),
        "start_date": parse_instant(start_date).isoformat() if start_date else None,
    }
    mark = fingerprint(inspected["files"], options)
    with connect(dsn, autocommit=True) as connection:
        before = None if force or dry_run else migrations.find(connection, mark)
        if before is not None:
            return _reference(connection, before[0], resumed=True)
        planned = _parted(list(_units(inspected, options, now, settings or load_settings())), workers)
        unknown = _unknown_symbols(planned, sorted(symbols or ()))
        with connection.transaction():
            migration_id = migrations.begin(
                connection, run_id=run_id, fingerprint=mark, files=inspected["files"], options=options,
                dry_run=dry_run, inspected=inspected["inspected"], started_at=now,
            )  # fmt: skip
            migrations.add_units(connection, migration_id, planned)
            migrations.note(connection, migration_id, state="done" if dry_run else "copying")
        return {**_reference(connection, migration_id, resumed=False), "unknown_symbols": unknown}


def _unknown_symbols(planned: Sequence[PlannedUnit], symbols: Sequence[str]) -> list[str]:
    """The wanted symbols that none of the chosen tables has. Raises BadInput when that is all of them."""
    found = {unit.ticker for unit in planned if unit.ticker}
    for unit in planned:
        if unit.ticker is None and unit.table_name in TABLES:
            found |= symbols_of(Path(unit.file), unit.table_name, set(symbols) - found)
    unknown = sorted(set(symbols) - found)
    if not unknown:
        return []
    missing = f"No chosen table has {', '.join(unknown)}"
    if set(unknown) == set(symbols):
        raise BadInput(missing, next_step="Spell symbols as the file does: aapl and AAPL are different.")
    _LOG.warning("%s: these symbols are left out.", missing)
    return unknown


def selection_of(options: Mapping[str, Any]) -> Selection:
    """What the options select of a store."""
    start = options["start_date"]
    return Selection(
        tickers=tuple(options["symbols"]), start=datetime.fromisoformat(start) if start else None
    )


def _reference(connection: migrations.Connection, migration_id: int, *, resumed: bool) -> dict[str, Any]:
    """What the other steps need to know, and the parts that are still to be copied."""
    migration = migrations.get(connection, migration_id)
    units = migrations.units(connection, migration_id)
    open_units = [] if migration["dry_run"] else [unit for unit in units if unit["state"] != "done"]
    counted: dict[int, list[str]] = {}
    for unit in open_units:
        counted.setdefault(unit["part"], []).append(unit["ticker"] or unit["table_name"])
    return {
        "migration_id": migration_id,
        "run_id": migration["run_id"],
        "dry_run": migration["dry_run"],
        "resumed": resumed,
        "units": len(units),
        "rows": sum(unit["planned"] or 0 for unit in units),
        "open_units": len(open_units),
        "parts": [
            {"migration_id": migration_id, "part": part, "tickers": names}
            for part, names in sorted(counted.items())
        ],
    }


def _units(
    inspected: Mapping[str, Any], options: Mapping[str, Any], now: datetime, settings: Settings
) -> Iterator[PlannedUnit]:
    known: set[str] = set()
    for report in taken(inspected):
        for unit in _file_units(report, options, now, settings):
            known.add(str(unit.table_name))
            if not options["tables"] or unit.table_name in options["tables"]:
                yield unit
    known |= {table["name"] for report in inspected["inspected"] for table in report["tables"]}
    if wrong := sorted(set(options["tables"]) - known):
        raise BadInput(
            f"No file has a table {', '.join(wrong)} that can be migrated",
            next_step=f"Tables: {', '.join(sorted(known))}.",
        )


def _file_units(
    report: Mapping[str, Any], options: Mapping[str, Any], now: datetime, settings: Settings
) -> Iterator[PlannedUnit]:
    """The series of a file, then its other tables."""
    address, file = address_of(report), report["path"]
    store = open_store(address, settings=settings, now=now, run_id="plan")
    try:
        for info in store.series(selection_of(options)):
            series = info.series
            table = table_of(report["schema"], series.market, series.interval)
            yield PlannedUnit(
                f"{Path(file).name}/{table}/{series}", 0, file, address, table, series.market,
                series.interval.value, series.ticker, info.rows,
            )  # fmt: skip
    finally:
        store.close()
    for table, rows in _strays(report).items():
        unit = f"{Path(file).name}/{table}/rows of no series"
        yield PlannedUnit(unit, 0, file, address, table, None, None, None, rows)
    if report["schema"] == "stockula":
        for table in report["tables"]:
            if table["name"] in TABLES:
                yield PlannedUnit(
                    f"{Path(file).name}/{table['name']}", 0, file, address, table["name"], None, None, None,
                    table["rows"],
                )  # fmt: skip


def _strays(report: Mapping[str, Any]) -> dict[str, int]:
    """The tables of a file with rows that belong to no series, and how many these are."""
    found: Counter[str] = Counter()
    for problem in report["problems"]:
        if problem["name"] in RULES:
            found[problem["table"]] += problem["rows"]
    return found


def table_of(schema: str, market: str, interval: Interval) -> str:
    """The table of a SQLite schema that holds a market and interval."""
    return PRICE_TABLE if schema == "stockula" else table_name(market, interval)


def _parted(units: Sequence[PlannedUnit], workers: int) -> list[PlannedUnit]:
    """Give each unit its part, so that the parts are about equally long.

    Names that occur twice get their file's path.
    """
    if workers < 1:
        raise BadInput(f"{workers} workers cannot copy anything", next_step="Name one or more.")
    names = Counter(unit.unit for unit in units)
    load = [(0, part) for part in range(workers)]
    parted = []
    for unit in sorted(units, key=lambda each: (-(each.planned or 0), each.unit)):
        rows, part = heapq.heappop(load)
        heapq.heappush(load, (rows + (unit.planned or 0) + 1, part))
        name = unit.unit if names[unit.unit] == 1 else f"{unit.file}:{unit.unit}"
        parted.append(replace(unit, part=part, unit=name))
    return parted
