"""A Stockula SQLite file as a store that is only read: its price_history is bars of the market `us`.

What a row of price_history becomes:

| row | becomes |
|---|---|
| `1d` with a date | a daily bar at 00:00 UTC of that date |
| `1h`, `60m`, `1m` with a date and a time (UTC where no zone is given) | a bar that opens then |
| `1h`, `60m`, `1m` with a date only | reject `interval_collapse`: which hour or minute it was is lost |
| several rows with one bar time | the newest row (highest id) a bar, the others reject `interval_collapse` |
| a date that is none | reject `bad_time` |
| a price or volume that is NULL, or text that is no number | reject `null_price`, `null_volume`, `text_in_number` |
| a number that a double cannot hold exactly | a bar with the nearest double; `inspect` counts it as `precision_loss` |
| a symbol that `stocks` does not have | a bar as any other; `inspect` counts it as `orphan` |
| a midnight with a zone (`2024-01-03 00:00:00-05:00`, as pandas writes) of `1d` | the daily bar of that date |
| an interval that is not stored (`5m`, `1wk`, NULL) | not a series: `unassigned` yields it, `inspect` counts it |
| a symbol that can be no ticker | not a series: `unassigned` yields it, `inspect` counts it |

An orphan's prices are as true as any, so they are not held back; a lost time of day cannot be had again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from hypertape.digest import SeriesDigest
from hypertape.errors import BadInput
from hypertape.frame import Micros, instant, micros
from hypertape.model import Interval, Market, Series
from hypertape.quality.gate import is_ticker
from hypertape.queries import query
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Unassigned, Written
from hypertape.stores._sqlite_cells import Fault, instant_of, is_date_only, session_of, shown
from hypertape.stores._sqlite_file import columns, reading, text
from hypertape.stores._sqlite_read import Mask, SeriesQuery, digest_of, read_blocks
from hypertape.stores._sqlite_unassigned import unassigned_rows
from hypertape.stores.stockula_tables import PRICES, SPELLINGS, interval_of
from hypertape.warehouse.stockula import MARKET

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening

COLUMNS = {
    "open": "open_price",
    "high": "high_price",
    "low": "low_price",
    "close": "close_price",
    "volume": "volume",
}
_DATE_LENGTH = len("2024-01-02")
_SORTED_LENGTHS = frozenset(map(len, ("2024-01-02", "2024-01-02 09:30:00", "2024-01-02 09:30:00.000000")))
"""Dates without a zone, all of one of these lengths, sort as text."""


def build(place: str, opening: Opening) -> StockulaStore:
    """Open the file of an address. Raises BadInput when it is no Stockula file."""
    return StockulaStore(Path(place))


class StockulaStore:
    """The bars of one Stockula file; for one thread of a process (`_sqlite_read` says why).

    Raises BadInput when the file is missing or has no price_history as Stockula writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path) as connection:
            known = columns(connection, PRICES)
        self._sorts_as_text: dict[Series, bool] = {}
        missing = {"symbol", "date", "interval", *COLUMNS.values()} - set(known)
        if missing:
            raise BadInput(
                f"{path} is no Stockula file: {PRICES} lacks {', '.join(sorted(missing))}",
                next_step="For a file with tables like vn_daily use sqlite:FILE.",
            )

    @property
    def address(self) -> str:
        """`stockula:FILE`."""
        return f"stockula:{self.path}"

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the series, sorted by interval and ticker; `rows` counts rows that may turn out to be no bars."""
        found: dict[Series, SeriesInfo] = {}
        for symbol, _, spelling, _, count, first, last, *lengths in self._listed():
            interval = interval_of(spelling)
            if interval is None or not is_ticker(symbol):
                continue  # `unassigned` has them
            if not selection.covers(series := Series(MARKET, symbol, interval)):
                continue
            info = SeriesInfo(series, count, _moment(first), _moment(last))
            if lengths == [_DATE_LENGTH, _DATE_LENGTH]:
                self._sorts_as_text[series] = True  # else `_query` looks closer
            if series in found:
                info = _both(found[series], info)
                self._sorts_as_text.pop(series, None)  # two spellings of one interval: `_query` looks at both
            found[series] = info
        yield from (found[series] for series in sorted(found, key=lambda s: (s.interval, s.ticker)))

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield a series in blocks, with the rejects of each stretch (the module says which).

        With `start`, rows whose date cannot be read are left out: a read from the beginning reports them.
        """
        if series.market != MARKET or series.interval not in SPELLINGS:
            return
        since = None if start is None else micros(start)
        yield from read_blocks(self._query(series, start), start=since, rows=rows)

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Refuse: raises BadInput."""
        raise BadInput("A Stockula file is only read", next_step="Copy to warehouse, csv:DIR or sqlite:DIR.")

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the bars."""
        return digest_of(series.ticker, self.read(series, start=start))

    def unassigned(self, selection: Selection, *, places: Sequence[str] = ()) -> Iterator[Unassigned]:
        """The rows whose symbol can be no ticker or whose interval is not stored."""
        if selection.markets and MARKET not in selection.markets:
            return
        for rejects in unassigned_rows(self.path, PRICES, symbols=selection.tickers, start=selection.start):
            yield Unassigned(MARKET, PRICES, rejects)

    def close(self) -> None:
        """Nothing is held open."""

    def _listed(self) -> list[tuple[Any, ...]]:
        """Symbol (and its bytes), spelling of the interval (twice), rows, first and last date, shortest and longest."""
        with reading(self.path) as connection:
            symbols = connection.execute(text(query("sqlite_stockula_series"))).fetchall()
            several = [row[0] for row in symbols if row[2] != row[3] and is_ticker(row[0])]
            if not several:
                return symbols
            statement = text(query("sqlite_stockula_several"))
            rest = connection.execute(statement, (json.dumps(several),)).fetchall()
        return [row for row in symbols if row[2] == row[3]] + rest

    def _query(self, series: Series, start: datetime | None) -> SeriesQuery:
        condition: sql.Composable = query("sqlite_stockula_condition")
        parameters: tuple[object, ...] = (series.ticker, *SPELLINGS[series.interval])
        sortable = self._sorts_as_text.get(series)
        if sortable is None:
            sortable = self._dates_sort_as_text(parameters)
        if start is not None:
            condition = sql.Composed([condition, query("sqlite_stockula_since")])
            parameters = (*parameters, (start - timedelta(days=1)).date().isoformat())
        intraday = series.interval is not Interval.D1
        return SeriesQuery(
            path=self.path,
            ticker=series.ticker,
            table=PRICES,
            time=query("sqlite_stockula_date"),
            time_column="date",
            columns=COLUMNS,
            condition=condition,
            parameters=parameters,
            order=query(
                "sqlite_stockula_by_text"
                if sortable
                else "sqlite_stockula_by_time"
                if intraday
                else "sqlite_stockula_by_session"
            ),
            times=_intraday_times if intraday else _session_times,
            judge_time=_judge_intraday if intraday else _judge_session,
            same_time_rule="interval_collapse",
        )

    def _dates_sort_as_text(self, parameters: tuple[object, ...]) -> bool:
        statement = query("sqlite_stockula_shape").format(condition=query("sqlite_stockula_condition"))
        with reading(self.path) as connection:
            return _sorts_as_text(*connection.execute(text(statement), parameters).fetchone())


def _sorts_as_text(shortest: int | None, longest: int | None, separator: str, other: str) -> bool:
    return shortest is None or (shortest == longest and separator == other and longest in _SORTED_LENGTHS)


def _session_times(dates: pa.Array) -> tuple[Micros, Mask]:
    return _times(dates, session_of)


def _times(dates: pa.Array, read_one: Callable[[object], int | None] = instant_of) -> tuple[Micros, Mask]:
    """Dates as int64 µs and which of them are dates."""
    try:
        time = dates.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
        return time, np.ones(len(dates), np.bool_)
    except pa.ArrowInvalid:
        distinct = dates.cast(pa.binary()).dictionary_encode()
        read = [read_one(raw.decode("utf-8", "replace")) for raw in distinct.dictionary.to_pylist()]
        time = np.array([0 if at is None else at for at in read], np.int64)
        good = np.array([at is not None for at in read], np.bool_)
        index = distinct.indices.to_numpy()
        return time[index], good[index]


def _intraday_times(dates: pa.Array) -> tuple[Micros, Mask]:
    time, good = _times(dates)
    has_time = pc.greater(pc.binary_length(dates), len("YYYY-MM-DD")).to_numpy(zero_copy_only=False)
    return time, good & has_time


def _judge_time(cell: object, read_one: Callable[[object], int | None] = instant_of) -> int | Fault:
    time = read_one(cell)
    return Fault("bad_time", f"date={shown(cell)}") if time is None else time


def _judge_session(cell: object) -> int | Fault:
    return _judge_time(cell, session_of)


def _judge_intraday(cell: object) -> int | Fault:
    time = _judge_time(cell)
    if not isinstance(time, Fault) and is_date_only(cell):
        return Fault("interval_collapse", f"date={cell}")
    return time


def _moment(cell: object) -> datetime | None:
    time = instant_of(cell)
    return None if time is None else instant(time)


def _both(one: SeriesInfo, other: SeriesInfo) -> SeriesInfo:
    firsts = [first for first in (one.first, other.first) if first is not None]
    lasts = [last for last in (one.last, other.last) if last is not None]
    return SeriesInfo(
        one.series,
        (one.rows or 0) + (other.rows or 0),
        min(firsts, default=None),
        max(lasts, default=None),
    )
