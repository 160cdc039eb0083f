"""Plan a migration: its units of work, and whether it is a new one or one that was interrupted."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from hypertape.errors import BadInput
from hypertape.model import Interval, parse_instant
from hypertape.settings import Settings
from hypertape.steps.migration import STOCKULA
from hypertape.steps.migration.files import Inspected, address_of, fingerprint, identity
from hypertape.steps.run_spec import Json
from hypertape.stores import Selection, require_all_rows
from hypertape.stores._sqlite_unassigned import RULES
from hypertape.stores.addresses import open_store
from hypertape.stores.inspect import FileReport
from hypertape.stores.sqlite import table_name
from hypertape.stores.stockula_tables import PRICES, symbols_of
from hypertape.warehouse import migration_ledger
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migration_ledger import Options, PlannedUnit
from hypertape.warehouse.stockula import TABLES

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What is open of a migration, or (with `part`) the share of one of several copies; `tickers` names it."""

    migration_id: int
    part: int | None = None
    tickers: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {**asdict(self), "tickers": list(self.tickers)}

    @classmethod
    def from_json(cls, value: Json) -> Part:
        """Read what `to_json` wrote; other keys are ignored."""
        return cls(value["migration_id"], value.get("part"), tuple(value.get("tickers", ())))


@dataclass(frozen=True, slots=True)
class Planned:
    """A migration as the other steps need to know it.

    `parts` are the shares of parallel copies (of a rehearsal too, which copies nothing); there is none when the same
    files were migrated with the same wishes before. `unknown_symbols` were asked for and are in no chosen table.
    """

    migration_id: int
    run_id: str
    dry_run: bool
    resumed: bool
    units: int
    rows: int
    open_units: int
    parts: tuple[Part, ...] = ()
    unknown_symbols: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            **asdict(self),
            "parts": [part.to_json() for part in self.parts],
            "unknown_symbols": list(self.unknown_symbols),
        }

    @classmethod
    def from_json(cls, value: Json) -> Planned:
        """Read what `to_json` wrote; `parts` may be gone."""
        parts = tuple(map(Part.from_json, value.get("parts", ())))
        return cls(**{**value, "parts": parts, "unknown_symbols": tuple(value["unknown_symbols"])})


def plan(
    dsn: str,
    inspected: Inspected,
    *,
    run_id: str,
    now: datetime,
    tables: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    start_date: str | None = None,
    workers: int = 1,
    dry_run: bool = False,
    force: bool = False,
    settings: Settings,
) -> Planned:
    """Write the units of a migration to its ledger, in parts for up to `workers` parallel copies.

    An interrupted migration is continued under its old id. `force` starts a new one: everything is copied again, which
    writes nothing where nothing differs. Raises BadInput.
    """
    start = parse_instant(start_date) if start_date else None
    options = Options(tuple(sorted(tables or ())), tuple(sorted(symbols or ())), start)
    mark = fingerprint(inspected.files, options)
    with connect(dsn, autocommit=True) as connection:
        before = None if force or dry_run else migration_ledger.find(connection, mark)
        if before is not None:
            return _planned(connection, before[0], resumed=True)
        planned = _parted(list(_units(inspected, options, now, settings)), workers)
        unknown = _unknown_symbols(planned, options.symbols)
        with connection.transaction():
            migration_id = migration_ledger.begin(
                connection, run_id=run_id, fingerprint=mark, files=[file.to_json() for file in inspected.files],
                options=options, dry_run=dry_run,
                inspected=[report.to_json() for report in inspected.reports], started_at=now,
            )  # fmt: skip
            migration_ledger.add_units(connection, migration_id, planned)
            migration_ledger.note(connection, migration_id, state="copying")
        return replace(_planned(connection, migration_id, resumed=False), unknown_symbols=unknown)


def _unknown_symbols(planned: Sequence[PlannedUnit], symbols: Sequence[str]) -> tuple[str, ...]:
    """The wanted symbols that none of the chosen tables has. Raises BadInput when that is all of them."""
    found = {unit.ticker for unit in planned if unit.ticker}
    for unit in planned:
        if unit.ticker is None and unit.table_name in TABLES:
            found |= symbols_of(Path(unit.file), unit.table_name, set(symbols) - found)
    unknown = tuple(sorted(set(symbols) - found))
    if not unknown:
        return ()
    missing = f"No chosen table has {', '.join(unknown)}"
    if set(unknown) == set(symbols):
        raise BadInput(missing, next_step="Spell symbols as the file does: aapl and AAPL are different.")
    _LOG.warning("%s: these symbols are left out.", missing)
    return unknown


def selection_of(options: Options) -> Selection:
    """What the options select of a store."""
    return Selection(tickers=options.symbols, start=options.start)


def _planned(connection: migration_ledger.Connection, migration_id: int, *, resumed: bool) -> Planned:
    """What the other steps need to know, and the parts that are still to be copied."""
    migration = migration_ledger.get(connection, migration_id)
    units = migration_ledger.units(connection, migration_id)
    open_units = [unit for unit in units if unit.state != "done"]
    counted: dict[int, list[str]] = {}
    for unit in open_units:
        counted.setdefault(unit.part, []).append(unit.ticker or unit.table_name)
    return Planned(
        migration_id, migration.run_id, migration.dry_run, resumed, len(units),
        sum(unit.planned or 0 for unit in units), len(open_units),
        tuple(Part(migration_id, part, tuple(names)) for part, names in sorted(counted.items())),
    )  # fmt: skip


def _units(
    inspected: Inspected, options: Options, now: datetime, settings: Settings
) -> Iterator[PlannedUnit]:
    known: set[str] = set()
    for report in inspected.taken:
        for unit in _file_units(inspected, report, options, now, settings):
            known.add(unit.table_name)
            if not options.tables or unit.table_name in options.tables:
                yield unit
    known |= {table.name for report in inspected.reports for table in report.tables}
    if wrong := sorted(set(options.tables) - known):
        raise BadInput(
            f"No file has a table {', '.join(wrong)} that can be migrated",
            next_step=f"Tables: {', '.join(sorted(known))}.",
        )


def _file_units(
    inspected: Inspected, report: FileReport, options: Options, now: datetime, settings: Settings
) -> Iterator[PlannedUnit]:
    """The series of a file, then its other tables.

    Raises RowsLost when these are not all the rows of the file's tables of bars.
    """
    address, file = address_of(report), str(report.path)
    rows: Counter[str] = Counter(_unassigned(report))
    store = open_store(address, settings=settings, now=now, run_id="plan")
    try:
        for info in store.series(selection_of(options)):
            series = info.series
            table = table_of(report.schema, series.market, series.interval)
            rows[table] += info.rows or 0
            yield PlannedUnit(
                f"{report.path.name}/{table}/{series}", 0, file, address, table, series.market,
                series.interval.value, series.ticker, info.rows,
            )  # fmt: skip
    finally:
        store.close()
    for table, count in _unassigned(report).items():
        unit = f"{report.path.name}/{table}/rows of no series"
        yield PlannedUnit(unit, 0, file, address, table, None, None, None, count)
    for reported in report.tables:
        if report.schema == STOCKULA and reported.name in TABLES:
            yield PlannedUnit(
                f"{report.path.name}/{reported.name}", 0, file, address, reported.name, None, None, None,
                reported.rows,
            )  # fmt: skip
        elif (
            not options.symbols and identity(report.path) in inspected.files
        ):  # nobody writes to it meanwhile
            require_all_rows(f"{report.path} {reported.name}", reported.rows, rows[reported.name])


def _unassigned(report: FileReport) -> dict[str, int]:
    """The tables of a file with rows that belong to no series, and how many these are."""
    found: Counter[str] = Counter()
    for problem in report.problems:
        if problem.name in RULES:
            found[problem.table] += problem.rows
    return found


def table_of(schema: str, market: str, interval: Interval) -> str:
    """The table of a SQLite schema that holds a market and interval."""
    return PRICES if schema == STOCKULA else table_name(market, interval)


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
