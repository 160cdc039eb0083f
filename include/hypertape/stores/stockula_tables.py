"""The tables of a Stockula file: the words of its prices, and the others row by row, typed or rejected."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from hypertape.cells import number
from hypertape.frame import instant
from hypertape.model import Interval
from hypertape.quality.gate_rules import TICKER_LENGTH, is_ticker
from hypertape.queries import query
from hypertape.stores._sqlite_cells import Fault, instant_of, row_text, shown
from hypertape.stores._sqlite_file import columns, name, reading, text
from hypertape.warehouse.stockula import TABLES, Table

PRICES = "price_history"
SPELLINGS = {
    Interval.D1: ("1d", "1D", "daily"),
    Interval.H1: ("1h", "1H", "60m"),
    Interval.M1: ("1m", "1min", "minute"),
}
"""How files write the intervals that are stored; three each, as the statement takes."""

Row = dict[str, Any]
Reject = tuple[str, None, str, str, str]
"""What a row of frame.REJECT_SCHEMA holds: symbol, no time, rule, offending value, and the row as JSON."""

_FLAGS = {0: False, 1: True, "0": False, "1": True, "true": True, "false": False}
_LARGEST_COUNT = 2.0**62


def interval_of(spelling: str) -> Interval | None:
    """The stored interval the file means, or None."""
    return next((interval for interval, known in SPELLINGS.items() if spelling in known), None)


@dataclass
class Batch:
    """Some rows of one table: typed ones by column, the same as they are in the file, and those that are set aside."""

    rows: list[Row] = field(default_factory=list)
    stored: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

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
    """Yield a table of TABLES in batches, the newest row first, without the symbols that were not asked for.

    `start` (UTC) holds for dividends and splits: earlier ones are left out. A column an older file lacks reads as null.
    Of several rows with one key the newest (highest row id) is kept, the others are rejects `duplicate_key`: some
    hundred bytes of memory a row.
    """
    with reading(path) as connection:
        known = columns(connection, table)
        if not known:
            return
        cursor = connection.execute(text(query("sqlite_all_rows").format(table=name(table))))
        seen: set[bytes] = set()
        while found := cursor.fetchmany(rows):
            batch = Batch()
            for cells in found:
                row = dict(zip(known, cells, strict=True))
                if not symbols or row.get("symbol") in symbols:
                    _sort(TABLES[table], row, batch, seen, start)
            yield batch


def symbols_of(path: Path, table: str, symbols: Collection[str]) -> set[str]:
    """Which of some symbols a table has."""
    statement = text(query("sqlite_some_symbols").format(table=name(table)))
    with reading(path) as connection:
        return {symbol for (symbol,) in connection.execute(statement, (json.dumps(sorted(symbols)),))}


def reject(row: Mapping[str, Any], rule: str, value: str) -> Reject:
    """A row that is set aside."""
    return shown(row.get("symbol"))[: 2 * TICKER_LENGTH], None, rule, value, row_text(row)


def _sort(table: Table, row: Row, batch: Batch, seen: set[bytes], start: datetime | None) -> None:
    """Put a row where it belongs."""
    typed: Row = {}
    for column in table.columns:
        value = _typed(table, column, row.get(column))
        if isinstance(value, Fault):
            batch.rejects.append(reject(row, value.rule, value.value))
            return
        typed[column] = value
    if start is not None and typed.get("date") is not None and typed["date"] < start.date():
        return
    key = [typed[column] for column in table.key]
    mark = blake2b(repr(key).encode(), digest_size=16).digest()
    if mark in seen:
        batch.rejects.append(reject(row, "duplicate_key", ", ".join(shown(row.get(c)) for c in table.key)))
        return
    seen.add(mark)
    batch.rows.append(typed)
    batch.stored.append(row)


def _typed(table: Table, column: str, cell: Any) -> Any:
    """A cell as what its column holds, or why it is not."""
    if cell is None:
        return Fault(f"null_{column}", f"{column}=NULL") if column in table.required else None
    if column == "symbol" and isinstance(cell, str) and cell and not is_ticker(cell):
        return Fault("bad_ticker", f"{column}={shown(cell)}")
    value = _read(table, column, cell)
    if value is not None and column in table.positive and not (math.isfinite(value) and value > 0):
        return Fault(f"bad_{column}", f"{column}={shown(cell)}")
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
    whole = cell.hex() if isinstance(cell, bytes) else str(cell)
    return whole.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _date(cell: Any) -> date | None:
    time = instant_of(cell)
    return None if time is None else instant(time).date()


def _document(cell: Any) -> Any:
    """A JSON text as PostgreSQL can keep it: NaN and infinities, which JSON does not know, become null."""
    try:
        return json.loads(str(cell).replace("\\u0000", ""), parse_constant=lambda _: None)
    except ValueError:
        return None
