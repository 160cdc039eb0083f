"""Corporate actions: stored as the vendor reports them, and the adjusted series that follows from them.

Raw and adjusted are kept apart. `close` and `adjusted_close` are the vendor's, and nothing here changes either; what
`adjusted` returns is computed from `close` and the actions, so that the two can be compared. On which footing the
closes are depends on the source:

| source | close | adjusted_close |
|---|---|---|
| yahoo | adjusted for splits, not for dividends (and so are the amounts) | adjusted for both |
| sample | as traded | adjusted for both |
| vci | adjusted for both, without telling | none |
| ccxt | as traded (there are no actions) | none |
| csv_tree | whatever its files hold | whatever its files hold |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from hypertape.frame import Floats
from hypertape.model import Market, Window
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors

Connection = psycopg.Connection[Any]

SPLIT_ADJUSTED = {"yahoo": True, "sample": False}
"""The sources that give actions, and whether their closes are adjusted for splits.

Another source's closes are looked at, split by split."""

VALUES = {"dividends": "amount", "splits": "ratio"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the actions of one answer: counts of those that were new, other than stored, and equal."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A daily series: `time` int64 µs, the vendor's `close` and `adjusted_close` (NaN where it gives none), the
    cumulative `factor` and `adjusted` = close × factor."""

    time: np.ndarray[Any, np.dtype[np.int64]]
    close: Floats
    adjusted_close: Floats
    factor: Floats
    adjusted: Floats


def keep_actions(connection: Connection, market: Market, table: str, actions: pa.Table) -> Kept:
    """Upsert the `dividends` or `splits` of an answer (DIVIDEND_SCHEMA, SPLIT_SCHEMA). Nothing is ever removed."""
    if len(actions) == 0:
        return Kept()
    value = VALUES[table]
    statement = query("store_actions").format(table=sql.Identifier(table), value=sql.Identifier(value))
    columns = actions.to_pydict()
    keys = len(set(zip(columns["ticker"], columns["time"], strict=True)))
    given = (market.code, columns["ticker"], columns["time"], columns[value])
    with translate_errors(connection):
        inserted = [row[0] for row in connection.execute(statement, given).fetchall()]
    return Kept(sum(inserted), len(inserted) - sum(inserted), keys - len(inserted))


def list_actions(
    connection: Connection,
    market: Market,
    *,
    ticker: str | None = None,
    window: Window | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The actions of a market, newest first: dicts of ticker, time (UTC), kind (dividend, split) and value."""
    start, end = (window.start, window.end) if window else ("-infinity", "infinity")
    parameters = {"market": market.code, "ticker": ticker, "start": start, "end": end, "limit": limit}
    with translate_errors(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("actions_of"), parameters).fetchall()


def adjusted(
    connection: Connection,
    market: Market,
    ticker: str,
    window: Window | None = None,
    *,
    split_adjusted: bool | None = None,
) -> Adjusted:
    """The adjusted daily series of a ticker, computed from its closes and the stored dividends and splits.

    adjusted(t) = close(t) × Π factor(a) over the actions a with t < ex-date ≤ the series' last bar. A dividend's factor
    is 1 − amount / close before its ex-date, a split's 1 / ratio, or 1 where the closes are adjusted for it already:
    `split_adjusted`; None looks at the closes around each split. This is CRSP's cumulative factor to adjust prices
    (CRSP Data Descriptions Guide, "Adjusted data"), applied backwards from the last bar as Yahoo does.
    """
    start, end = (window.start, window.end) if window else ("-infinity", "infinity")
    parameters = {
        "market": market.code,
        "ticker": ticker,
        "start": start,
        "end": end,
        "split_adjusted": split_adjusted,
    }
    with translate_errors(connection):
        rows = connection.execute(query("adjusted_bars"), parameters).fetchall()
    times, *columns = zip(*rows, strict=True) if rows else ((),) * 5
    micros = np.array([round(time.timestamp() * 1e6) for time in times], np.int64)
    return Adjusted(micros, *(np.array(column, np.float64) for column in columns))


def tickers_with_actions(
    connection: Connection, market: Market, tickers: Sequence[str]
) -> list[tuple[str, str | None]]:
    """Of some tickers, those that have daily bars and an action, each with the source of its newest load."""
    with translate_errors(connection):
        return connection.execute(
            query("adjusted_tickers"), {"market": market.code, "tickers": list(tickers)}
        ).fetchall()


def differs_from_vendor(series: Adjusted, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which bars have a vendor's adjusted close further than `tolerance` (relative) from the computed one."""
    given = ~np.isnan(series.adjusted_close)
    far = np.abs(series.adjusted - series.adjusted_close) > tolerance * np.abs(series.adjusted_close)
    return given & far
