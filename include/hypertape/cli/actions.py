"""`hypertape actions`: dividends and splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.common import (
    END,
    START,
    MarketOption,
    TickersOption,
    console,
    now,
    progress,
    split,
    table,
    warehouse,
    warehouse_dsn,
)
from hypertape.cli.empty_results import say_nothing
from hypertape.cli.listing import CsvOption, JsonOption, show
from hypertape.cli.results import of_actions
from hypertape.cli.source_options import DirectoryOption, SourceOption, chosen_source
from hypertape.markets import get_market
from hypertape.model import Window, format_instant, parse_instant, utc
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.actions import ActionsResult

app = typer.Typer(help="Dividends and splits.", no_args_is_help=True)


@app.command()
def sync(
    market: MarketOption,
    tickers: TickersOption = None,
    start_date: Annotated[
        str | None, typer.Option(*START, help="First date (UTC); default: 400 days before the end.")
    ] = None,
    end_date: Annotated[
        str | None, typer.Option(*END, help="First date not to ask for; default: now.")
    ] = None,
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch dividends and splits, keep them, and hold the vendor's adjusted closes against them."""
    from hypertape.steps.actions import finish, plan_actions, raise_if_failed, sync_actions

    at = now()
    get_market(market)
    with warehouse():
        pass  # the schema is current
    dsn, settings, run_id = warehouse_dsn(), load_settings(), f"actions__{at:%Y%m%dT%H%M%S}"
    batches = plan_actions(
        dsn, market, run_id=run_id, now=at, tickers=split(tickers), source=chosen_source(source, source_dir),
        start=parse_instant(start_date) if start_date else None, end=parse_instant(end_date) if end_date else None,
        settings=settings,
    )  # fmt: skip
    synced = []
    with progress() as on_step:
        for done, batch in enumerate(batches):
            on_step("actions", done, len(batches))
            synced.append(sync_actions(dsn, batch, now=at, settings=settings))
        on_step("actions", len(batches), len(batches))
    result = finish(dsn, synced, run_id=run_id, now=at)
    if not show([of_actions(run_id, result)], as_json=as_json):
        _show_synced(run_id, result)
    raise_if_failed(result)


def _show_synced(run_id: str, result: ActionsResult) -> None:
    rows: list[tuple[str, object]] = [
        (name.replace("_", " "), count) for name, count in result.counts.items()
    ]
    rows += [(f"adjusted closes compared ({code})", check.evaluated) for code, check in result.checks.items()]
    rows += [("of them differing", check.unexpected) for check in result.checks.values()]
    console().print(table(run_id, ("what", "count"), rows))
    for code, check in result.checks.items():
        if "why" in check.details:
            console().print(f"{code}: not evaluated, because {check.details['why']}", highlight=False)


@app.command("list")
def list_(
    market: MarketOption,
    tickers: TickersOption = None,
    since: Annotated[str | None, typer.Option(help="Actions from this date on (UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 1000,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """List dividends and capital gains (cash per share) and splits (new shares for one old share), newest first.

    One that cannot be meant as it stands (in another currency than the prices, more than the price) is marked as not
    kept. One that its source no longer reports is marked withdrawn and counts for nothing; it may come back.
    """
    from hypertape.warehouse.actions import list_actions

    window = Window(parse_instant(since), utc(9999)) if since else None
    with warehouse() as connection:
        named, code = split(tickers), get_market(market).code
        rows = list_actions(connection, get_market(market), tickers=named, window=window, limit=limit)
        if not rows:
            say_nothing(connection, "no corporate action of these", markets=[code], tickers=named)
    if show(rows, as_json=as_json, as_csv=as_csv) or not rows:
        return
    lines = [
        (
            row["ticker"],
            f"{row['time']:%Y-%m-%d}",
            row["kind"],
            "" if row["value"] is None else f"{row['value']:g}",
            row["source"],
            _state(row),
        )
        for row in rows
    ]
    columns = ("ticker", "ex-date", "what", "value", "source", "state")
    console().print(table(f"{market} corporate actions", columns, lines))


def _state(row: Mapping[str, Any]) -> str | None:
    at = row["withdrawn_at"]
    if row["refused_because"]:
        return f"not kept: {row['refused_because']}"
    return f"withdrawn {format_instant(at)} by {row['withdrawn_run']}" if at else None
