"""`hypertape migrate`: SQLite files into the warehouse."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import (
    START,
    TickersOption,
    console,
    now,
    progress,
    split,
    table,
    warehouse,
    warehouse_dsn,
    write_page,
)
from hypertape.cli.copy_output import NO_TICKER, SEE_THEM, show_after_load
from hypertape.cli.listing import JsonOption, show, show_table
from hypertape.errors import BatchRefused
from hypertape.settings import load_settings

if TYPE_CHECKING:
    from hypertape.steps.migration.run import Inspected, Migrated

app = typer.Typer(no_args_is_help=True, help="Bring SQLite files into the warehouse, resumable and proven.")


@app.command()
def sqlite(
    files: Annotated[list[Path], typer.Argument(help="SQLite files, or directories that hold some.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would be copied.")
    ] = False,
    schema: Annotated[str, typer.Option(help="auto, dual_write or stockula.")] = "auto",
    tables: Annotated[
        str | None, typer.Option(help="Tables, separated by commas; default: all that are known.")
    ] = None,
    symbols: TickersOption = None,
    start_date: Annotated[
        str | None, typer.Option(*START, help="First instant (UTC) to copy; default: all there is.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that copy.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Copy again although the same files were migrated.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare both sides row by row afterwards.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Inspect, plan, copy, verify, refresh and report. Started again after a kill it copies only what is open."""
    from hypertape.steps.migration.run import migrate

    with warehouse():
        pass  # the schema is current
    at = now()
    with progress() as on_step:
        done = migrate(
            warehouse_dsn(), [str(file) for file in files], now=at, settings=load_settings(),
            run_id=f"migrate__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}",
            schema=schema, check=verify, workers=workers,
            on_inspected=(lambda _: None) if as_json else _show_files, on_step=on_step,
            tables=split(tables), symbols=split(symbols), start_date=start_date, dry_run=dry_run, force=force,
        )  # fmt: skip
    if not show([done.to_json()], as_json=as_json):
        _show(done)
    if rows := sum(done.reported.refused_rules.get(rule, 0) for rule in NO_TICKER):
        raise BatchRefused(
            f"{rows} rows are of tickers that can be none; all else arrived", next_step=SEE_THEM
        )
    if done.error is not None:
        raise done.error


@app.command()
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    migration: Annotated[int | None, typer.Option(help="A migration's id; default: the newest.")] = None,
) -> None:
    """Write one self-contained HTML file about a migration."""
    from hypertape.reports.pages import migration_report

    with warehouse() as connection:
        html = migration_report(connection, migration)
    write_page(output, html)


@app.command("list")
def list_migrations(as_json: JsonOption = False) -> None:
    """List the migrations and how far each is."""
    from hypertape.warehouse.migration_ledger import rows

    with warehouse() as connection:
        found = rows(connection, "migration_list")
    columns = ("id", "run", "state", "units", "done", "rows read", "started", "files")
    lines = [
        (
            row["migration_id"], row["run_id"], "rehearsal" if row["dry_run"] else row["state"], row["units"],
            row["done"], row["rows_read"], f"{row['started_at']:%Y-%m-%d %H:%M}",
            ", ".join(file["path"] for file in row["files"]),
        )
        for row in found
    ]  # fmt: skip
    show_table("migrations", columns, lines, as_json=as_json)


def _show_files(inspected: Inspected) -> None:
    """What of the files will not arrive as it is."""
    problems = [
        (report.path.name, each.table, each.name, each.rows, "; ".join(each.sample[:3]))
        for report in inspected.reports
        for each in report.problems
    ]
    if problems:
        columns = ("file", "table", "problem", "rows", "for example")
        console().print(table("what will not arrive as it is", columns, problems))
    for report in inspected.reports:
        if report.schema == "unknown":
            said = f"not taken: {report.path.name} (no table of it is known)"
            console().print(said, markup=False, highlight=False)
        elif unknown := ", ".join(f"{each.name} ({each.rows} rows)" for each in report.unknown):
            said = f"{report.path.name}, tables not migrated: {unknown}"
            console().print(said, markup=False, highlight=False)


def _show(done: Migrated) -> None:
    planned, totals, rules = done.planned, done.reported.totals, done.reported.refused_rules
    names = ("units", "done", "planned", "rows_read", "inserted", "updated", "unchanged", "refused", "equal")
    rows = [(name.replace("_", " "), getattr(totals, name)) for name in names]
    rows.append(("rollup buckets refreshed", done.buckets))
    screen = console()
    screen.print(table(f"{planned.run_id} (migration {planned.migration_id})", ("what", "count"), rows))
    if planned.dry_run:
        screen.print("A rehearsal: nothing was copied. Run it again without --dry-run.", highlight=False)
    elif planned.resumed and not planned.open_units:
        screen.print("The same files were migrated before: nothing was copied.", highlight=False)
    if planned.unknown_symbols:
        unknown = ", ".join(planned.unknown_symbols)
        screen.print(f"in no chosen table, left out: {unknown}", markup=False, highlight=False)
    if totals.refused:
        found = ", ".join(f"{rule} {rows}" for rule, rows in rules.items())
        where = "that would be refused" if planned.dry_run else "in quarantine"
        screen.print(
            f"rows that are no bars, {where}: {totals.refused} ({found})", markup=False, highlight=False
        )
    seconds = ", ".join(f"{name} {taken:.2f}" for name, taken in done.seconds.items())
    screen.print(f"seconds: {seconds}", highlight=False)
    show_after_load(done.after)
    screen.print(f"report: {done.reported.report}", markup=False, highlight=False)
