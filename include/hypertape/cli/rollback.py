"""`hypertape rollback`: which store is the truth, and switching it without losing anything."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from hypertape.cli.common import console, now, progress, warehouse, warehouse_dsn
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.model import format_instant
from hypertape.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, help="Cut over between SQLite and the warehouse, and back, losing nothing."
)

StoreArgument = Annotated[
    str | None, typer.Argument(help="sqlite:DIR_OR_FILE; default: that of the last cut-over.")
]
ByOption = Annotated[str | None, typer.Option(help="Who decides; default: the user.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why, for the record.")]


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Say which store is the truth, since when, and by whose decision; then the decisions before."""
    from hypertape.steps.rollback import status as run

    with warehouse():
        pass
    found = run(warehouse_dsn())
    screen = console()
    if not found and not as_json:
        screen.print("The warehouse is the truth; there was no cut-over.", highlight=False)
        return
    if not as_json:
        standing = found[0]
        screen.print(
            f"{standing.truth} is the truth since {format_instant(standing.since)} ({standing.address}).",
            highlight=False,
        )
    columns = ("truth", "since", "by", "reason", "newest load", "carried over")
    rows = [
        (
            each.truth,
            format_instant(each.since),
            each.decided_by,
            each.reason,
            each.load_id,
            _facts(each.synced),
        )
        for each in found
    ]
    show_table("decisions", columns, rows, as_json=as_json)


@app.command("to-sqlite")
def to_sqlite(
    store: StoreArgument = None, by: ByOption = None, reason: ReasonOption = None, as_json: JsonOption = False
) -> None:
    """Carry everything written since the cut-over back into SQLite, prove it, and make SQLite the truth.

    Where the warehouse is reached through a pooler it needs HYPERTAPE_DIRECT_DATABASE_URL, the server itself: one
    connection holds the loads while another one reads.
    """
    from hypertape.steps.rollback import to_sqlite as run

    _switch("to_sqlite", run, store, by, reason, as_json, dsn=load_settings().direct_database_url)


@app.command("to-warehouse")
def to_warehouse(
    store: StoreArgument = None,
    by: ByOption = None,
    reason: ReasonOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that copy.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Migrate what SQLite holds, prove it, and make the warehouse the truth: the cut-over."""
    from hypertape.steps.rollback import to_warehouse as run

    _switch("to_warehouse", partial(run, workers=workers), store, by, reason, as_json)


def _switch(
    verb: str,
    run: Callable[..., dict[str, Any]],
    store: str | None,
    by: str | None,
    reason: str | None,
    as_json: bool,
    dsn: str | None = None,
) -> None:
    """Make another side the truth and show what that did. `dsn`: another way to the warehouse than the usual one."""
    with warehouse():
        pass  # the schema is current
    at = now()
    run_id = f"{verb}__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    with progress() as on_step:
        done = run(
            dsn or warehouse_dsn(), store, by=by or getpass.getuser(), now=at, run_id=run_id, reason=reason,
            settings=load_settings(), on_step=on_step,
        )  # fmt: skip
    if not show([done], as_json=as_json):
        _show(done)


def _show(done: dict[str, Any]) -> None:
    word = "is the truth now" if done["switched"] else "was the truth already, nothing was done"
    screen = console()
    screen.print(f"{done['truth']} {word} ({done['address']}).", highlight=False)
    if done["switched"]:
        counted = {
            name: count for name, count in done.items() if isinstance(count, int) and name != "switched"
        }
        screen.print(f"carried over: {_facts(counted)}", highlight=False)


def _facts(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
