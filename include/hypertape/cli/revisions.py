"""`hypertape revisions` and `hypertape restatements`: who changed what, when, in which run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any

import typer

from hypertape.cli.common import (
    IntervalOption,
    MarketOption,
    TickersOption,
    console,
    of,
    split,
    table,
    warehouse,
)
from hypertape.cli.empty_results import say_nothing
from hypertape.cli.listing import CsvOption, JsonOption, show
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import Interval, parse_instant

_VALUES = ("open", "high", "low", "close", "volume", "adjusted_close")


def revisions(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    since: Annotated[str | None, typer.Option(help="Changes made since this instant (UTC).")] = None,
    run: Annotated[str | None, typer.Option(help="Changes this run made.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 1000,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """List the former and new values of restated final bars, with the run, source and reason of each change."""
    from hypertape.warehouse.revisions import revisions as read

    of_market, of_interval = of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(
            f"{of_interval.value} is rolled up from {of_interval.base.value}",
            next_step="Its revisions are that one's.",
        )
    instant, named = parse_instant(since) if since else None, split(tickers)
    with warehouse() as connection:
        rows = _some_of(
            read(connection, of_market, of_interval, tickers=named, since=instant, run_id=run, limit=limit)
        )
        if rows is None:
            markets, intervals = [of_market.code], [of_interval.value]
            say_nothing(
                connection, "no revision of these", markets=markets, intervals=intervals, tickers=named
            )
        if show(rows or (), as_json=as_json, as_csv=as_csv) or rows is None:
            return
        lines = [
            (
                r["ticker"],
                _minute(r["time"]),
                _changes(r),
                _minute(r["valid_to"]),
                r["run_id"],
                r["source"],
                r["reason"],
            )
            for r in rows
        ]
    columns = ("ticker", "time", "what changed", "changed at", "run", "source", "reason")
    console().print(table(f"{of_market.code} {of_interval.value} revisions", columns, lines))


def restatements(
    market: Annotated[str | None, typer.Option("--market", "-m", help="Market; default: all.")] = None,
    interval: Annotated[str | None, typer.Option("--interval", "-i", help="Interval; default: all.")] = None,
    tickers: TickersOption = None,
    state: Annotated[
        str | None,
        typer.Option(help="suspected, confirmed, local, reread, partial, disputed or answered."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """List what loads suspected of being restated, what came of it, and what was not read again."""
    from hypertape.warehouse.restatements import STATES
    from hypertape.warehouse.revisions import restatements as read

    if state is not None and state not in STATES:
        raise BadInput(f"There is no state {state!r}", next_step=f"States: {', '.join(STATES)}.")
    with warehouse() as connection:
        rows = read(
            connection,
            market=get_market(market) if market else None,
            interval=Interval.parse(interval) if interval else None,
            tickers=split(tickers),
            state=state,
            limit=limit,
        )
        if not rows:
            say_nothing(
                connection, "no restatement of these",
                markets=[get_market(market).code] if market else None,
                intervals=[Interval.parse(interval).value] if interval else None, tickers=split(tickers),
            )  # fmt: skip
    if show(rows, as_json=as_json, as_csv=as_csv) or not rows:
        return
    lines = [
        (f"{r['market']} {r['interval']}", r["ticker"], r["state"], r["direction"],
         f"×{r['ratio']:.6g}" if r["ratio"] else None, r["bars"], r["differing"], _minute(r["found_at"]),
         f"{r['reread_from']:%Y-%m-%d}" if r["reread_from"] else None, _not_reread(r), r["error"])
        for r in rows
    ]  # fmt: skip
    columns = (
        "series",
        "ticker",
        "state",
        "moved",
        "by",
        "bars",
        "older differ",
        "found",
        "reread from",
        "not reread",
        "error",
    )
    console().print(table("restatements", columns, lines))


def _some_of(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]] | None:
    """The same rows, or None when there are none: they are read as they are written, not before."""
    first = next(rows, None)
    return None if first is None else chain([first], rows)


def _not_reread(row: dict[str, object]) -> str | None:
    """What a reader must not take for read again: how many stored bars, or where it ends."""
    if row["stand_in"]:
        return f"{row['stand_in']} stood in" if row["state"] in ("disputed", "partial") else None
    if row["unread"]:
        return f"{row['unread']} bars"
    return "all that is older" if row["state"] == "partial" else None


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _changes(row: dict[str, object]) -> str:
    changed = [name for name in _VALUES if row[f"former_{name}"] != row[f"new_{name}"]]
    return ", ".join(
        f"{name} {_short(row[f'former_{name}'])} → {_short(row[f'new_{name}'])}" for name in changed
    )


def _short(value: object) -> str:
    return "none" if value is None else f"{value:.10g}"
