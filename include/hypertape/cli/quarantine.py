"""`hypertape quarantine`: the rows the gate refused, and replaying them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertape.cli.bars import check_lines
from hypertape.cli.common import (
    Connection,
    TickersOption,
    console,
    now,
    split,
    table,
    warehouse,
    warehouse_dsn,
)
from hypertape.cli.empty_results import say_nothing
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import Interval, format_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.quarantine import Replayed
    from hypertape.warehouse.quarantine import Refused

app = typer.Typer(
    no_args_is_help=True, help="Rows the gate refused: each is kept whole, with the rule it broke."
)

MarketFilter = Annotated[str | None, typer.Option("--market", "-m", help="A market; default: all.")]
IntervalFilter = Annotated[str | None, typer.Option("--interval", "-i", help="An interval; default: all.")]
RuleFilter = Annotated[str | None, typer.Option(help="A rule, such as ohlc_order; default: all.")]
RunFilter = Annotated[str | None, typer.Option(help="The run that refused them first; default: all.")]

_MOST = 200


@app.command("list")
def list_(
    market: MarketFilter = None,
    interval: IntervalFilter = None,
    tickers: TickersOption = None,
    rule: RuleFilter = None,
    run: RunFilter = None,
    rows: Annotated[bool, typer.Option("--rows", help="List open rows one by one, with their ids.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Count refused rows by market, interval and rule: open, loaded by a replay, superseded."""
    from hypertape.warehouse.quarantine import Refused, find, groups

    which = Refused(*_place(market, interval), split(tickers), rule, run)
    with warehouse() as connection:
        found = groups(connection, which)
        if not found:
            _say_nothing(connection, which)
            show([], as_json=as_json)
        elif rows:
            _show_rows(find(connection, which, most=_MOST), as_json=as_json)
        else:
            _show_groups(found, as_json=as_json)


def _say_nothing(connection: Connection, which: Refused) -> None:
    """Say why no row matches. Raises BadInput for a rule there is none of, UnknownTicker for such a ticker."""
    from hypertape.quality.gate import BAR_RULES, KEY_RULES
    from hypertape.warehouse.quarantine import rules

    known = sorted({rule.name for rule in (*KEY_RULES, *BAR_RULES)} | set(rules(connection)))
    if which.rule is not None and which.rule not in known:
        raise BadInput(
            f"No row was ever refused by a rule {which.rule!r}", next_step=f"Rules: {', '.join(known)}."
        )
    place = {"markets": which.market, "intervals": which.interval}
    say_nothing(
        connection, "no refused row of these", **{name: [one] if one else None for name, one in place.items()},
        tickers=which.tickers,
    )  # fmt: skip


def _show_rows(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    columns = ("id", "market", "interval", "ticker", "time", "rule", "value", "source")
    lines = [
        (
            row["quarantine_id"], row["market"], row["interval"], row["ticker"],
            format_instant(row["time"]) if row["time"] else None, row["rule"], row["value"], row["source"],
        )
        for row in found
    ]  # fmt: skip
    show_table("open rows", columns, lines, as_json=as_json)
    if len(found) == _MOST:
        typer.echo(f"The first {_MOST}; narrow them with the options.", err=True)


def _show_groups(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    columns = (
        "market",
        "interval",
        "rule",
        "open",
        "loaded",
        "superseded",
        "tickers",
        "oldest",
        "newest",
        "some",
    )
    lines = [
        (
            row["market"], row["interval"], row["rule"], row["open"], row["loaded"], row["superseded"], row["tickers"],
            format_instant(row["oldest"]), format_instant(row["newest"]), "; ".join(row["some"]),
        )
        for row in found
    ]  # fmt: skip
    show_table("refused rows", columns, lines, as_json=as_json)


@app.command("show")
def show_(
    quarantine_id: Annotated[int, typer.Argument(help="An id of `quarantine list --rows`.")],
    as_json: JsonOption = False,
) -> None:
    """Show one refused row whole: where it came from, the rule, and what became of it."""
    from hypertape.warehouse.quarantine import Refused, find

    with warehouse() as connection:
        found = find(connection, Refused(), quarantine_id=quarantine_id, open_only=False)
    if not found:
        raise BadInput(
            f"There is no refused row {quarantine_id}", next_step="See `hypertape quarantine list --rows`."
        )
    row = {name: value for name, value in found[0].items() if name != "row_digest"}
    if show([row], as_json=as_json):
        return
    text = row.pop("row_text")
    console().print(table(f"refused row {quarantine_id}", ("what", "value"), list(row.items())))
    console().print(_pretty(text), markup=False, highlight=False)


@app.command()
def replay(
    market: MarketFilter = None,
    interval: IntervalFilter = None,
    tickers: TickersOption = None,
    rule: RuleFilter = None,
    run: RunFilter = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge open rows by today's rules and load those that pass, where no bar is stored. The others stay."""
    from hypertape.steps.quarantine import OUTCOMES
    from hypertape.steps.quarantine import replay as run_replay
    from hypertape.warehouse.quarantine import Refused, groups

    which = Refused(*_place(market, interval), split(tickers), rule, run)
    with warehouse() as connection:
        empty = not groups(connection, which)
        if empty:
            _say_nothing(connection, which)
    at = now()
    run_id = f"replay__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    with console().status("replaying"):
        done = run_replay(
            warehouse_dsn(), which, run_id=run_id, now=at, dry_run=dry_run, settings=load_settings()
        )
    if show([] if empty else [done.to_json()], as_json=as_json) or empty:
        _end_replay(done)
        return  # an empty one has only finished what an earlier one left waiting
    lines = [(place, *(counts.get(name, 0) for name in OUTCOMES)) for place, counts in done.places.items()]
    lines.append((f"{done.rows} in all", *(done.counts[name] for name in OUTCOMES)))
    title = f"{run_id} (nothing was written)" if dry_run else run_id
    console().print(table(title, ("series", *OUTCOMES), lines))
    for tail in done.after:
        for line in check_lines(tail.quality) if tail.quality else ():
            console().print(line, markup=False, highlight=False)
        console().print(f"report: {tail.published.report}", highlight=False)
    _end_replay(done)


def _end_replay(done: Replayed) -> None:
    if done.error is not None:
        raise done.error


def _place(market: str | None, interval: str | None) -> tuple[str | None, str | None]:
    """Check the names and spell the interval as the tables do."""
    return (
        get_market(market).code if market is not None else None,
        Interval.parse(interval).value if interval is not None else None,
    )


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
