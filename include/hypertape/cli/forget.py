"""`hypertape forget`: remove a series and all that speaks of it."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import Annotated

import typer

from hypertape.cli.common import TICKERS, console, now, of, split, table, warehouse, warehouse_dsn


def forget(
    market: Annotated[str, typer.Argument(help="Market: vn, crypto, us, or one of the project's.")],
    interval: Annotated[str, typer.Argument(help="Interval: 1d, 1h or 1m.")],
    tickers: Annotated[str, typer.Option(*TICKERS, help="Tickers, separated by commas.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--no-dry-run", help="Only count what would be removed.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Remove a series: its bars, and every row of every ledger that speaks of it.

    For what a typo or a wrong directory has left behind: `hypertape forget us 1d --tickers aapl`, and once more with
    --no-dry-run. Nothing brings it back but loading it again. Mirrors keep what they have.
    """
    from hypertape.steps.forget import forget as run

    of(market, interval)
    with warehouse():
        pass  # the schema is current
    at = now()
    done = run(
        warehouse_dsn(), market, interval, split(tickers) or [], now=at, dry_run=dry_run,
        run_id=f"forget__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}",
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    verb = "would go" if dry_run else "gone"
    title = f"{', '.join(done.tickers)} of {done.market} {done.interval}"
    console().print(table(title, ("table", f"rows {verb}"), list(done.rows.items())))
    if dry_run:
        console().print("Nothing is removed. Run it again with --no-dry-run.", highlight=False)
