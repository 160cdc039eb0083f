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

A vendor takes actions back and moves their dates. Its answer is the whole of what it knows of a ticker in a window, so
what it reported before and reports no longer is marked withdrawn: kept, shown as such, and counted nowhere. What became
of an action is in `action_change`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from hypertape.frame import Floats
from hypertape.model import Market, Window
from hypertape.queries import query

Connection = psycopg.Connection[Any]

SPLIT_ADJUSTED = {"yahoo": True, "sample": False}
"""The sources that give actions, and whether their closes are adjusted for splits.

Another source's closes are looked at, split by split."""

VALUES = {"dividends": "amount", "capital_gains": "amount", "splits": "ratio"}
KINDS = {"dividends": "dividend", "capital_gains": "capital_gain", "splits": "split"}
"""The tables of actions: the column of their value, and what one of them is called."""

Key = tuple[str, datetime]
"""Ticker and time of an action."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the actions of one answer: counts of those that were new, other than stored, equal, back again
    after they had been withdrawn, and of stored ones that the answer withdrew."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    restored: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Whose word some actions are, and how far it reaches.

    `sources` maps a ticker to the source that answered. `complete` maps those of which the answer is whole to the times
    of its first and last bar: only between these, and inside `window`, does silence withdraw an action. A `replayed`
    answer is an old one: it neither withdraws nor restores.
    """

    run_id: str
    now: datetime
    window: Window
    sources: Mapping[str, str]
    complete: Mapping[str, Span] = field(default_factory=dict)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A daily series: `time` int64 µs, the vendor's `close` and `adjusted_close` (NaN where it gives none), the
    cumulative `factor` and `adjusted` = close × factor."""

    time: np.ndarray[Any, np.dtype[np.int64]]
    close: Floats
    adjusted_close: Floats
    factor: Floats
    adjusted: Floats


def keep_actions(
    connection: Connection,
    market: Market,
    table: str,
    actions: pa.Table,
    answer: Answer | None = None,
    refused: pa.Table | None = None,
) -> Kept:
    """Upsert the `dividends`, `capital_gains` or `splits` of an answer (`sources` has their schemas), and withdraw what
    it lacks.

    `refused` (sources.REFUSED_ACTION_SCHEMA) are actions that it has and that were not kept: they are not withdrawn.
    Without `answer` nobody's word is known: nothing is withdrawn or restored. Raises what `translate_errors` raises.
    """
    columns = actions.to_pydict()
    changes: list[str] = []
    for source in dict.fromkeys(_source(answer, ticker) for ticker in columns["ticker"]):
        rows = [at for at, ticker in enumerate(columns["ticker"]) if _source(answer, ticker) == source]
        part = {name: [cells[at] for at in rows] for name, cells in columns.items()}
        changes += _upsert(connection, market, table, part, source, answer)
    given = _keys(columns) + (_keys(refused.to_pydict()) if refused is not None else [])
    withdrawn = _withdraw(connection, market, table, given, answer) if answer else 0
    keys = len(set(_keys(columns)))
    counts = {name: changes.count(name) for name in ("new", "changed", "restored")}
    return Kept(**counts, unchanged=keys - len(changes), withdrawn=withdrawn)


def note_refused(
    connection: Connection, market: Market, refused: pa.Table, answer: Answer
) -> list[dict[str, Any]]:
    """Note the actions that were not kept (sources.REFUSED_ACTION_SCHEMA) and return them as dicts.

    Raises what `translate_errors` raises.
    """
    rows: list[dict[str, Any]] = refused.to_pylist()
    for source in dict.fromkeys(answer.sources.get(row["ticker"]) for row in rows):
        part = [row for row in rows if answer.sources.get(row["ticker"]) == source]
        arrays = {f"{name}s": [row[name] for row in part] for name in refused.column_names}
        names = {"market": market.code, "run_id": answer.run_id, "now": answer.now, "source": source}
        connection.execute(query("note_refused_actions"), {**arrays, **names})
    return rows


def _keys(columns: Mapping[str, list[Any]]) -> list[Key]:
    return list(zip(columns["ticker"], columns["time"], strict=True))


def _source(answer: Answer | None, ticker: str) -> str | None:
    return answer.sources.get(ticker) if answer else None


def _upsert(
    connection: Connection,
    market: Market,
    table: str,
    columns: Mapping[str, list[Any]],
    source: str | None,
    answer: Answer | None,
) -> list[str]:
    """Write some actions of one source and return what was new, changed or restored."""
    given = {
        "source": source,
        "restore": answer is not None and not answer.replayed,
        "run_id": answer.run_id if answer else None,
        "now": answer.now if answer else None,
        "tickers": columns["ticker"],
        "times": columns["time"],
        "values": columns[VALUES[table]],
        "first": min(columns["time"]),
        "last": max(columns["time"]),
    }
    return [row[0] for row in connection.execute(*_statement("store_actions", market, table, given))]


def _withdraw(connection: Connection, market: Market, table: str, had: Sequence[Key], answer: Answer) -> int:
    """Mark what the answer should have and has not, and return how many."""
    whole = [] if answer.replayed else [ticker for ticker in answer.complete if ticker in answer.sources]
    if not whole:
        return 0
    given = {
        "run_id": answer.run_id,
        "now": answer.now,
        "start": answer.window.start,
        "end": answer.window.end,
        "tickers": whole,
        "sources": [answer.sources[ticker] for ticker in whole],
        "firsts": [answer.complete[ticker][0] for ticker in whole],
        "lasts": [answer.complete[ticker][1] for ticker in whole],
        "given_tickers": [ticker for ticker, _ in had],
        "given_times": [time for _, time in had],
    }
    return len(connection.execute(*_statement("withdraw_actions", market, table, given)).fetchall())


def _statement(
    name: str, market: Market, table: str, given: Mapping[str, Any]
) -> tuple[sql.Composed, Mapping[str, Any]]:
    statement = query(name).format(table=sql.Identifier(table), value=sql.Identifier(VALUES[table]))
    return statement, {"market": market.code, "kind": KINDS[table], **given}


def list_actions(
    connection: Connection,
    market: Market,
    *,
    tickers: Sequence[str] | None = None,
    window: Window | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The actions of a market, newest first: dicts of ticker, time (UTC), kind (dividend, capital_gain, split), value,
    source, since when and by which run it is withdrawn (both None: it stands), and `refused_because`, which says of an
    action that was not kept why."""
    start, end = (window.start, window.end) if window else ("-infinity", "infinity")
    named = list(tickers) if tickers else None
    parameters = {"market": market.code, "tickers": named, "start": start, "end": end, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
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
    rows = connection.execute(query("adjusted_bars"), parameters).fetchall()
    times, *columns = zip(*rows, strict=True) if rows else ((),) * 5
    micros = np.array([round(time.timestamp() * 1e6) for time in times], np.int64)
    return Adjusted(micros, *(np.array(column, np.float64) for column in columns))


def tickers_with_actions(
    connection: Connection, market: Market, tickers: Sequence[str]
) -> list[tuple[str, str | None]]:
    """Of some tickers, those that have daily bars and an action, each with the source of its newest load."""
    return connection.execute(
        query("adjusted_tickers"), {"market": market.code, "tickers": list(tickers)}
    ).fetchall()


def differs_from_vendor(series: Adjusted, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which bars have a vendor's adjusted close further than `tolerance` (relative) from the computed one."""
    given = ~np.isnan(series.adjusted_close)
    far = np.abs(series.adjusted - series.adjusted_close) > tolerance * np.abs(series.adjusted_close)
    return given & far
