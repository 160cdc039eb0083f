"""`hypertape db`: the embedded PostgreSQL server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hypertape.cli.common import console, table, warehouse_dsn
from hypertape.cli.listing import JsonOption, show
from hypertape.errors import ServerReplaced
from hypertape.settings import load_settings
from hypertape.warehouse.connect import resolve_reader_dsn
from hypertape.warehouse.dsn import Client, address_for
from hypertape.warehouse.embedded.server import EmbeddedServer

app = typer.Typer(
    no_args_is_help=True,
    help="The embedded PostgreSQL server in the state directory, and the warehouse's address.",
)


@app.command()
def up() -> None:
    """Start the server (and create it the first time); print the warehouse's address without its password."""
    server = EmbeddedServer(load_settings())
    with console().status("starting PostgreSQL"):
        server.up()
    _show(server)


@app.command()
def down() -> None:
    """Stop the server; the data stays."""
    EmbeddedServer(load_settings()).down()
    console().print("The server is down.")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Say whether the server runs, where, and on which version. Exits 1 when it is down."""
    if not _show(EmbeddedServer(load_settings()), as_json=as_json):
        raise typer.Exit(1)


@app.command()
def url(
    client: Annotated[Client, typer.Option("--for", help="Who will read it.")] = Client.PSQL,
    reader: Annotated[
        bool, typer.Option("--reader", help="An address whose sessions refuse to write.")
    ] = False,
    password: Annotated[
        bool, typer.Option("--password", help="Show the password at a terminal, too.")
    ] = False,
) -> None:
    """Print the warehouse's address for another program. Example: psql "$(`hypertape db url --reader`)".

    With --reader it is that of HYPERTAPE_READER_DATABASE_URL where there is one. What a program takes (a pipe, `$(…)`)
    has the password; at a terminal it is masked.
    """
    masked = sys.stdout.isatty() and not password
    dsn = resolve_reader_dsn(load_settings()) if reader else warehouse_dsn()
    typer.echo(address_for(dsn, client, read_only=reader, masked=masked))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the warehouse; further arguments are psql's own."""
    raise typer.Exit(EmbeddedServer(load_settings()).psql(context.args))


def _show(server: EmbeddedServer, *, as_json: bool = False) -> bool:
    """Print what is known of the server, never its password; True when it runs."""
    found = server.status()
    rows = [
        ("state", found.state),
        ("server", f"PostgreSQL {found.major} from {found.bindir}" if found.major else None),
        ("address", f"127.0.0.1:{found.port}" if found.port else None),
        ("directory", found.directory),
        ("log", found.log),
        ("TimescaleDB", found.extension_dir or found.note or "not loaded (plain tier)"),
        ("restart", found.replaced and f"{found.replaced}. {ServerReplaced.next_step}"),
    ]
    known = [(name, str(value)) for name, value in rows if value is not None]
    if not show([dict(known)], as_json=as_json):
        console().print(table("embedded server", ("what", "value"), known))
    return found.state == "running"
