"""SQLite files in the dual-write schema: `vn_daily` … `us_minute`, one file per market or all in one.

A directory holds `vn_data.db`, `crypto_data.db`, `us_data.db`; a file holds the tables of any market. Times are unix
seconds. The volume column is INTEGER, which keeps a fraction as it is (SQLite converts only what is whole), so that
crypto volumes lose nothing. Upserts keep `id` and `created_at`. The document has no column for adjusted closes: a table
gets `adjusted_close` at its end with the first bar that carries one.

Rows that are no bars become rejects: `bad_time`, `null_price`, `null_volume`, `text_in_number`, and `duplicate_key` for
all but the newest of rows with one ticker and time (a table without the document's unique key). Rows whose ticker can
be none belong to no series: `unassigned` yields them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
from psycopg import sql

from hypertape.digest import SeriesDigest
from hypertape.errors import BadInput, SourceFileMissing
from hypertape.frame import Micros, instant, micros
from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS, VALUE_COLUMNS, Interval, Market, Series
from hypertape.quality.gate import is_ticker
from hypertape.queries import query
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Unassigned, Written
from hypertape.stores._sqlite_cells import Fault, shown
from hypertape.stores._sqlite_file import columns, name, reading, tables, text
from hypertape.stores._sqlite_read import Mask, SeriesQuery, digest_of, read_blocks
from hypertape.stores._sqlite_unassigned import unassigned_rows
from hypertape.stores._sqlite_write import Writer, require_no_stockula
from hypertape.stores.addresses import require_directory

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening

WORDS = {Interval.D1: "daily", Interval.H1: "hourly", Interval.M1: "minute"}
"""How the schema names the intervals in its tables."""

_SECOND = 1_000_000
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799
"""Seconds of the years 1 to 9999: beyond them no instant can be written."""


def build(place: str, opening: Opening) -> SqliteStore:
    """Open the directory or file of an address; what is missing is made by the first write."""
    return SqliteStore(Path(place), now=opening.now)


class SqliteStore:
    """The bars of one directory or file; for one thread of a process (`_sqlite_read` says why).

    `now` (UTC) is what created_at and updated_at say. The bars lie where `root` says and nowhere else: VN_DATABASE_PATH
    and CRYPTO_DATABASE_PATH name stores of their own (`Settings.read_order`).
    """

    keeps_adjusted: ClassVar[bool] = True

    def __init__(self, root: Path, *, now: datetime) -> None:
        self.root = root
        self.now = now

    @property
    def address(self) -> str:
        """`sqlite:DIR_OR_FILE`."""
        return f"sqlite:{self.root}"

    def path(self, market: str) -> Path:
        """The file that holds a market's tables."""
        if self.root.is_file() or (
            not self.root.exists() and self.root.suffix in (".db", ".sqlite", ".sqlite3")
        ):
            return self.root
        return self.root / f"{market}_data.db"

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the series, sorted; `rows` counts rows that may turn out to be no bars.

        Raises SourceFileMissing when there is none of the files.
        """
        if not self._present():
            raise SourceFileMissing(
                f"There is no dual-write file at {self.root}",
                next_step="Name a file, or a directory with vn_data.db, crypto_data.db or us_data.db.",
            )
        for market in all_markets():
            if self.path(market).is_file() and (not selection.markets or market in selection.markets):
                for interval in sorted(STORED_INTERVALS):
                    yield from self._listed(market, interval, selection)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield a series in blocks, with the rejects of each stretch."""
        path, table = self.path(series.market), table_name(series.market, series.interval)
        known: list[str] = []
        if path.is_file():
            with reading(path) as connection:
                known = columns(connection, table)
        if known:
            wanted = _series_query(path, table, known, series.ticker, start)
            yield from read_blocks(wanted, start=None if start is None else micros(start), rows=rows)

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Write bars with their 13 indicators, each block in one transaction; only rows that differ are written.

        Bars with a price or volume that is not finite or a time between seconds cannot be kept: they and the blocks'
        rejects are counted as refused. Raises DatabaseBusy, DatabaseRefused, DiskFull, BadInput.
        """
        with Writer(self.path(market.code), table_name(market.code, interval), self.now) as writer:
            return sum((writer.write(block) for block in blocks), Written())

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the bars."""
        return digest_of(series.ticker, self.read(series, start=start))

    def unassigned(self, selection: Selection, *, places: Sequence[str] = ()) -> Iterator[Unassigned]:
        """The rows whose ticker can be none."""
        for market in all_markets():
            for interval in sorted(STORED_INTERVALS):
                table = table_name(market, interval)
                if (places and table not in places) or not _covers(selection, market, interval):
                    continue
                if self._has(market, table):
                    for rejects in unassigned_rows(self.path(market), table, symbols=selection.tickers):
                        yield Unassigned(market, table, rejects)

    def rest(self) -> list[str]:
        """The tables of the store's files that are none of this schema."""
        own = {f"{market}_{word}" for market in all_markets() for word in WORDS.values()}
        found: set[str] = set()
        for path in self._present():
            with reading(path) as connection:
                found |= set(tables(connection)) - own
        hints = {"price_history": " (for a Stockula file: stockula:FILE)"}
        return [
            f"table {table}{hints.get(table, '')}"
            for table in sorted(found, key=lambda t: (t not in hints, t))
        ]

    def require_writable(self) -> None:
        """Raise BadInput for a file of the Stockula schema, and where nobody can make a file."""
        for path in self._present():
            with reading(path) as connection:
                require_no_stockula(connection, path)
        require_directory(self.path(next(iter(all_markets()))).parent)

    def close(self) -> None:
        """Nothing is held open."""

    def _has(self, market: str, table: str) -> bool:
        path = self.path(market)
        if not path.is_file():
            return False
        with reading(path) as connection:
            return table in tables(connection)

    def _present(self) -> list[Path]:
        return sorted({path for market in all_markets() if (path := self.path(market)).is_file()})

    def _listed(self, market: str, interval: Interval, selection: Selection) -> Iterator[SeriesInfo]:
        table = table_name(market, interval)
        with reading(self.path(market)) as connection:
            if table not in tables(connection):
                return
            some = (json.dumps(selection.tickers),) if selection.tickers else ()
            statement = query("sqlite_dual_some_series" if some else "sqlite_dual_series")
            rows = connection.execute(text(statement.format(table=name(table))), some).fetchall()
        for ticker, _, count, first, last in rows:
            series = Series(market, ticker, interval)
            if is_ticker(ticker) and selection.covers(series):
                yield SeriesInfo(series, count, _moment(first), _moment(last))


def _covers(selection: Selection, market: str, interval: Interval) -> bool:
    return (not selection.markets or market in selection.markets) and (selection.covers_interval(interval))


def table_name(market: str, interval: Interval) -> str:
    """The table of a market and a stored interval: `vn_daily`. Raises BadInput for a derived interval."""
    if interval not in WORDS:
        raise BadInput(
            f"The dual-write schema has no table for {interval} bars", next_step="Use 1d, 1h or 1m."
        )
    return f"{market}_{WORDS[interval]}"


def _series_query(
    path: Path, table: str, known: list[str], ticker: str, start: datetime | None
) -> SeriesQuery:
    condition: sql.Composable = query("sqlite_dual_condition")
    parameters: tuple[object, ...] = (ticker,)
    if start is not None:
        condition = sql.Composed([condition, query("sqlite_dual_since")])
        parameters = (ticker, -(-micros(start) // _SECOND))
    return SeriesQuery(
        path=path,
        ticker=ticker,
        table=table,
        time=query("sqlite_dual_time"),
        time_column="time",
        columns={column: column for column in VALUE_COLUMNS if column in known},
        condition=condition,
        parameters=parameters,
        order=query("sqlite_dual_order"),
        times=_times,
        judge_time=_judge_time,
        same_time_rule="duplicate_key",
    )


def _times(seconds: pa.Array) -> tuple[Micros, Mask]:
    values = seconds.to_numpy()
    good = (values >= _EARLIEST) & (values <= _LATEST)
    return np.where(good, values, 0) * _SECOND, good


def _judge_time(cell: object) -> int | Fault:
    if isinstance(cell, int) and _EARLIEST <= cell <= _LATEST:
        return cell * _SECOND
    return Fault("bad_time", f"time={shown(cell)}")


def _moment(seconds: int | None) -> datetime | None:
    time = _judge_time(seconds)
    return None if isinstance(time, Fault) else instant(time)
