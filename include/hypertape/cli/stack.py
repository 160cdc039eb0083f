"""`hypertape up|down|status|demo`: Airflow and its warehouse on this machine, as `make` starts them."""

from __future__ import annotations

import typer

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}
"""Options are those of what is started: `hypertape up -- --help` lists them."""


def up(context: typer.Context) -> None:
    """Start the warehouse and Airflow on this machine, with the project of the working directory.

    Example: `hypertape up --executor celery`; all options: `hypertape up -- --help`
    """
    raise typer.Exit(_standalone("up", context))


def down(context: typer.Context) -> None:
    """Stop what `hypertape up` or `make up` started.

    Example: `hypertape down`
    """
    raise typer.Exit(_standalone("down", context))


def status(context: typer.Context) -> None:
    """Say what runs. Exits 1 unless it is healthy.

    Example: `hypertape status`
    """
    raise typer.Exit(_standalone("status", context))


def demo(context: typer.Context) -> None:
    """Run the real DAGs once on sample data, or on a CSV tree of your own.

    Example: `hypertape demo --data files`; all options: `hypertape demo -- --help`
    """
    from hypertape.orchestration.demo import main

    raise typer.Exit(main(context.args))


def _standalone(verb: str, context: typer.Context) -> int:
    from hypertape.orchestration.standalone import main

    return main([verb, *context.args])
