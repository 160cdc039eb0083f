"""`hypertape schema`: the warehouse's tables, views and functions."""

from __future__ import annotations

import typer

from hypertape.cli.common import Connection, console, warehouse_dsn
from hypertape.cli.listing import JsonOption, show_table
from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.roles import Roles, grant

app = typer.Typer(no_args_is_help=True, help="The warehouse schema: versioned scripts, applied once each.")


@app.command()
def apply() -> None:
    """Bring the schema up to date. Applying twice changes nothing.

    Where the warehouse is reached through a pooler it needs HYPERTAPE_DIRECT_DATABASE_URL, the server itself. The roles
    that write and that read (HYPERTAPE_WRITER_ROLE, HYPERTAPE_READER_ROLE) are made and granted what they lack; where
    this role may not do that, it says what somebody else has to run.
    """
    settings = load_settings()
    roles = Roles(settings.writer_role, settings.reader_role)
    with connect(settings.direct_database_url or warehouse_dsn()) as connection:
        ran = schema.apply(connection, all_markets().values(), archived=settings.archive_url is not None)
        connection.commit()
        for label in ran:
            console().print(f"ran {label}", highlight=False)
        console().print(
            f"{len(ran)} scripts ran; the schema is current on the {schema.tier(connection)} tier."
        )
        _grant(connection, roles)


def _grant(connection: Connection, roles: Roles) -> None:
    """Grant, and say what is left to do; a schema without its roles is whole, so that is no failure."""
    left = grant(connection, roles)
    connection.commit()
    if not left:
        console().print(f"{roles.writer} may write, {roles.reader} may read.", highlight=False)
        return
    console().print(
        "The roles are not whole. Let somebody run, who may (a superuser), and then apply again:",
        highlight=False,
    )
    for statement in left:
        console().print(f"  {statement}", highlight=False)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """List every script and whether it is applied, pending or changed."""
    with connect(warehouse_dsn()) as connection:
        entries = schema.status(connection, all_markets().values())
        rows = [(entry.script.label, entry.script.kind, entry.state) for entry in entries]
        title = f"schema on the {schema.tier(connection)} tier"
    show_table(title, ("script", "kind", "state"), rows, as_json=as_json)


@app.command()
def verify() -> None:
    """Exit 0 when every script is applied with the text it has now, else say which is not."""
    with connect(warehouse_dsn()) as connection:
        schema.verify(connection, all_markets().values())
        console().print("The schema is current.")
