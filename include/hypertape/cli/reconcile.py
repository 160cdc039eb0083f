"""`hypertape reconcile`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.common import (
    EndOption,
    StartOption,
    TickersOption,
    console,
    now,
    of,
    progress,
    split,
    table,
    warehouse,
    warehouse_dsn,
    window_of,
)
from hypertape.cli.listing import JsonOption, show
from hypertape.cli.results import of_reconciled
from hypertape.cli.source_options import DirectoryOption, ExchangeOption, LegacyOption, chosen_source
from hypertape.errors import BadInput, BatchIncomplete, BatchRefused, CheckFailed, TransientError
from hypertape.model import format_instant, parse_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.quality.reconciliation import Comparison
    from hypertape.steps.reconcile import Reconciled


def reconcile(
    market: Annotated[str, typer.Argument(help="Market: vn, crypto, us, or one of the project's.")],
    interval: Annotated[str, typer.Argument(help="Interval: 1d, 1h or 1m.")],
    against: Annotated[str, typer.Option(help="The source to compare with; see `hypertape source list`.")],
    start_date: StartOption = None,
    end_date: EndOption = None,
    tickers: TickersOption = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest relative difference of a price: 0.005 is half a percent.")
    ] = 0.005,
    volume_tolerance: Annotated[float, typer.Option(min=0, help="The same for the volume.")] = 0.05,
    volume: Annotated[
        bool, typer.Option(help="Compare volumes; sources count them in different units.")
    ] = True,
    source_dir: DirectoryOption = None,
    legacy_scale: LegacyOption = False,
    exchange: ExchangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare stored bars with another source's. Exits 3 where they disagree; nothing stored is changed.

    The outcome is kept in `quality_result` (suite reconciliation), with both values of the worst disagreements.
    """
    from hypertape.quality.reconciliation import Tolerance
    from hypertape.steps.plan import resolve_source
    from hypertape.steps.reconcile import reconcile as run

    of_market, of_interval = of(market, interval)
    if not of_interval.is_stored:
        raise BadInput(f"{of_interval.value} is rolled up", next_step=f"Reconcile {of_interval.base.value}.")
    at, settings = now(), load_settings()
    given = chosen_source(against, source_dir, legacy_scale, exchange)
    window = window_of(of_market, of_interval, start_date, end_date, at)
    with warehouse():
        pass  # the schema is current
    with progress() as on_step:
        done = run(
            warehouse_dsn(), of_market, of_interval, resolve_source(of_market, given, settings), window,
            tickers=split(tickers), tolerance=Tolerance(tolerance, volume_tolerance if volume else None), now=at,
            run_id=f"reconcile__{at:%Y%m%dT%H%M%S}", settings=settings, on_step=on_step,
        )  # fmt: skip
    if not show(of_reconciled(done), as_json=as_json):
        _show(done)
    _judge(done)


def _show(done: Reconciled) -> None:
    screen = console()
    found = list(done.comparisons.values())
    columns = ("compared", "pairs", "disagree", "largest difference")
    screen.print(table(f"{done.run_id}: stored and {done.source}", columns, [_line(one) for one in found]))
    worst = [_pair(one.column, key) for one in found for key in one.sample]
    if worst:
        screen.print(
            table("the worst", ("what", "ticker", "time", "stored", done.source, "difference"), worst)
        )
    if done.refused:
        screen.print(
            f"{done.refused} rows of {done.source} cannot be bars and were left out.", highlight=False
        )
    for ticker, error in sorted(done.failed.items()):
        screen.print(f"not compared: {ticker}: {error}", markup=False, highlight=False)


def _pair(column: str, key: Mapping[str, Any]) -> tuple[object, ...]:
    sides = (key.get("here"), key.get("there"))
    if "only" in key:
        sides = ("yes", "no") if key["only"] == "here" else ("no", "yes")
    time = format_instant(parse_instant(key["time"]))
    return column, key["ticker"], time, *sides, _percent(key.get("difference"))


def _line(found: Comparison) -> tuple[object, ...]:
    return found.column, found.compared, found.disagree, _percent(found.largest) if found.compared else None


def _percent(part: float | None) -> str | None:
    return None if part is None else f"{100 * part:.3g} %"


def _judge(done: Reconciled) -> None:
    if not done.agrees:
        apart = ", ".join(f"{c.column} {c.disagree}" for c in done.comparisons.values() if c.disagree)
        raise CheckFailed(
            f"The stored bars and {done.source} disagree: {apart}",
            next_step="See `quality_result`; if the other source is right, load the window from it.",
        )
    if done.failed:
        may_pass = any(isinstance(error, TransientError) for error in done.failed.values())
        kind = BatchIncomplete if may_pass else BatchRefused
        raise kind(
            f"{len(done.failed)} of {done.tickers} tickers were not compared"
            + (", the others agree" if done.compared else ""),
            next_step="Their errors are above and in `quality_result`.",
        )
    if not done.compared:
        raise BadInput(
            f"Nothing was compared: {done.why_nothing}",
            next_step="Name a window or tickers with stored bars.",
        )
