"""`hypertape pin`: names for instants of knowledge, whose bars read the same for ever, or not at all."""

from __future__ import annotations

from typing import Annotated

import typer

from hypertape.cli.common import MarketOption, TickersOption, console, split, warehouse
from hypertape.cli.listing import JsonOption, show_table
from hypertape.markets import get_market
from hypertape.model import Interval, format_instant

app = typer.Typer(
    no_args_is_help=True, help="Pins: what was known at an instant, read the same for ever or not at all."
)

NameArgument = Annotated[
    str, typer.Argument(help="The pin's name: letters, digits, dots, hyphens, underscores.")
]

_COLUMNS = ("name", "market", "intervals", "tickers", "bars", "known at", "digest", "version")


@app.command(
    epilog="Example: hypertape pin create paper-2026-11 --market vn --intervals 1d --tickers VIC,VCB"
)
def create(
    name: NameArgument,
    market: MarketOption,
    intervals: Annotated[
        str | None,
        typer.Option("--intervals", "--interval", "-i", help="1d, 1h, 1m, by commas; default: all."),
    ] = None,
    tickers: TickersOption = None,
) -> None:
    """Pin what is known now of a market's final bars. It costs no copy: a digest of them is kept."""
    from hypertape.warehouse.pins import create_pin

    widths = [Interval.parse(text.strip()) for text in (intervals or "").split(",") if text.strip()]
    with warehouse() as connection:
        made = create_pin(connection, name, get_market(market), widths, split(tickers))
    console().print(
        f"{made.name}: {made.bars} bars of {len(made.tickers)} tickers, known at {format_instant(made.known_at)}",
        highlight=False,
    )


@app.command("list", epilog="Example: hypertape pin list --json")
def list_pins(as_json: JsonOption = False) -> None:
    """List the pins, oldest first."""
    from hypertape.warehouse.pins import pins

    with warehouse() as connection:
        known = pins(connection)
    rows = [
        (pin.name, pin.market, ", ".join(pin.intervals), len(pin.tickers), pin.bars, format_instant(pin.known_at),
         pin.digest, pin.code_version)
        for pin in known
    ]  # fmt: skip
    show_table("pins", _COLUMNS, rows, as_json=as_json)


@app.command(epilog="Example: hypertape pin verify paper-2026-11")
def verify(name: NameArgument, as_json: JsonOption = False) -> None:
    """Read a pin whole and compare it with its digests; list what is gone. Exits 3 when something is."""
    from hypertape.errors import PinBroken
    from hypertape.warehouse.pins import lost_of

    with warehouse() as connection:
        lost = lost_of(connection, name)
    rows = [
        (each.ticker, each.interval, format_instant(each.starts_at), each.bars_pinned, each.bars_now)
        for each in lost
    ]
    show_table("gone", ("ticker", "interval", "from", "bars pinned", "bars now"), rows, as_json=as_json)
    if lost:
        raise PinBroken(f"{len(lost)} parts of pin {name} no longer read as they did")


@app.command(epilog="Example: hypertape pin drop paper-2026-11")
def drop(name: NameArgument) -> None:
    """Remove a pin. The bars stay as they are."""
    from hypertape.warehouse.pins import drop_pin

    with warehouse() as connection:
        drop_pin(connection, name)
    console().print(f"{name} is dropped.", highlight=False)
