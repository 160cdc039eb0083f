"""`hypertape symbols`: names of series, and who was in a group when."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from hypertape.cli.common import console, now, table, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import parse_instant

app = typer.Typer(no_args_is_help=True, help="Symbols: names of series over time, and members of groups.")

MarketArgument = Annotated[str, typer.Argument(help="Market: vn, crypto or us.")]


@app.command(epilog="Example: hypertape symbols rename us FB META --on 2022-06-09")
def rename(
    market: MarketArgument,
    old: Annotated[str, typer.Argument(help="Its name until then.")],
    new: Annotated[str, typer.Argument(help="Its name from then on.")],
    on: Annotated[str, typer.Option("--on", help="The first session under the new name: YYYY-MM-DD.")],
    as_json: JsonOption = False,
) -> None:
    """Let a ticker's series go on under a new name: bars, gaps, revisions, pins and what is published, at once.

    Nothing is loaded again or restated. Lists that still have the old name mean the new one, and who reads by the old
    one is told. Mirrors get the series whole under the new name and keep what they have.
    """
    from hypertape.steps.rename import rename as run

    at = now()
    with warehouse():
        pass  # the schema is current
    day = parse_instant(on).date()
    run_id = f"rename__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    done = run(warehouse_dsn(), market, old, new, day, run_id=run_id, now=at)
    found = {"market": done.market, "old": done.old, "new": done.new, "on": done.on.isoformat()}
    if show([{**found, "rows": dict(done.rows)}], as_json=as_json):
        return
    if not done.rows:
        console().print(f"{old} is called {new} since {done.on} already.", highlight=False)
        return
    console().print(
        table(f"{old} is called {new} since {done.on}", ("table", "rows"), list(done.rows.items()))
    )


@app.command(epilog="Example: hypertape symbols members us --group DOW --on 2020-01-02")
def members(
    market: MarketArgument,
    group: Annotated[str | None, typer.Option("--group", "-g", help="One group; default: all.")] = None,
    on: Annotated[str | None, typer.Option("--on", help="The day: YYYY-MM-DD; default: today.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List who is in a market's groups, or was on a day, by the names they have now."""
    from hypertape.warehouse.symbology import members as find

    of_market, day = get_market(market), (parse_instant(on) if on else now()).date()
    with warehouse() as connection:
        found = find(connection, of_market, day, group)
        known = find(connection, of_market, day)
    if group is not None and group not in found and group not in known and group not in of_market.groups:
        groups = ", ".join(sorted({*known, *of_market.groups}))
        raise BadInput(f"{market} has no group {group}", next_step=f"Groups: {groups}.")
    rows = [(name, ticker) for name, tickers in found.items() for ticker in tickers]
    show_table("members", ("group", "ticker"), rows, as_json=as_json)
