"""`hypertape gaps`: the bars that should exist and do not, each with its reason, and asking for them again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from hypertape.cli.bars import show_run
from hypertape.cli.common import (
    END,
    START,
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
    window_of,
)
from hypertape.cli.empty_results import require_known, say_nothing
from hypertape.cli.gap_output import count_line, line, plain, say_resting, show_plan
from hypertape.cli.listing import JsonOption, show
from hypertape.cli.source_options import DirectoryOption, LegacyOption, SourceOption, chosen_source
from hypertape.errors import BadInput, CheckFailed
from hypertape.markets import all_markets, get_market
from hypertape.model import (
    EXPLAINED,
    HEAL_ATTEMPTS,
    HEALABLE,
    STORED_INTERVALS,
    Interval,
    Market,
    Window,
    parse_instant,
)
from hypertape.settings import load_settings
from hypertape.warehouse.gaps.healing import (
    GapFilter,
    list_gaps,
    reopen_gaps,
)

app = typer.Typer(
    no_args_is_help=True, help="The gap ledger: bars that should exist and do not, each with its reason."
)

MarketsOption = Annotated[
    list[str] | None, typer.Option("--market", "-m", help="A market; default: all. May be repeated.")
]
IntervalsOption = Annotated[
    list[str] | None, typer.Option("--interval", "-i", help="1d, 1h or 1m; default: all. May be repeated.")
]
ReasonsOption = Annotated[
    list[str] | None, typer.Option("--reason", help="A reason, such as 'provider empty'. May be repeated.")
]
StartOption = Annotated[
    str | None, typer.Option(*START, help="Only gaps that reach beyond this instant (UTC).")
]
EndOption = Annotated[str | None, typer.Option(*END, help="Only gaps that begin before this instant (UTC).")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit 3 when one is open that no holiday, listing or halt explains.")
]

_COLUMNS = ("market", "interval", "ticker", "from", "to", "sessions", "reason", "asked again", "behind it")


@app.command("list")
def list_(
    market: MarketsOption = None,
    interval: IntervalsOption = None,
    tickers: TickersOption = None,
    reason: ReasonsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    closed: Annotated[bool, typer.Option("--closed", help="The closed ones too.")] = False,
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """List what the ledger knows. Exits 3 with --strict when an open gap has no explanation."""
    which = _filter(market, interval, tickers, reason, start, end)
    with warehouse() as connection:
        rows = list_gaps(connection, which, closed=closed, most=most + 1)
        if not rows:
            say_nothing(
                connection,
                "no such gap",
                markets=which.markets,
                intervals=which.intervals,
                tickers=which.tickers,
            )
    shown = rows[:most]
    if not show(map(plain, shown), as_json=as_json) and rows:
        console().print(table("gaps", _COLUMNS, [line(row) for row in shown]))
        say_resting(sum(row["rests"] and row["reason"] not in EXPLAINED for row in shown))
    if len(rows) > most:
        typer.echo(f"Only the first {most} are shown: --most shows more.", err=True)
    if strict:
        _require_explained([row["reason"] for row in rows if row["closed_at"] is None])


@app.command()
def find(
    market: MarketsOption = None,
    interval: IntervalsOption = None,
    tickers: TickersOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            *START, help="First instant (UTC); default: since each ticker was first asked for or began."
        ),
    ] = None,
    end: Annotated[str | None, typer.Option(*END, help="End (UTC, not included); default: now.")] = None,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Hold the stored bars against the calendar and bring the ledger up to date. Runs do it by themselves."""
    from hypertape.steps.heal import find_gaps

    at = now()
    with warehouse() as connection:
        require_known(connection, markets=market, intervals=interval, tickers=split(tickers))
    found = []
    for of_market, of_interval in _relations(market, interval):
        window = _window(of_market, of_interval, start, end, at)
        counts = find_gaps(
            warehouse_dsn(),
            of_market.code,
            of_interval.value,
            now=at,
            window=window,
            tickers=split(tickers),
        )
        found.append({"market": of_market.code, "interval": of_interval.value, **counts.to_json()})
    if not show(found, as_json=as_json):
        columns = ("market", "interval", "opened", "closed", "changed", "sessions open, by reason")
        console().print(table("gaps", columns, [count_line(row) for row in found]))
    if strict:
        _require_explained([reason for row in found for reason in row["open"]])


@app.command()
def heal(
    market: MarketOption,
    interval: IntervalOption,
    tickers: TickersOption = None,
    reason: ReasonsOption = None,
    attempts: Annotated[
        int,
        typer.Option(
            min=1, help="A gap that was answered so often without its bars rests until it is reopened."
        ),
    ] = HEAL_ATTEMPTS,
    source: SourceOption = None,
    source_dir: DirectoryOption = None,
    legacy_scale: LegacyOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be asked for.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask again for what may still arrive, write only what is missing, and close what came.

    Exits 75 or 4 when tickers failed, 3 when a critical check failed; what could be healed is healed.
    """
    from hypertape.steps.heal import heal as run
    from hypertape.steps.heal import plan_heal

    of(market, interval)
    with warehouse() as connection:
        require_known(connection, markets=[market], tickers=split(tickers))
    at, settings = now(), load_settings()
    planned = plan_heal(
        warehouse_dsn(), market, interval, run_id=f"heal__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}", now=at,
        tickers=split(tickers), reasons=reason or HEALABLE, max_attempts=attempts,
        source=chosen_source(source, source_dir, legacy_scale), settings=settings,
    )  # fmt: skip
    if dry_run or not planned.batches:
        show_plan(planned, as_json=as_json)
        return
    with progress() as on_step:
        result, finished = run(warehouse_dsn(), planned, now=at, settings=settings, on_step=on_step)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    **finished.to_json(),
                    "run_id": planned.run_id,
                    "counts": result.counts,
                    "failed": result.failed,
                }
            )
        )
    else:
        show_run(result)
        still = finished.still_missing
        console().print(
            f"{planned.gaps} gaps asked for, {still} of them still have no bars.", highlight=False
        )
        say_resting(planned.resting)
    end_with(result.error, result.failed, result.may_pass)


@app.command()
def reopen(
    market: MarketsOption = None,
    interval: IntervalsOption = None,
    tickers: TickersOption = None,
    reason: ReasonsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Every gap of every market.")] = False,
) -> None:
    """Let healing ask again for gaps that it has given up on: those that are named, or --all."""
    which = _filter(market, interval, tickers, reason, start, end)
    if not all_ and not any((market, interval, tickers, reason, start, end)):
        raise BadInput(
            "Which gaps are to be asked for again is not said",
            next_step="Give --market, --interval, --tickers, --reason, --start-date or --end-date, or --all.",
        )
    with warehouse() as connection:
        require_known(connection, markets=which.markets, tickers=which.tickers)
        count = reopen_gaps(connection, which)
        connection.commit()
    console().print(f"{count} gaps will be asked for again.", highlight=False)


def _filter(
    markets: Sequence[str] | None,
    intervals: Sequence[str] | None,
    tickers: str | None,
    reasons: Sequence[str] | None,
    start: str | None,
    end: str | None,
) -> GapFilter:
    named = split(tickers)
    return GapFilter(
        tuple(get_market(code).code for code in markets) if markets else None,
        tuple(Interval.parse(text).value for text in intervals) if intervals else None,
        tuple(named) if named else None,
        tuple(reasons) if reasons else None,
        parse_instant(start) if start else None,
        parse_instant(end) if end else None,
    )


def _relations(
    markets: Sequence[str] | None, intervals: Sequence[str] | None
) -> list[tuple[Market, Interval]]:
    chosen = [get_market(code) for code in markets] if markets else list(all_markets().values())
    widths = [Interval.parse(text) for text in intervals] if intervals else list(STORED_INTERVALS)
    return [(of_market, of_interval) for of_market in chosen for of_interval in widths]


def _window(
    market: Market, interval: Interval, start: str | None, end: str | None, at: datetime
) -> Window | None:
    if start is None and end is None:
        return None
    return window_of(market, interval, start, end, at)


def _require_explained(reasons: Sequence[str]) -> None:
    open_ones = sorted({reason for reason in reasons if reason not in EXPLAINED})
    if open_ones:
        raise CheckFailed(
            f"Bars are missing without an explanation: {', '.join(open_ones)}",
            next_step="See `hypertape gaps list`; `hypertape gaps heal` asks for them again.",
        )
