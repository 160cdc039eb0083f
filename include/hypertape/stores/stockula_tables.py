"""The tables of a Stockula file beside its prices, row by row: typed where they can be read, rejects where not."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hypertape.frame import instant
from hypertape.queries import query
from hypertape.stores._sqlite_cells import Fault, instant_of, number, row_text, shown
from hypertape.stores._sqlite_file import columns, name, reading, text
from hypertape.warehouse.stockula import TABLES, Table

Row = dict[str, Any]

_FLAGS = {0: False, 1: True, "0": False, "1": True, "true": True, "false": False}
_LARGEST_COUNT = 2.0**62


@dataclass
class Batch:
    """Some rows of one table: typed ones by column, and (symbol, rule, value, row as JSON) of the others."""

    rows: list[Row] = field(default_factory=list)
    rejects: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.rejects)


def read_table(
    path: Path,
    table: str,
    *,
    symbols: Collection[str] = (),
    start: datetime | None = None,
    rows: int = 10_000,
) -> Iterator[Batch]:
    """Yield a table of TABLES in batches, without the symbols that were not asked for.

    `start` (UTC) holds for dividends and splits: earlier ones are left out. A column an older file lacks reads as null.
    """
    with reading(path) as connection:
        known = columns(connection, table)
        if not known:
            return
        cursor = connection.execute(text(query("sqlite_all_rows").format(table=name(table))))
        while found := cursor.fetchmany(rows):
            batch = Batch()
            for cells in found:
                _sort(TABLES[table], dict(zip(known, cells, strict=True)), batch, symbols, start)
            yield batch


def _sort(
    table: Table, row: Mapping[str, Any], batch: Batch, symbols: Collection[str], start: datetime | None
) -> None:
    """Put a row where it belongs."""
    symbol = row.get("symbol")
    if symbols and symbol not in symbols:
        return
    typed: Row = {}
    for column in table.columns:
        value = _typed(table, column, row.get(column))
        if isinstance(value, Fault):
            batch.rejects.append((shown(symbol), value.rule, value.value, row_text(row)))
            return
        typed[column] = value
    if start is None or typed.get("date") is None or typed["date"] >= start.date():
        batch.rows.append(typed)


def _typed(table: Table, column: str, cell: Any) -> Any:
    """A cell as what its column holds, or why it is not."""
    if cell is None:
        return Fault(f"null_{column}", f"{column}=NULL") if column in table.required else None
    value = _read(table, column, cell)
    if value is not None:
        return value
    if column in table.instants:
        return None  # when a row was written is bookkeeping, and no reason to lose it
    return Fault("bad_time" if column in table.dates else "unreadable", f"{column}={shown(cell)}")


def _read(table: Table, column: str, cell: Any) -> Any:
    """The cell's value, None when it is not what the column holds."""
    if column in table.dates:
        return _date(cell)
    if column in table.instants:
        time = instant_of(cell)
        return None if time is None else instant(time)
    if column in table.numbers:
        return number(cell)
    if column in table.whole:
        return _whole(cell)
    if column in table.flags:
        return _FLAGS.get(cell.lower() if isinstance(cell, str) else cell)
    if column in table.documents:
        return _document(cell)
    return _words(cell) if cell or column not in table.key else None


def _whole(cell: Any) -> int | None:
    count = number(cell)
    if count is None or not count.is_integer() or abs(count) > _LARGEST_COUNT:
        return None
    return cell if isinstance(cell, int) else int(count)


def _words(cell: Any) -> str:
    """A cell as text that PostgreSQL can keep."""
    return (cell.hex() if isinstance(cell, bytes) else str(cell)).replace("\0", "")


def _date(cell: Any) -> date | None:
    time = instant_of(cell)
    return None if time is None else instant(time).date()


def _document(cell: Any) -> Any:
    """A JSON text as PostgreSQL can keep it: NaN and infinities, which JSON does not know, become null."""
    try:
        return json.loads(str(cell).replace("\\u0000", ""), parse_constant=lambda _: None)
    except ValueError:
        return None
