"""`hypertape copy`, `verify`, `export` and `import`: bars between any two stores."""

from __future__ import annotations

import uuid
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import START, TICKERS, console, now, progress, warehouse_dsn
from hypertape.cli.copy_output import (
    raise_if_absent,
    raise_if_different,
    raise_if_failed,
    raise_if_left_out,
    raise_if_no_bar,
    show,
    show_after_load,
)
from hypertape.cli.listing import JsonOption
from hypertape.cli.listing import show as show_rows
from hypertape.cli.results import of_copy
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import Interval, parse_instant
from hypertape.settings import load_settings
from hypertape.stores import Selection, parse_tickers
from hypertape.stores.addresses import CsvFormat, CsvOptions

if TYPE_CHECKING:
    from hypertape.steps.after_load import AfterLoad
    from hypertape.steps.exchange import Exchange

_FORMS = "warehouse, csv:DIR, sqlite:DIR_OR_FILE, stockula:FILE, parquet:URL or pin:NAME"


class ExportFormat(StrEnum):
    """What an export writes: CSV of two kinds, or Parquet."""

    LOSSLESS = CsvFormat.LOSSLESS.value
    LEGACY = CsvFormat.LEGACY.value
    PARQUET = "parquet"


SourceArgument = Annotated[str, typer.Argument(metavar="SRC", help=f"The store to read: {_FORMS}.")]
TargetArgument = Annotated[str, typer.Argument(metavar="DST", help=f"The other store: {_FORMS}.")]
AnyMarket = Annotated[str | None, typer.Option("--market", "-m", help="One market; default: all.")]
AnyInterval = Annotated[str | None, typer.Option("--interval", "-i", help="1d, 1h or 1m; default: all.")]
Symbols = Annotated[str | None, typer.Option(*TICKERS, help="Tickers, separated by commas; default: all.")]
StartDate = Annotated[str | None, typer.Option(*START, help="First instant (UTC); default: all.")]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="Processes that copy.")]
Force = Annotated[bool, typer.Option("--force", help="Write series too that are equal already.")]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Prove afterwards that every bar of the source is in the target, equal."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read and gate everything, say what would be refused, copy nothing.")
]
AcceptScale = Annotated[
    bool,
    typer.Option(
        "--accept-scale", help="Replace stored bars of a wrong unit: prices may be ×1000 or ÷100 of theirs."
    ),
]
PinName = Annotated[
    str | None,
    typer.Option("--pin", help="Read the warehouse as a pin has it (the same as the store pin:NAME)."),
]
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
    accept_scale: AcceptScale = False,
    dry_run: DryRun = False,
    pin: PinName = None,
    legacy_scale: LegacyScale = False,
    as_json: JsonOption = False,
) -> None:
    """Copy bars from one store into another; copying again writes only what differs.

    Rows that cannot be bars are counted, shown, and kept in the warehouse's quarantine. Bars that only DST has stay and
    are counted. Exits 3 when --verify finds a bar of SRC that DST has not or has otherwise.
    """
    selection = _selection(market, interval, symbols, start_date)
    options = CsvOptions(legacy_scale=legacy_scale, market=market)
    src = _pinned(src, pin)
    planned = _planned(src, dst, selection, options, force=force, verify=verify, accept_scale=accept_scale)
    _transfer(planned, workers=workers, dry_run=dry_run, as_json=as_json)


def verify(
    src: SourceArgument,
    dst: TargetArgument,
    market: AnyMarket = None,
    interval: AnyInterval = None,
    symbols: Symbols = None,
    start_date: StartDate = None,
    workers: Workers = 1,
    legacy_scale: LegacyScale = False,
    as_json: JsonOption = False,
) -> None:
    """Compare every series of SRC with DST: rows, first, last and digest. Exits 3 when one differs.

    A series that only DST has is not looked at; verify the other way round for that.
    """
    from hypertape.stores.copy import verify as run

    selection = _selection(market, interval, symbols, start_date)
    planned = _planned(src, dst, selection, CsvOptions(legacy_scale=legacy_scale, market=market))
    source, target = planned.openings(None, load_settings())
    with progress() as on_step:
        report = run(
            source, target, selection, now=planned.now, workers=workers,
            on_series=lambda _, done, total: on_step("series", done, total),
        )  # fmt: skip
    if not show_rows(of_copy(report), as_json=as_json):
        show(f"{src} – {dst}", report)
    raise_if_no_bar(report)
    raise_if_different(report)
    raise_if_absent(src, selection, report)


def export(
    output: Annotated[
        str, typer.Option("--output", "-o", help="The directory of the tree; of Parquet also a URL (s3://…).")
    ],
    market: AnyMarket = None,
    interval: AnyInterval = None,
    tickers: Symbols = None,
    start_date: StartDate = None,
    format: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="lossless; legacy: rounded as in the documents; or parquet.", show_choices=True
        ),
    ] = ExportFormat.LOSSLESS,
    legacy_scale: LegacyScale = False,
    workers: Workers = 1,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Write each exported file anew: bars in it that the warehouse lacks (or that lie before "
            "--start-date) go.",
        ),
    ] = False,
    verify: Verify = False,
    pin: PinName = None,
    as_json: JsonOption = False,
) -> None:
    """Write the warehouse's bars as a CSV tree: DIR/TICKER/1D.csv for one market, else a directory per market.

    Bars of an older tree that the warehouse lacks stay and are counted, unless --replace is given. With --format
    parquet they are files that DuckDB, polars and Spark read: market=vn/interval=1d/ticker=VIC/year=2024/bars.parquet.
    """
    if verify and format is ExportFormat.LEGACY:
        raise BadInput("Rounded files differ from the warehouse", next_step="Verify lossless ones.")
    selection = _selection(market, interval, tickers, start_date)
    if format is ExportFormat.PARQUET:
        if legacy_scale or replace:
            raise BadInput(
                "--legacy-scale and --replace are for CSV trees",
                next_step="Leave them out; Parquet to be written anew goes to a new directory.",
            )
        target, options = f"parquet:{output}", CsvOptions()
    else:
        target, options = f"csv:{output}", CsvOptions(CsvFormat(format.value), legacy_scale, market, replace)
    planned = _planned(_pinned("warehouse", pin), target, selection, options, verify=verify, strict=replace)
    _transfer(planned, workers=workers, as_json=as_json)


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
    accept_scale: AcceptScale = False,
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Load a CSV tree into the warehouse: DIR/TICKER/1D.csv of one market, or a directory per market."""
    options = CsvOptions(legacy_scale=legacy_scale, market=market)
    selection = _selection(market, interval, tickers, start_date)
    planned = _planned(
        f"csv:{input}", "warehouse", selection, options, force=force, verify=verify, accept_scale=accept_scale
    )
    _transfer(planned, workers=workers, dry_run=dry_run, as_json=as_json)


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


def _pinned(src: str, pin: str | None) -> str:
    """The store to read: the pin in place of the warehouse, where one is named."""
    if pin is None:
        return src
    if src != "warehouse":
        raise BadInput(f"{src} has no pins", next_step="Read the warehouse, or leave --pin out.")
    return f"pin:{pin}"


def _planned(src: str, dst: str, selection: Selection, csv: CsvOptions, **wishes: bool) -> Exchange:
    from hypertape.steps.exchange import Exchange
    from hypertape.stores.addresses import in_full

    if in_full(src) == in_full(dst):
        raise BadInput("Both stores are the same", next_step="Name two different ones.")
    at = now()
    noted = in_full(src) if src.startswith("sqlite:") else src  # the cut-over's guard asks which file it was
    run_id = f"copy__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    return Exchange(run_id, at, src, dst, selection, csv, noted, **wishes)


def _transfer(planned: Exchange, *, workers: int, as_json: bool, dry_run: bool = False) -> None:
    from hypertape.steps.after_copy import after_loads
    from hypertape.steps.exchange import WAREHOUSE, counted, exchange

    after: list[AfterLoad] = []
    with progress() as on_step:
        report = exchange(
            None, planned, workers=workers, dry_run=dry_run, settings=load_settings(),
            on_series=lambda _, done, total: on_step("series", done, total),
        )  # fmt: skip
        if planned.target == WAREHOUSE and not dry_run:
            loaded = counted(planned, report).loaded
            after = after_loads(
                warehouse_dsn(), planned.run_id, loaded, now=now(), settings=load_settings(), on_step=on_step
            )
    if not show_rows(of_copy(report), as_json=as_json):
        show(f"{planned.source} → {planned.target}", report)
        if dry_run:
            console().print(
                "A rehearsal: nothing was copied. Run it again without --dry-run.", highlight=False
            )
        show_after_load(after)
    raise_if_failed(report)
    raise_if_no_bar(report)
    raise_if_different(report)
    raise_if_absent(planned.source, planned.selection, report)
    raise_if_left_out(report)
    for each in after:
        if each.error is not None:
            raise each.error
