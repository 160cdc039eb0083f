"""`hypertape validate` and `hypertape report`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from hypertape.cli.common import (
    EndOption,
    IntervalOption,
    MarketOption,
    StartOption,
    console,
    now,
    of,
    warehouse,
    warehouse_dsn,
    window_of,
    write_page,
)
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput
from hypertape.settings import load_settings


def validate(
    market: MarketOption,
    interval: IntervalOption,
    start_date: StartOption = None,
    end_date: EndOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the quality suite over a window, keep its results, and exit 3 when a critical check fails."""
    from hypertape.quality.results import raise_if_critical, record
    from hypertape.quality.run import validate as run
    from hypertape.steps.findings import watch
    from hypertape.warehouse.ledger import register_calendar

    of_market, of_interval = of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(f"{of_interval.value} is rolled up", next_step=f"Validate {of_interval.base.value}.")
    at = now()
    window = window_of(of_market, of_interval, start_date, end_date, at)
    run_id = f"validate__{at:%Y%m%dT%H%M%S}"
    with warehouse() as connection, console().status("running the suite"):
        register_calendar(connection, of_market, window, at)
        connection.commit()
        results = run(
            warehouse_dsn(), connection, of_market, of_interval, window, run_id=run_id, now=at,
            limit=timedelta(seconds=load_settings().rule_seconds),
        )  # fmt: skip
        record(connection, results)
        connection.commit()
        watch(warehouse_dsn(), run_id, now=at, settings=load_settings(), thorough=False)
    rows = [
        (r.expectation, r.severity, r.status, r.evaluated, r.unexpected, r.details.get("why") or r.error)
        for r in results
    ]
    columns = ("check", "severity", "status", "evaluated", "unexpected", "why")
    show_table(run_id, columns, rows, as_json=as_json)
    raise_if_critical(results)


def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    run: Annotated[
        str | None, typer.Option(help="A run id; default: the cumulative report over all runs.")
    ] = None,
) -> None:
    """Write one self-contained HTML file: of one run, or cumulative over markets, tickers and days.

    The cumulative one says what is new and what is over since the report that it replaces.
    """
    from hypertape.reports.context import ReportContext
    from hypertape.reports.pages import cumulative_report, run_report
    from hypertape.steps.findings import watch

    around = ReportContext.of(load_settings(), output)
    watch(warehouse_dsn(), "report", now=now(), settings=load_settings())
    with warehouse() as connection:
        html = (
            run_report(connection, run, around)
            if run
            else cumulative_report(connection, now=now(), around=around)
        )
    write_page(output, html)
