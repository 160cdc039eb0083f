"""`hypertape condition`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from hypertape.cli.common import (
    END,
    START,
    IntervalOption,
    MarketOption,
    TickersOption,
    now,
    of,
    split,
    warehouse,
)
from hypertape.cli.empty_results import require_known
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput
from hypertape.model import parse_instant


def condition(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    start: Annotated[str | None, typer.Option(*START, help="First session; default: a week ago.")] = None,
    end: Annotated[str | None, typer.Option(*END, help="Last session, included; default: today.")] = None,
    only: Annotated[
        str | None, typer.Option("--only", help="available, degraded, pending or missing; default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each session of each ticker whether it is available: `hypertape condition -m vn -i 1d --only missing`."""
    from hypertape.warehouse.condition import CONDITIONS, conditions

    at, (of_market, of_interval) = now(), of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(f"{of_interval.value} is rolled up", next_step=f"Ask for {of_interval.base.value}.")
    if only is not None and only not in CONDITIONS:
        raise BadInput(f"--only {only!r} is not known", next_step=f"Valid: {', '.join(CONDITIONS)}.")
    last = (parse_instant(end) if end else at).date()
    first = parse_instant(start).date() if start else last - timedelta(days=7)
    with warehouse() as connection:
        require_known(connection, markets=[of_market.code], tickers=split(tickers))
        found = conditions(connection, of_market, of_interval, first, last, now=at, tickers=split(tickers))
    rows = [
        (
            each.session.isoformat(),
            each.ticker,
            each.condition,
            list(each.reasons) if as_json else "; ".join(each.reasons),
        )
        for each in found
        if only in (None, each.condition)
    ]
    show_table("condition", ("session", "ticker", "condition", "reasons"), rows, as_json=as_json)


def _reasons(reasons: tuple[str, ...], as_json: bool) -> object:
    return list(reasons) if as_json else "; ".join(reasons)
