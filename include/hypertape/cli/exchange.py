"""`hypertape copy`, `verify`, `export` and `import`: bars between any two stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import console, now, progress, table
from hypertape.cli.left_out import show_left_out
from hypertape.errors import (
    BadInput,
    BatchIncomplete,
    BatchRefused,
    CheckFailed,
    HypertapeError,
    TransientError,
    UnknownTicker,
)
from hypertape.markets import get_market
from hypertape.model import Interval, format_instant, parse_instant
from hypertape.settings import load_settings
from hypertape.stores import Selection, parse_tickers
from hypertape.stores.csv_options import CsvFormat, CsvOptions

if TYPE_CHECKING:
    from datetime import datetime

    from hypertape.stores.addresses import Opening
    from hypertape.stores.copying import CopyReport, SeriesCopy

_SHOWN = 20
"""Lines of a list that are printed; the rest is counted."""

_FORMS = "warehouse, csv:DIR, sqlite:DIR_OR_FILE or stockula:FILE"

SourceArgument = Annotated[str, typer.Argument(metavar="SRC", help=f"The store to read: {_FORMS}.")]
TargetArgument = Annotated[str, typer.Argument(metavar="DST", help=f"The other store: {_FORMS}.")]
AnyMarket = Annotated[str | None, typer.Option("--market", "-m", help="One market; default: all.")]
AnyInterval = Annotated[str | None, typer.Option("--interval", "-i", help="1d, 1h or 1m; default: all.")]
Symbols = Annotated[
    str | None, typer.Option("--symbols", "--tickers", "-t", help="Tickers, separated by commas.")
]
StartDate = Annotated[str | None, typer.Option("--start-date", help="First instant (UTC); default: all.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="Processes that copy.")]
Force = Annotated[bool, typer.Option("--force", help="Write series too that are equal already.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare every series afterwards.")]
LegacyScale = Annotated[
    bool, typer.Option("--legacy-scale", help="The files' prices are in the legacy unit (vn: thousands).")
]


def copy(
    src: SourceArgument,
    dst: TargetArgument,
    market: AnyMarket = None,
    interval: AnyInterval = None,
    symbols: Symbols = None,
    start_date: StartDate = None,
    workers: Workers = 1,
    force: Force = False,
    verify: Verify = False,
) -> None:
    """Copy bars from one store into another; copying again writes only what differs.

    Rows that cannot be bars are counted, shown, and kept in the warehouse's quarantine. Exits 3 when --verify finds
    a difference.
    """
    selection, options = _selection(market, interval, symbols, start_date), CsvOptions(market=market)
    _transfer(src, dst, selection, options, workers=workers, force=force, verify=verify)


def verify(
    src: SourceArgument,
    dst: TargetArgument,
    market: AnyMarket = None,
    interval: AnyInterval = None,
    symbols: Symbols = None,
    start_date: StartDate = None,
    workers: Workers = 1,
) -> None:
    """Compare every series of SRC with DST: rows, first, last and digest. Exits 3 when one differs.

    What only DST has is not looked at; verify the other way round for that.
    """
    from hypertape.stores.copying import verify as run

    at, selection = now(), _selection(market, interval, symbols, start_date)
    source, target = _openings(src, dst, at, CsvOptions(market=market))
    with progress() as on_step:
        report = run(
            source, target, selection, now=at, workers=workers,
            on_series=lambda _, done, total: on_step("series", done, total),
        )  # fmt: skip
    _show(f"{src} – {dst}", report)
    _raise_if_different(report)
    _raise_if_absent(src, selection, report)


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The directory of the CSV tree.")],
    market: AnyMarket = None,
    interval: AnyInterval = None,
    tickers: Symbols = None,
    start_date: StartDate = None,
    format: Annotated[
        CsvFormat, typer.Option("--format", help="lossless, or legacy: rounded as in the documents.")
    ] = CsvFormat.LOSSLESS,
    legacy_scale: LegacyScale = False,
    workers: Workers = 1,
    verify: Verify = False,
) -> None:
    """Write the warehouse's bars as a CSV tree: DIR/TICKER/1D.csv for one market, else a directory per market."""
    if verify and format is CsvFormat.LEGACY:
        raise BadInput("Rounded files differ from the warehouse", next_step="Verify lossless ones.")
    options = CsvOptions(format, legacy_scale, market)
    selection = _selection(market, interval, tickers, start_date)
    _transfer("warehouse", f"csv:{output}", selection, options, workers=workers, verify=verify)


def import_(
    input: Annotated[Path, typer.Option("--input", help="The directory of the CSV tree.")],
    market: AnyMarket = None,
    interval: AnyInterval = None,
    tickers: Symbols = None,
    start_date: StartDate = None,
    legacy_scale: LegacyScale = False,
    workers: Workers = 1,
    force: Force = False,
    verify: Verify = False,
) -> None:
    """Load a CSV tree into the warehouse: DIR/TICKER/1D.csv of one market, or a directory per market."""
    options = CsvOptions(legacy_scale=legacy_scale, market=market)
    selection = _selection(market, interval, tickers, start_date)
    _transfer(f"csv:{input}", "warehouse", selection, options, workers=workers, force=force, verify=verify)


def _selection(market: str | None, interval: str | None, tickers: str | None, start: str | None) -> Selection:
    width = Interval.parse(interval) if interval else None
    if width is not None and not width.is_stored:
        raise BadInput(
            f"{width.value} is rolled up", next_step=f"Stores hold {width.base.value}, from which it is made."
        )
    return Selection(
        markets=(get_market(market).code,) if market else (),
        intervals=(width,) if width else (),
        tickers=parse_tickers(tickers),
        start=parse_instant(start) if start else None,
    )


def _openings(src: str, dst: str, at: datetime, csv: CsvOptions) -> tuple[Opening, Opening]:
    from hypertape.stores.addresses import Opening, parse_address

    for address in (src, dst):
        parse_address(address)
    if src == dst:
        raise BadInput("Both stores are the same", next_step="Name two different ones.")
    settings, run_id = load_settings(), f"copy__{at:%Y%m%dT%H%M%S}"
    source, target = (Opening(a, settings, at, run_id, source=src, csv=csv) for a in (src, dst))
    return source, target


def _transfer(
    src: str,
    dst: str,
    selection: Selection,
    csv: CsvOptions,
    *,
    workers: int,
    force: bool = False,
    verify: bool = False,
) -> None:
    from hypertape.stores.copying import copy as run

    at = now()
    source, target = _openings(src, dst, at, csv)
    with progress() as on_step:
        report = run(
            source, target, selection, now=at, workers=workers, force=force, verify=verify,
            on_series=lambda _, done, total: on_step("series", done, total),
        )  # fmt: skip
    if dst == "warehouse":
        _refresh(target, report)
    _show(f"{src} → {dst}", report)
    show_left_out(source, selection)
    _raise_if_failed(report.failed)
    _raise_if_different(report)
    _raise_if_absent(src, selection, report)


def _refresh(target: Opening, report: CopyReport) -> None:
    """Bring the rollups up to what was loaded, also by a copy that was killed before it came to this."""
    from hypertape.stores.warehouse import WarehouseStore

    touched = sorted({(entry.series.market, entry.series.interval) for entry in report.series})
    store = target.open()
    assert isinstance(store, WarehouseStore)
    try:
        for market, interval in touched:
            with console().status(f"refreshing the rollups of {market} {interval.value}"):
                store.refresh(get_market(market), interval)
    finally:
        store.close()


def _show(title: str, report: CopyReport) -> None:
    counts: dict[str, int] = dict.fromkeys(("copied", "equal", "differs", "failed"), 0)
    for entry in report.series:
        counts[entry.status] += 1
    rows: list[tuple[str, object]] = [(f"series {status}", n) for status, n in counts.items() if n]
    rows += [("bars read", sum(entry.source.rows for entry in report.series))]
    written = report.written
    if counts["copied"]:
        rows += [(f"bars {name}", getattr(written, name)) for name in ("inserted", "updated", "unchanged")]
    rows += [
        ("rows refused", sum(sum(entry.source.refused.values()) for entry in report.series)),
        ("duplicates dropped", sum(entry.source.duplicates for entry in report.series)),
    ]
    screen = console()
    screen.print(table(title, ("what", "count"), rows))
    _show_refused(report)
    _show_discrepancies(report)
    for entry in report.failed[:_SHOWN]:
        screen.print(f"failed: {entry.series}: {entry.error}", markup=False, highlight=False)


def _show_refused(report: CopyReport) -> None:
    rows = [
        (entry.series, rule, count, _sample(entry, rule))
        for entry in report.series
        for rule, count in sorted(entry.source.refused.items())
    ]
    if rows:
        console().print(table("refused rows", ("series", "rule", "rows", "for example"), rows[:_SHOWN]))
        _count_rest(rows)


def _sample(entry: SeriesCopy, rule: str) -> str:
    found = next((sample for sample in entry.source.samples if sample["rule"] == rule), None)
    if found is None:
        return ""
    return f"{format_instant(found['time']) if found['time'] else '-'}: {found['value']}"


def _show_discrepancies(report: CopyReport) -> None:
    rows = [
        (d.series, d.what, _short(d.what, d.source), _short(d.what, d.target)) for d in report.discrepancies
    ]
    if rows:
        console().print(table("discrepancies", ("series", "what", "source", "target"), rows[:_SHOWN]))
        _count_rest(rows)


def _short(what: str, value: str) -> str:
    return f"{value[:12]}…" if what == "sha256" else value


def _count_rest(rows: Sequence[object]) -> None:
    if len(rows) > _SHOWN:
        console().print(f"and {len(rows) - _SHOWN} more")


def _raise_if_failed(failed: Sequence[SeriesCopy]) -> None:
    if not failed:
        return
    errors = [entry.error for entry in failed if entry.error]
    if len({error.what for error in errors}) == 1:
        raise errors[0]
    kind: type[HypertapeError] = BatchRefused
    if any(isinstance(error, TransientError) for error in errors):
        kind = BatchIncomplete
    elif all(isinstance(error, BadInput) for error in errors):
        kind = BadInput
    raise kind(
        f"{len(failed)} series failed, the first with: {errors[0]}", next_step="Mend them and copy again."
    )


def _raise_if_different(report: CopyReport) -> None:
    different = {found.series for found in report.discrepancies}
    if different:
        raise CheckFailed(
            f"{len(different)} of {len(report.series)} series differ",
            next_step="Copy them again, or look at the table of discrepancies.",
        )


def _raise_if_absent(src: str, selection: Selection, report: CopyReport) -> None:
    absent = sorted(set(selection.tickers) - {entry.series.ticker for entry in report.series})
    if absent:
        raise UnknownTicker(
            f"{src} has no bars of {', '.join(absent)}", next_step="Correct the list of tickers."
        )
