"""`hypertape backfill`: bars of the past, planned first, resumable."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import (
    EndOption,
    StartOption,
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
from hypertape.cli.listing import JsonOption, show
from hypertape.cli.results import of_backfill
from hypertape.cli.source_options import (
    DirectoryOption,
    ExchangeOption,
    LegacyOption,
    ReplayOption,
    SourceOption,
    chosen_source,
)
from hypertape.model import format_instant, parse_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.backfill import BackfillResult

GroupsOption = Annotated[
    str | None, typer.Option(help="Groups of the market's file, separated by commas, beside the tickers.")
]
ModeOption = Annotated[
    str,
    typer.Option(
        help="missing: ask where bars are missing, keep what is stored. overwrite: read all again, write what "
        "differs. restate: the tickers' whole history again, at any scale; needs --reason."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run/--no-dry-run", help="Only show, store and report the plan.")
]


def backfill(
    market: Annotated[str, typer.Argument(help="Market: vn, crypto, us, or one of the project's.")],
    interval: Annotated[str, typer.Argument(help="Interval: 1d, 1h or 1m.")],
    tickers: TickersOption = None,
    groups: GroupsOption = None,
    start_date: StartOption = None,
    end_date: EndOption = None,
    mode: ModeOption = "missing",
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    legacy_scale: LegacyOption = False,
    exchange: ExchangeOption = None,
    replay: ReplayOption = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with every load.")] = None,
    dry_run: DryRunOption = True,
    as_json: JsonOption = False,
) -> None:
    """Plan a backfill and, with --no-dry-run, load it. The same again continues one that was interrupted."""
    from hypertape.steps.backfill import BackfillRequest
    from hypertape.steps.backfill import backfill as run

    of(market, interval)
    with warehouse():
        pass  # the schema is current
    at = now()
    request = BackfillRequest(
        mode=mode, tickers=split(tickers), groups=split(groups),
        start=parse_instant(start_date) if start_date else None, end=parse_instant(end_date) if end_date else None,
        source=chosen_source(source, source_dir, legacy_scale, exchange, replay), reason=reason,
    )  # fmt: skip
    run_id = f"backfill__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    with progress() as on_step:
        done = run(
            warehouse_dsn(),
            market,
            interval,
            request,
            run_id=run_id,
            now=at,
            dry_run=dry_run,
            on_step=on_step,
            settings=load_settings(),
        )
    if not show([of_backfill(done)], as_json=as_json):
        _show(done)
    if not dry_run:
        end_with(done.error, done.failed, done.may_pass)


def _show(done: BackfillResult) -> None:
    from hypertape.reports.backfill import plan_lines
    from hypertape.steps.failures import failure_lines

    screen, planned = console(), done.plan
    screen.print(table(f"plan of {planned.run_id}", ("what", "figure"), plan_lines(planned.figures)))
    if planned.dry_run:
        screen.print(
            "A rehearsal: nothing was asked of the source. Run it again with --no-dry-run.", highlight=False
        )
        screen.print(f"report: {done.report}", highlight=False)
        return
    if planned.resumed:
        counted = format_instant(parse_instant(planned.figures["planned_at"]))
        screen.print(
            f"continued: {len(planned.batches)} of {planned.figures['units']} units were open; what is present and "
            f"missing is as of its plan, {counted}",
            highlight=False,
        )
    rows = [*done.counts.items(), ("tickers failed", len(done.failed))]
    rows += [("rollup buckets refreshed", done.after.rollups.buckets if done.after else 0)]
    screen.print(table("loaded", ("what", "count"), rows))
    for line in failure_lines(done.failures):
        screen.print(f"failed: {line}", markup=False, highlight=False)
    if done.report is not None:
        screen.print(f"report: {done.report}", highlight=False)
