"""`hypertape …`: the same steps as the DAGs, from any shell. What its exit codes mean: `errors.EXIT_CODES`."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console

from hypertape import __version__
from hypertape.cli import (
    actions,
    backfill,
    bars,
    db,
    doctor,
    exchange,
    gaps,
    keys,
    migrate,
    mirror,
    quality,
    quarantine,
    reconcile,
    revisions,
    rollback,
    schema,
    serve,
    source,
    stream,
)
from hypertape.errors import EXIT_CODES, HypertapeError

app = typer.Typer(
    name="hypertape",
    help="Keep a market-data warehouse true: is every bar there, is every bar right, and how would I know?",
    epilog="\n\n".join(["Exit codes", *(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items())]),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db.app, name="db")
app.add_typer(schema.app, name="schema")
app.add_typer(gaps.app, name="gaps")
app.add_typer(actions.app, name="actions")
app.add_typer(mirror.app, name="mirror")
app.add_typer(source.app, name="source")
app.add_typer(migrate.app, name="migrate")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(rollback.app, name="rollback")
app.add_typer(keys.app, name="keys")
app.add_typer(stream.app, name="stream")
app.command()(bars.sync)
app.command()(backfill.backfill)
app.command()(quality.validate)
app.command()(quality.report)
app.command()(reconcile.reconcile)
app.command()(bars.digest)
app.command()(revisions.revisions)
app.command()(revisions.restatements)
app.command()(doctor.doctor)
app.command()(exchange.copy)
app.command()(exchange.verify)
app.command()(exchange.export)
app.command("import")(exchange.import_)
app.command()(serve.serve)


_INTERRUPTED = 130
"""What typer makes of Ctrl-C, as shells do."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hypertape {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options before the verb."""


def main() -> None:
    """Run the command line; a HypertapeError becomes its message on stderr and its exit code, Ctrl-C a word."""
    try:
        app()
    except HypertapeError as error:
        _end_with(error)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            Console(stderr=True).print("stopped; run the same again, what is copied stays", highlight=False)
        raise
    except Exception as defect:
        from hypertape.warehouse.connect import translated

        known = translated(defect)
        if known is None:
            raise
        _end_with(known)


def _end_with(error: HypertapeError) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_plain(str(error))}", highlight=False)
    sys.exit(error.exit_code)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
