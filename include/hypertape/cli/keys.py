"""`hypertape keys`: who may use the stand-alone read API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from hypertape.cli.common import console, now, warehouse
from hypertape.cli.listing import JsonOption, show_table
from hypertape.model import format_instant

app = typer.Typer(no_args_is_help=True, help="API keys of `hypertape serve`: make, list and revoke them.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it; logs show this name.")],
    role: Annotated[str, typer.Option(help="read, or write (which includes reading).")] = "read",
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; default: never.")
    ] = None,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from hypertape.warehouse.api_keys import create as make

    expires = now() + timedelta(days=days) if days else None
    with warehouse() as connection:
        key = make(connection, name, role, now=now(), expires_at=expires)
    typer.echo(key)
    typer.echo("Keep it now: it cannot be shown again. Send it as `Authorization: Bearer KEY`.", err=True)


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys: id, name, role, state. The keys themselves are kept nowhere."""
    from hypertape.warehouse.api_keys import keys

    with warehouse() as connection:
        known = keys(connection)
    at = now()
    rows = [
        (key.key_id, key.name, key.role, key.state(at), format_instant(key.created_at),
         format_instant(key.expires_at) if key.expires_at else "never")
        for key in known
    ]  # fmt: skip
    show_table("keys", ("id", "name", "role", "state", "created", "expires"), rows, as_json=as_json)


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="The key's id, or its name: then all of that name.")],
) -> None:
    """Revoke keys. Running servers refuse them within ten seconds."""
    from hypertape.warehouse.api_keys import revoke as close

    with warehouse() as connection:
        revoked = close(connection, which, now=now())
    for key in revoked:
        console().print(f"{key.key_id} ({key.name}) is revoked.", highlight=False)
