"""`hypertape sync` and `hypertape digest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.common import (
    START,
    EndOption,
    IntervalOption,
    MarketOption,
    TickersOption,
    console,
    end_with,
    now,
    of,
    progress,
    split,
    table,
    warehouse,
    warehouse_dsn,
)
from hypertape.cli.empty_results import demand_known
from hypertape.cli.source_options import (
    DirectoryOption,
    ExchangeOption,
    LegacyOption,
    ReplayOption,
    SourceOption,
    chosen_source,
)
from hypertape.errors import BadInput
from hypertape.model import format_instant, parse_instant

if TYPE_CHECKING:
    from hypertape.steps.sync import SyncResult


def sync(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    start_date: Annotated[
        str | None,
        typer.Option(*START, help="First instant (UTC); without it each ticker continues at its watermark."),
    ] = None,
    end_date: EndOption = None,
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    legacy_scale: LegacyOption = False,
    exchange: ExchangeOption = None,
    replay: ReplayOption = None,
    check: Annotated[
        bool, typer.Option(help="Run the quality suite, move watermarks and write the report.")
    ] = True,
) -> None:
    """Fetch, compute, load, validate and refresh one market and interval: a DAG run without Airflow."""
    from hypertape.steps.sync import sync as run

    of(market, interval)
    with warehouse():
        pass  # the schema is current
    with progress() as on_step:
        result = run(
            warehouse_dsn(), market, interval, now=now(), tickers=split(tickers),
            start=parse_instant(start_date) if start_date else None, end=parse_instant(end_date) if end_date else None,
            source=chosen_source(source, source_dir, legacy_scale, exchange, replay), check=check, on_step=on_step,
        )  # fmt: skip
    show_run(result)
    end_with(result.error, result.failed, result.may_pass)


def digest(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    indicators: Annotated[
        bool, typer.Option("--indicators", help="Cover adjusted close and stored indicators too.")
    ] = False,
) -> None:
    """Print one line per series: ticker, rows, first, last, sha256 over its canonical bars."""
    from hypertape.warehouse.read import digests

    of_market, of_interval = of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(
            f"{of_interval.value} is rolled up from {of_interval.base.value}", next_step="Digest that one."
        )
    with warehouse() as connection:
        demand_known(connection, markets=[of_market.code], tickers=split(tickers))
        for line in digests(connection, of_market, of_interval, split(tickers), indicators=indicators):
            first = format_instant(line.first) if line.first else "-"
            last = format_instant(line.last) if line.last else "-"
            typer.echo(f"{line.ticker} {line.rows} {first} {last} {line.sha256}")


def show_run(result: SyncResult) -> None:
    """Print what a run did: counts, failed checks, what came short, tickers that failed."""
    window = result.plan["window"]
    rows: list[tuple[str, object]] = list(result.counts.items())
    rows += [
        ("tickers failed", len(result.failed)),
        ("rollup buckets refreshed", result.rollups.get("buckets", 0)),
    ]
    if result.restated.get("suspected"):
        rows += [
            ("restatements: history read again", result.restated["reread"]),
            ("restatements: local corrections", result.restated["local"]),
        ]
    if result.quality:
        rows.append(("checks passed", f"{result.quality['passed']} of {result.quality['checks']}"))
        rows.append(("checks with nothing to look at", len(result.quality["not_evaluated"])))
    screen = console()
    screen.print(table(f"{result.run_id}  {window[0]} – {window[1]}", ("what", "count"), rows))
    for kind in ("critical", "broken", "warnings"):
        for line in result.quality.get(kind, ()):
            screen.print(f"{kind.removesuffix('s')}: {line}", markup=False, highlight=False)
    if result.short:
        screen.print(
            f"fewer bars than the calendar expects: {', '.join(result.short)}", markup=False, highlight=False
        )
    for ticker, error in sorted(result.failed.items()):
        screen.print(f"failed: {ticker}: {error}", markup=False, highlight=False)
    for mirror, done in result.published.get("mirrors", {}).items():
        screen.print(f"mirror {mirror}: {_delivery(done)}", markup=False, highlight=False)
    if "report" in result.published:
        screen.print(f"report: {result.published['report']}", highlight=False)


def _delivery(done: Mapping[str, Any]) -> str:
    if done["error"]:
        return f"{done['left']} series wait: {done['error']}"
    return f"{done['series']} series, {done['inserted']} bars new, {done['updated']} changed"
