"""`hypertape up|down|status|demo`: Airflow and its warehouse on this machine, as `make` starts them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hypertape.cli.common import console
from hypertape.cli.listing import JsonOption, show
from hypertape.settings import load_settings


class Warehouse(StrEnum):
    """One's own, or what the demo has loaded."""

    OWN = "own"
    DEMO = "demo"


class Executor(StrEnum):
    """How Airflow runs tasks."""

    LOCAL = "local"
    CELERY = "celery"


def up(
    warehouse: Annotated[
        Warehouse, typer.Option(help="demo: what `hypertape demo` has loaded.")
    ] = Warehouse.OWN,
    executor: Annotated[Executor, typer.Option(help="celery: two workers and a broker.")] = Executor.LOCAL,
) -> None:
    """Start the warehouse and Airflow on this machine, with the project of the working directory.

    Returns when all is healthy. Example: `hypertape up --warehouse demo`
    """
    from hypertape.orchestration.standalone import start

    start(load_settings(), _say, warehouse=warehouse, executor=executor)


def down() -> None:
    """Stop what `hypertape up` or `make up` started.

    Example: `hypertape down`
    """
    from hypertape.orchestration.standalone import stop

    stop(load_settings(), _say)


def status(as_json: JsonOption = False) -> None:
    """Say what runs, where, and how its components are. Exits 1 unless something runs and is healthy.

    Example: `hypertape status`
    """
    from hypertape.orchestration.standalone import describe, is_up, status_rows, statuses

    settings = load_settings()
    if as_json:
        found = statuses(settings)
        show(status_rows(settings, found), as_json=True)
        up = is_up(found)
    else:
        up = describe(settings, _say)
    if not up:
        raise typer.Exit(1)


def demo(
    data: Annotated[Path | None, typer.Option(help="Load this CSV tree instead of the sample.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Airflow and the database running.")] = False,
) -> None:
    """Run the real DAGs once on sample data, or on a CSV tree of your own.

    Example: `hypertape demo --data files`
    """
    from hypertape.orchestration.demo import main

    raise typer.Exit(main([*(["--data", str(data)] if data else []), *(["--keep"] if keep else [])]))


def _say(text: str) -> None:
    console().print(text, highlight=False)
