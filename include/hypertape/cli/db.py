"""`hypertape db`: the embedded PostgreSQL server."""

from __future__ import annotations

import typer

from hypertape.cli.common import console
from hypertape.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="The embedded PostgreSQL server in the state directory.")


@app.command()
def up() -> None:
    """Start the server (and create it the first time); print the warehouse's address without its password."""
    from hypertape.warehouse.embedded import EmbeddedServer

    server = EmbeddedServer(load_settings())
    with console().status("starting PostgreSQL"):
        server.up()
    _print(server)


@app.command()
def down() -> None:
    """Stop the server; the data stays."""
    from hypertape.warehouse.embedded import EmbeddedServer

    EmbeddedServer(load_settings()).down()
    console().print("The server is down.")


@app.command()
def status() -> None:
    """Say whether the server runs, where, and on which version. Exits 1 when it is down."""
    from hypertape.warehouse.embedded import EmbeddedServer

    server = EmbeddedServer(load_settings())
    _print(server)
    if not server.status().running:
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the warehouse; further arguments are psql's own."""
    from hypertape.warehouse.embedded import EmbeddedServer

    raise typer.Exit(EmbeddedServer(load_settings()).psql(context.args))


def _print(server: object) -> None:
    console().print(str(server.status()), highlight=False)  # type: ignore[attr-defined]
