"""`hypertape notify`: who is told of what is wrong, and whether it reaches them."""

from __future__ import annotations

import typer

from hypertape.channels import Channel, read_channels
from hypertape.cli.common import now, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput, NotTaken
from hypertape.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Messages: the channels of HYPERTAPE_NOTIFY, told once when a finding opens and closes.",
)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the channels without their addresses: `hypertape notify list`."""
    rows = [(each.name, each.what, ", ".join(each.markets or ()) or "all") for each in _channels()]
    show_table("channels", ("channel", "told of", "markets"), rows, as_json=as_json)


@app.command("test")
def try_(as_json: JsonOption = False) -> None:
    """Send every channel a message: `hypertape notify test`. Exits 75 when one does not take it."""
    from hypertape.steps.notify import try_channels

    _require(load_settings().notify)
    found = try_channels(load_settings(), now=now())
    rows = [(name, "taken" if error is None else "not taken", error or "") for name, error in found.items()]
    show_table("test", ("channel", "message", "what it said"), rows, as_json=as_json)
    if refused := [name for name, error in found.items() if error is not None]:
        raise NotTaken(f"{', '.join(refused)} did not take the message")


@app.command()
def send(as_json: JsonOption = False) -> None:
    """Send what is due and what waits, as the DAG watch_warehouse does: `hypertape notify send`."""
    from hypertape.steps.notify import raise_if_kept, tell

    _require(load_settings().notify)
    with warehouse():
        pass
    told = tell(warehouse_dsn(), now=now(), settings=load_settings())
    rows = [
        (name, told.sent.get(name, 0), told.kept.get(name, ""))
        for name in (each.name for each in _channels())
    ]
    show_table("messages", ("channel", "sent", "what it said"), rows, as_json=as_json)
    raise_if_kept(told)


def _channels() -> list[Channel]:
    return read_channels(load_settings().notify)


def _require(text: str | None) -> None:
    if not read_channels(text):
        raise BadInput(
            "HYPERTAPE_NOTIFY names no channel", next_step="Set it, such as critical=json://localhost:8000."
        )
