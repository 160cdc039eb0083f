"""`hypertape archive`: what retention drops goes to a Parquet store first."""

from __future__ import annotations

from typing import Annotated

import typer

from hypertape.cli.common import now, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput
from hypertape.markets import all_markets, get_market
from hypertape.settings import load_settings


def archive(
    market: Annotated[str | None, typer.Option("--market", "-m", help="One market; default: all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write bars that are older than their market keeps to HYPERTAPE_ARCHIVE_URL, prove them there, and drop them here.

    Example: `hypertape archive --market crypto`. The DAG maintain_warehouse does it each day, and
    `hypertape copy parquet:URL warehouse` brings them back.
    """
    from hypertape.steps.archive import archive as run

    url = load_settings().archive_url
    if url is None:
        raise BadInput("No archive is named", next_step="Set HYPERTAPE_ARCHIVE_URL to a directory or URL.")
    with warehouse():
        pass  # the schema is current
    at = now()
    markets = [get_market(market)] if market else list(all_markets().values())
    found = [
        run(warehouse_dsn(), one, interval, url, now=at) for one in markets for interval in one.intervals
    ]
    rows = [
        (each.market, each.interval, each.before.date().isoformat(), each.series, each.bars)
        for each in found
        if each is not None
    ]
    if not rows and not as_json:
        typer.echo("Every market keeps all of its bars: there is nothing to archive.", err=True)
        return
    show_table("archived", ("market", "interval", "before", "series", "bars"), rows, as_json=as_json)
