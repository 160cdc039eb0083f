"""`hypertape schema`: the warehouse's tables, views and functions."""

from __future__ import annotations

import typer

from hypertape.cli.common import console, table, warehouse_dsn
from hypertape.markets import all_markets
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect

app = typer.Typer(no_args_is_help=True, help="The warehouse schema: versioned scripts, applied once each.")


@app.command()
def apply() -> None:
    """Bring the schema up to date. Applying twice changes nothing."""
    with connect(warehouse_dsn()) as connection:
        ran = schema.apply(connection, all_markets().values())
        connection.commit()
        for label in ran:
            console().print(f"ran {label}", highlight=False)
        console().print(
            f"{len(ran)} scripts ran; the schema is current on the {schema.tier(connection)} tier."
        )


@app.command()
def status() -> None:
    """List every script and whether it is applied, pending or changed."""
    with connect(warehouse_dsn()) as connection:
        entries = schema.status(connection, all_markets().values())
        rows = [(entry.script.label, entry.script.kind, entry.state) for entry in entries]
        console().print(
            table(f"schema on the {schema.tier(connection)} tier", ("script", "kind", "state"), rows)
        )


@app.command()
def verify() -> None:
    """Exit 0 when every script is applied with the text it has now, else say which is not."""
    with connect(warehouse_dsn()) as connection:
        schema.verify(connection, all_markets().values())
        console().print("The schema is current.")
