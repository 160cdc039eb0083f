"""`hypertape mirror`: stores that receive what every load changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import console, now, table, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.cli.results import of_delivery, of_difference
from hypertape.errors import CheckFailed, StoreAway
from hypertape.markets import get_market
from hypertape.model import Interval, format_instant
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.stores.delivery import Delivered
    from hypertape.stores.mirrors import Mirror
    from hypertape.stores.parity import Difference

app = typer.Typer(
    no_args_is_help=True, help="Dual write: CSV trees and SQLite files that receive what every load changes."
)

NameArgument = Annotated[str, typer.Argument(help="The mirror's name.")]


@app.command()
def add(
    name: NameArgument,
    address: Annotated[str, typer.Argument(help="csv:DIR or sqlite:DIR_OR_FILE.")],
    market: Annotated[
        list[str] | None, typer.Option("--market", "-m", help="A market it receives; default: all.")
    ] = None,
    interval: Annotated[
        list[str] | None, typer.Option("--interval", "-i", help="An interval it receives; default: all.")
    ] = None,
    copy: Annotated[bool, typer.Option(help="Copy what is stored at once, not with the next load.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Add a mirror and copy every stored series into it. Exits 75 when the copy has to be continued later."""
    from hypertape.stores.mirrors import add_mirror

    intervals = [Interval.parse(text) for text in interval or ()]
    with warehouse() as connection:
        mirror = add_mirror(
            connection,
            name,
            address,
            markets=[get_market(code).code for code in market or ()],
            intervals=intervals,
        )
        connection.commit()
    if not as_json:
        console().print(
            f"{mirror.address} is the mirror {mirror.name}; {mirror.waiting} series to copy.", highlight=False
        )
    if copy:
        _deliver([mirror], as_json=as_json)
    else:
        show([], as_json=as_json)


@app.command("list")
def list_mirrors(as_json: JsonOption = False) -> None:
    """List the mirrors, how far each is behind, and what is wrong with it."""
    from hypertape.stores.mirrors import mirrors

    with warehouse() as connection:
        known = mirrors(connection)
    columns = (
        "mirror",
        "address",
        "receives",
        "state",
        "delivered",
        "series waiting",
        "behind since",
        "error",
    )
    show_table("mirrors", columns, [_line(mirror) for mirror in known], as_json=as_json)


@app.command()
def deliver(
    name: Annotated[
        str | None, typer.Argument(help="The mirror's name; default: all that are not paused.")
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Compare every stored series, as for a mirror that was lost or restored."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Deliver what loads changed. Exits 75 when something is left because a mirror is away."""
    from hypertape.stores.mirrors import find_mirror, mirrors, note_everything

    settings = load_settings()
    with warehouse() as connection:
        known = mirrors(connection)
        due = (
            [find_mirror(connection, name)]
            if name
            else [m for m in known if m.enabled and settings.delivers_to(m.name)]
        )
        if whole:
            for mirror in due:
                note_everything(connection, mirror)
            connection.commit()
    _deliver(due, as_json=as_json)


@app.command()
def parity(name: NameArgument, as_json: JsonOption = False) -> None:
    """Compare every series' digest with the warehouse's. Exits 3 unless all are equal and nothing waits.

    With --json the series that differ, [] where none does.
    """
    from hypertape.steps.mirror import check_parity
    from hypertape.stores.mirrors import find_mirror

    with warehouse() as connection:
        mirror = find_mirror(connection, name)
    found = check_parity(warehouse_dsn(), mirror, now=now(), settings=load_settings())
    shown = show(map(of_difference, found.differences), as_json=as_json)
    if found.differences and not shown:
        columns = ("series", "what", "bars here", "bars there", "last here", "last there")
        console().print(table("differences", columns, [_difference(entry) for entry in found.differences]))
    if not found.holds:
        raise CheckFailed(
            f"{name}: {len(found.differences)} of {found.series} series differ, {found.waiting} wait for delivery",
            next_step=f"Run `hypertape mirror deliver {name}`; if they still differ, add --whole.",
        )
    if not shown:
        console().print(f"{name}: {found.series} series are equal and nothing waits.", highlight=False)


@app.command()
def pause(name: NameArgument) -> None:
    """Stop delivering to a mirror. What loads change is noted all the same."""
    _switch(name, False)
    console().print(
        f"{name} is paused; `hypertape mirror resume {name}` delivers what it missed.", highlight=False
    )


@app.command()
def resume(name: NameArgument, as_json: JsonOption = False) -> None:
    """Deliver to a paused mirror again, first what it missed. Exits 75 when it is away."""
    _deliver([_switch(name, True)], as_json=as_json)


@app.command()
def remove(name: NameArgument) -> None:
    """Forget a mirror and what waits for it. Its files stay."""
    from hypertape.stores.mirrors import find_mirror, remove_mirror

    with warehouse() as connection:
        mirror = find_mirror(connection, name)
        remove_mirror(connection, mirror)
        connection.commit()
    console().print(f"{name} is removed; its files stay in {mirror.address}.", highlight=False)


def _switch(name: str, enabled: bool) -> Mirror:
    from hypertape.stores.mirrors import enable_mirror, find_mirror

    with warehouse() as connection:
        mirror = find_mirror(connection, name)
        enable_mirror(connection, mirror, enabled)
        connection.commit()
    return mirror


def _deliver(due: list[Mirror], *, as_json: bool) -> None:
    from hypertape.steps.mirror import deliver_to

    done = deliver_to(warehouse_dsn(), due, now=now(), settings=load_settings())
    columns = ("mirror", "series", "inserted", "updated", "unchanged", "left", "error")
    if not show(map(of_delivery, done), as_json=as_json):
        console().print(table("delivered", columns, [_outcome(entry) for entry in done]))
    behind = [entry.mirror for entry in done if entry.complaint]
    if behind:
        raise StoreAway(
            f"Not everything was delivered to {', '.join(behind)}", next_step="What is left stays noted."
        )


def _outcome(done: Delivered) -> tuple[object, ...]:
    counts = (done.written.inserted, done.written.updated, done.written.unchanged)
    return done.mirror, done.series, *counts, done.left, done.complaint


def _line(mirror: Mirror) -> tuple[object, ...]:
    state = "paused" if not mirror.enabled else "failing" if mirror.failing_since else "delivering"
    receives = (
        f"{', '.join(mirror.markets) or 'all markets'}; {', '.join(mirror.intervals) or 'all intervals'}"
    )
    moments = [moment and format_instant(moment) for moment in (mirror.delivered_at, mirror.behind_since)]
    return (
        mirror.name,
        mirror.address,
        receives,
        state,
        moments[0],
        mirror.waiting,
        moments[1],
        mirror.last_error,
    )


def _difference(entry: Difference) -> tuple[object, ...]:
    sides = (entry.warehouse, entry.mirror)
    rows = [side.rows if side else 0 for side in sides]
    lasts = [format_instant(side.last) if side and side.last else "-" for side in sides]
    return str(entry.series), entry.what, *rows, *lasts
