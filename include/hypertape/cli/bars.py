"""`hypertape sync` and `hypertape digest`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.common import (
    START,
    Connection,
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
from hypertape.cli.empty_results import require_known
from hypertape.cli.listing import JsonOption, show
from hypertape.cli.results import of_sync
from hypertape.cli.source_options import (
    DirectoryOption,
    ExchangeOption,
    LegacyOption,
    ReplayOption,
    SourceOption,
    chosen_source,
)
from hypertape.errors import BadInput
from hypertape.model import Interval, Market, format_instant, parse_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.digest import SeriesDigest
    from hypertape.quality.results import Summary
    from hypertape.steps.sync import SyncResult
    from hypertape.stores.delivery import Delivered


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
    as_json: JsonOption = False,
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
            settings=load_settings(),
        )  # fmt: skip
    if not show([of_sync(result)], as_json=as_json):
        show_run(result)
    end_with(result.error, result.failed, result.may_pass)


def digest(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    indicators: Annotated[
        bool, typer.Option("--indicators", help="Cover adjusted close and stored indicators too.")
    ] = False,
    pin: Annotated[str | None, typer.Option("--pin", help="Of a pin, not of what is stored now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print one line per series: ticker, rows, first, last, sha256 over its canonical bars."""
    from hypertape.warehouse.read import digests

    of_market, of_interval = of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(
            f"{of_interval.value} is rolled up from {of_interval.base.value}", next_step="Digest that one."
        )
    with warehouse() as connection:
        require_known(connection, markets=[of_market.code], tickers=split(tickers))
        found = digests(connection, of_market, of_interval, split(tickers), indicators=indicators)
        if pin is not None:
            found = _pinned_digests(connection, pin, of_market, of_interval, split(tickers), indicators)
        if show((_named(line) for line in found), as_json=as_json):
            return
        for line in found:
            first = format_instant(line.first) if line.first else "-"
            last = format_instant(line.last) if line.last else "-"
            typer.echo(f"{line.ticker} {line.rows} {first} {last} {line.sha256}")


def _pinned_digests(
    connection: Connection,
    name: str,
    market: Market,
    interval: Interval,
    tickers: list[str] | None,
    indicators: bool,
) -> Iterator[SeriesDigest]:
    """The digests of a pin's series. Raises BadInput for what a pin does not hold."""
    from hypertape.warehouse.pins import find_pin, pinned_digests

    if indicators:
        raise BadInput("A pin holds prices and volumes", next_step="Leave --indicators out.")
    if (found := find_pin(connection, name)).market != market.code:
        raise BadInput(f"{name} is a pin of {found.market}", next_step=f"Use --market {found.market}.")
    return pinned_digests(connection, name, interval, tickers)


def _named(line: SeriesDigest) -> dict[str, Any]:
    return {
        "ticker": line.ticker, "rows": line.rows, "first": line.first, "last": line.last, "sha256": line.sha256,
    }  # fmt: skip


def show_run(result: SyncResult) -> None:
    """Print what a run did: counts, failed checks, what came short, tickers that failed."""
    from hypertape.steps.failures import failure_lines
    from hypertape.steps.plan import suggestions

    rows: list[tuple[str, object]] = list(result.counts.items())
    rows += [("tickers failed", len(result.failed)), ("rollup buckets refreshed", result.rollups.buckets)]
    if result.restated.suspected:
        rows += [
            ("restatements: history read again", result.restated.reread),
            ("restatements: local corrections", result.restated.local),
        ]
    quality = result.quality
    if quality is not None:
        rows.append(("checks passed", f"{quality.passed} of {quality.checks}"))
        rows.append(("checks with nothing to look at", len(quality.not_evaluated)))
    screen = console()
    start, end = result.plan.spec.window.to_json()
    screen.print(table(f"{result.run_id}  {start} – {end}", ("what", "count"), rows))
    said = [] if quality is None else check_lines(quality)
    if result.short:
        said.append(f"fewer bars than the calendar expects: {', '.join(result.short)}")
    said += [f"failed: {line}" for line in failure_lines(result.failures)]
    asked = {ticker for batch in result.plan.batches for ticker in batch.tickers}
    said += suggestions(result.plan.spec.market, result.failures, asked - result.failures.keys())
    if result.after is not None:
        said += [f"mirror {name}: {_delivery(done)}" for name, done in result.after.published.mirrors.items()]
        if result.after.published.report is not None:
            said.append(f"report: {result.after.published.report}")
    for line in said:
        screen.print(line, markup=False, highlight=False)


def check_lines(quality: Summary) -> list[str]:
    """What did not pass, one a line."""
    kinds = {"critical": quality.critical, "broken": quality.broken, "warning": quality.warnings}
    return [f"{kind}: {line}" for kind, lines in kinds.items() for line in lines]


def _delivery(done: Delivered) -> str:
    if done.complaint:
        return f"{done.left} series wait: {done.complaint}"
    return f"{done.series} series, {done.written.inserted} bars new, {done.written.updated} changed"
