"""Bars into a table of the dual-write schema: only rows that differ, indicators recomputed where a bar moved."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from psycopg import sql

from hypertape.errors import BadInput
from hypertape.frame import Bars, Floats, split_series
from hypertape.indicators import LOOKBACK, enrich
from hypertape.model import INDICATOR_COLUMNS, PRICE_COLUMNS, VALUE_COLUMNS
from hypertape.queries import query
from hypertape.stores import Block, Written
from hypertape.stores._sqlite_file import BUSY_SECONDS, columns, name, tables, text, translate
from hypertape.stores._sqlite_read import number_of
from hypertape.warehouse.loading.merge import Merged, join_bars, merge

_SECOND = 1_000_000
_PRAGMAS = (
    "pragma journal_mode = wal",
    "pragma synchronous = normal",
    "pragma cache_size = -64000",
    "pragma temp_store = memory",
    "pragma mmap_size = 268435456",
)
"""The document's; its readers expect the write-ahead log."""

_PLAIN = (*PRICE_COLUMNS, "volume")
_KEPT = ("ticker", "time", "created_at")
"""What an update leaves as it is, `id` beside them."""


class Writer:
    """One table of one file, made when it is missing. A context manager; `write` is one transaction."""

    def __init__(self, path: Path, table: str, now: datetime) -> None:
        self._path = path
        self._table = table
        self._now = int(now.timestamp())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with translate(self._path), ExitStack() as opening:
            self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            opening.callback(self._connection.close)
            require_no_stockula(self._connection, self._path)
            for pragma in _PRAGMAS:
                self._connection.execute(pragma)
            self._make_table()
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, block: Block) -> Written:
        """Write a block's bars. Raises what `translate` raises; then nothing of the block is stored."""
        with translate(self._path):
            self._connection.execute("begin immediate")
            try:
                done = sum(
                    (self._write_series(ticker, bars) for ticker, bars in split_series(block.bars)),
                    Written(refused=len(block.rejects)),
                )
                self._connection.execute("commit")
            except BaseException:
                self._connection.execute("rollback")
                raise
        return done

    def _make_table(self) -> None:
        if not columns(self._connection, self._table):
            statements = query("sqlite_dual_create").format(
                table=name(self._table),
                by_time=name(f"idx_{self._table}_ticker_time"),
                unique=name(f"idx_{self._table}_unique"),
            )
            self._connection.executescript(text(statements))
        self._has_adjusted = "adjusted_close" in columns(self._connection, self._table)

    def _write_series(self, ticker: str, given: Bars) -> Written:
        keepable = _keepable(given)
        incoming = given.take(keepable)
        refused = len(given) - len(incoming)
        if len(incoming) == 0:
            return Written(refused=refused)
        if not self._has_adjusted and not np.isnan(incoming.adjusted_close).all():
            self._add_adjusted()
        merged = self._merge(ticker, incoming)
        if merged.touches:
            self._upsert(ticker, merged)
        inserted, updated = int(merged.added.sum()), int(merged.changed.sum())
        return Written(inserted, updated, len(incoming) - inserted - updated, refused)

    def _add_adjusted(self) -> None:
        statement = query("sqlite_dual_add_adjusted").format(table=name(self._table))
        self._connection.execute(text(statement))
        self._has_adjusted = True

    def _merge(self, ticker: str, incoming: Bars) -> Merged:
        first, last = int(incoming.time[0]) // _SECOND, int(incoming.time[-1]) // _SECOND
        inside = self._stored("sqlite_dual_span", "asc", (ticker, first, last, -1))
        merged = merge(inside, incoming)
        if not merged.touches:
            return merged
        before = self._stored("sqlite_dual_before", "desc", (ticker, first, LOOKBACK))
        after = self._stored("sqlite_dual_after", "asc", (ticker, last, LOOKBACK))
        return merge(join_bars(before, inside, after), incoming)

    def _stored(self, condition: str, direction: str, parameters: tuple[object, ...]) -> Bars:
        values = [number_of(column) for column in _PLAIN]
        values.append(name("adjusted_close") if self._has_adjusted else sql.SQL("null"))
        statement = query("sqlite_dual_stored").format(
            table=name(self._table),
            values=sql.SQL(", ").join(values),
            condition=query(condition),
            direction=sql.SQL(direction),
        )
        rows = self._connection.execute(text(statement), parameters).fetchall()
        if not rows:
            return Bars.empty()
        time, *columns = zip(*(rows if direction == "asc" else reversed(rows)), strict=True)
        return Bars(np.array(time, np.int64) * _SECOND, *(np.array(column, np.float64) for column in columns))

    def _upsert(self, ticker: str, merged: Merged) -> None:
        chosen = np.flatnonzero(merged.affected)
        bars = merged.bars.take(chosen)
        indicators = enrich(merged.bars.close, merged.bars.volume)
        cells: dict[str, list[Any]] = {
            "ticker": [ticker] * len(bars),
            "time": (bars.time // _SECOND).tolist(),
            **{column: getattr(bars, column).tolist() for column in _PLAIN},
            **{column: _nullable(indicators[column][chosen]) for column in INDICATOR_COLUMNS},
            "created_at": [self._now] * len(bars),
            "updated_at": [self._now] * len(bars),
        }
        if self._has_adjusted:
            cells["adjusted_close"] = _nullable(bars.adjusted_close)
        self._connection.executemany(self._upsert_statement(list(cells)), zip(*cells.values(), strict=True))

    def _upsert_statement(self, names: list[str]) -> str:
        assignments = [
            sql.SQL("{} = excluded.{}").format(name(column), name(column))
            for column in names
            if column not in _KEPT
        ]
        statement = query("sqlite_dual_upsert").format(
            table=name(self._table),
            columns=sql.SQL(", ").join(map(name, names)),
            holes=sql.SQL(", ").join([sql.SQL("?")] * len(names)),
            assignments=sql.SQL(", ").join(assignments),
        )
        return text(statement)


def require_no_stockula(connection: sqlite3.Connection, path: Path) -> None:
    """Raise BadInput for a Stockula file: its program would not look for bars in tables that it does not know.

    A file that has tables of both schemas is the dual write's.
    """
    ours = any(table.endswith(("_daily", "_hourly", "_minute")) for table in tables(connection))
    if not ours and {"symbol", "date", "interval"} <= set(columns(connection, "price_history")):
        raise BadInput(f"{path} is a Stockula file, which is only read", next_step="Name another file.")


def _keepable(bars: Bars) -> np.ndarray[Any, np.dtype[np.bool_]]:
    good = np.asarray(bars.time % _SECOND == 0, np.bool_)
    for column in _PLAIN:
        good &= np.isfinite(getattr(bars, column))
    return good


def _nullable(values: Floats) -> list[float | None]:
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    found: list[float | None] = cells.tolist()
    return found


assert (*_PLAIN, "adjusted_close") == VALUE_COLUMNS, "stored bars are read in this order"
