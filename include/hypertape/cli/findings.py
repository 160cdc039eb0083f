"""`hypertape findings`: what is wrong, since when, what mends it; and what may wait."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from hypertape.cli.common import console, now, table, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show
from hypertape.errors import BadInput, CheckFailed
from hypertape.markets import get_market
from hypertape.model import (
    CRITICAL,
    FINDING_KINDS,
    FINDING_SEVERITIES,
    NOTE,
    WARNING,
    Interval,
    format_instant,
    parse_instant,
)
from hypertape.settings import load_settings
from hypertape.warehouse.findings import Finding, headline
from hypertape.warehouse.findings import acknowledge as put_away
from hypertape.warehouse.findings import findings as read
from hypertape.warehouse.findings import reopen as take_back
from hypertape.warehouse.findings.ledger import find

app = typer.Typer(
    no_args_is_help=True,
    help="Findings: whatever is wrong, one row per cause, with the command that mends it.",
)

MarketsOption = Annotated[
    list[str] | None, typer.Option("--market", "-m", help="A market; default: all. May be repeated.")
]
IntervalsOption = Annotated[
    list[str] | None, typer.Option("--interval", "-i", help="An interval; default: all. May be repeated.")
]
NumberArgument = Annotated[
    int, typer.Argument(metavar="FINDING", help="The finding's number, as `list` shows it.")
]

_COLOURS = {CRITICAL: "bold red", WARNING: "yellow", NOTE: "cyan"}
_COLUMNS = ("finding", "severity", "state", "since", "what", "mend")


@app.command("list")
def list_(
    market: MarketsOption = None,
    interval: IntervalsOption = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help=f"One of: {', '.join(FINDING_KINDS)}. May be repeated.")
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option("--severity", help="critical, warning or note. May be repeated.")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are over, too.")] = False,
    look: Annotated[
        bool, typer.Option(help="Look again first; else as the last one who looked left it.")
    ] = True,
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 when a critical one is open.")] = False,
) -> None:
    """List what is wrong, the worst first: `hypertape findings list -m vn --severity critical`."""
    at = now()
    _valid("kind", kind, tuple(FINDING_KINDS))
    _valid("severity", severity, FINDING_SEVERITIES)
    markets = [get_market(code).code for code in market] if market else None
    intervals = [Interval.parse(text).value for text in interval] if interval else None
    if look:
        from hypertape.steps.findings import watch

        with warehouse():
            pass  # the schema is current
        watch(warehouse_dsn(), f"findings__{at:%Y%m%dT%H%M%S}", now=at, settings=load_settings())
    with warehouse() as connection:
        found = read(
            connection, at, markets=markets, intervals=intervals, kinds=kind, severities=severity, closed=closed,
            most=most,
        )  # fmt: skip
    if not show((each.to_json() for each in found), as_json=as_json):
        console().print(headline([each for each in found if each.state == "open"]).text, highlight=False)
        if found:
            console().print(table("findings", _COLUMNS, [_line(each) for each in found]))
    if strict and (
        critical := [each for each in found if each.state == "open" and each.severity == CRITICAL]
    ):
        raise CheckFailed(
            critical[0].title, next_step=f"{critical[0].mend}; `hypertape findings list` shows them all."
        )


@app.command("show")
def show_(finding: NumberArgument, as_json: JsonOption = False) -> None:
    """Show all that is known of one finding: `hypertape findings show 12`."""
    with warehouse() as connection:
        found = find(connection, finding, now())
    if not show([found.to_json()], as_json=as_json):
        for name, value in _facts(found):
            console().print(Text(f"{name:>14} ", "dim"), Text(value), highlight=False)


@app.command()
def acknowledge(
    finding: NumberArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why it may wait, for those who come after you.")],
    until: Annotated[
        str | None, typer.Option("--until", help="When it comes back (UTC); default: only when it changes.")
    ] = None,
) -> None:
    """Put a finding out of the way: `hypertape findings acknowledge 12 --reason 'vendor told' --until 2026-12-01`."""
    at = now()
    ends = parse_instant(until) if until else None
    with warehouse() as connection:
        found = put_away(connection, finding, now=at, by=getpass.getuser(), reason=reason, until=ends)
        connection.commit()
    when = f"until {format_instant(ends)} or until it changes" if ends else "until it changes"
    console().print(f"Finding {found.finding_id} is out of the way {when}: {found.title}", highlight=False)


@app.command()
def reopen(finding: NumberArgument) -> None:
    """Take an acknowledgement back: `hypertape findings reopen 12`."""
    with warehouse() as connection:
        found = take_back(connection, finding, now=now())
        connection.commit()
    console().print(f"Finding {found.finding_id} is open: {found.title}", highlight=False)


def _line(found: Finding) -> tuple[Any, ...]:
    severity = Text(found.severity, _COLOURS[found.severity])
    return (found.finding_id, severity, found.state, format_instant(found.opened_at), found.title, found.mend)


def _facts(found: Finding) -> list[tuple[str, str]]:
    """Name and text of everything that is known."""
    facts: list[tuple[str, Any]] = [
        ("what", found.title),
        ("severity", found.severity),
        ("state", found.state),
        ("mend", found.mend),
        ("where", " ".join(filter(None, (found.market, found.interval))) or "the warehouse"),
        ("tickers", ", ".join(found.tickers)),
        ("since", f"{format_instant(found.opened_at)}, found by {found.opened_by}"),
        ("last seen", f"{format_instant(found.last_seen_at)}, {found.times} times in all"),
        ("over since", found.closed_at and f"{format_instant(found.closed_at)}, by {found.closed_by}"),
        ("acknowledged", found.acknowledged_at and f"{found.acknowledged_by}: {found.acknowledged_reason}"),
        ("until", found.acknowledged_until and format_instant(found.acknowledged_until)),
        ("kind", f"{found.kind} ({found.cause})"),
        *((name.replace("_", " "), value) for name, value in found.evidence.items() if name != "places"),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "", [])]


def _valid(name: str, given: Sequence[str] | None, valid: Sequence[str]) -> None:
    if unknown := [word for word in given or () if word not in valid]:
        raise BadInput(f"--{name} {unknown[0]!r} is not known", next_step=f"Valid: {', '.join(valid)}.")
