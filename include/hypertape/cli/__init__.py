"""`hypertape …`: the same steps as the DAGs, from any shell. What its exit codes mean: `errors.EXIT_CODES`."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

import typer
from rich.text import Text

from hypertape import __version__
from hypertape.cli import (
    actions,
    archive,
    backfill,
    backup_base,
    bars,
    completion,
    condition,
    db,
    doctor,
    exchange,
    findings,
    forget,
    gaps,
    keys,
    migrate,
    mirror,
    notify,
    pin,
    project,
    quality,
    quarantine,
    reconcile,
    revisions,
    rollback,
    rollups,
    schema,
    serve,
    source,
    stack,
    stream,
    symbols,
    worker,
)
from hypertape.cli.common import console, output
from hypertape.cli.examples import add_examples
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
app.add_typer(findings.app, name="findings")
app.add_typer(gaps.app, name="gaps")
app.add_typer(actions.app, name="actions")
app.add_typer(mirror.app, name="mirror")
app.add_typer(notify.app, name="notify")
app.add_typer(source.app, name="source")
app.add_typer(migrate.app, name="migrate")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(rollback.app, name="rollback")
app.add_typer(rollups.app, name="rollups")
app.add_typer(keys.app, name="keys")
app.add_typer(stream.app, name="stream")
app.add_typer(pin.app, name="pin")
app.add_typer(backup_base.app, name="backup")
app.add_typer(symbols.app, name="symbols")
app.add_typer(worker.app, name="worker")
app.add_typer(project.config, name="config")
app.command()(project.init)
app.command()(completion.completion)
for _verb in (stack.up, stack.down, stack.status, stack.demo):
    app.command()(_verb)
app.command()(bars.sync)
app.command()(backfill.backfill)
app.command()(quality.validate)
app.command()(quality.report)
app.command()(reconcile.reconcile)
app.command()(rollups.reindicate)
app.command()(bars.digest)
app.command()(condition.condition)
app.command()(archive.archive)
app.command()(forget.forget)
app.command()(revisions.revisions)
app.command()(revisions.restatements)
app.command()(doctor.doctor)
app.command()(exchange.copy)
app.command()(exchange.verify)
app.command()(exchange.export)
app.command("import")(exchange.import_)
app.command()(serve.serve)
add_examples(app)


_INTERRUPTED = 130
"""What typer makes of Ctrl-C, as shells do."""

_UNREAD = 141
"""What shells make of a program whose reader went away. Not 0: what it had still to find, nobody has read."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hypertape {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
    quiet: bool = typer.Option(
        False, "--quiet", "-q", help="Print errors only, and what --json, --csv or a digest prints."
    ),
) -> None:
    """Options before the verb."""
    output.quiet = quiet


def main() -> None:
    """Run the command line; a HypertapeError becomes its message on stderr and its exit code, Ctrl-C a word.

    Where the reader of the output goes away (`| head`) it ends without a word.
    """
    # What psycopg ignores is told by the error that it makes way for.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    completion.completion_init()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # not at the interpreter's end, where it would be a traceback
    except HypertapeError as error:
        _end_with(error)
    except BrokenPipeError:
        _end_unread()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer and rich make a bare 1 of it
            _end_unread()
        if stop.code == _INTERRUPTED:
            console(stderr=True).print("stopped; run the same again, what is copied stays", highlight=False)
        raise
    except Exception as defect:
        from hypertape.warehouse.connect import translated

        known = translated(defect)
        if known is None:
            raise
        _end_with(known)


def _end_with(error: HypertapeError) -> NoReturn:
    console(stderr=True).print(Text("error:", "bold red"), Text(str(error)), highlight=False)
    sys.exit(error.exit_code)


def _end_unread() -> NoReturn:
    """End without a word; what is still in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_UNREAD)
