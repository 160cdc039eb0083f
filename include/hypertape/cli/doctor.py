"""`hypertape doctor`."""

from __future__ import annotations

import typer

from hypertape.cli.common import console, now, table, warehouse_dsn
from hypertape.markets import all_markets
from hypertape.settings import load_settings


def doctor() -> None:
    """Compare the warehouse with what is declared; each finding names its mend. Exits 1 when something is broken."""
    from hypertape.warehouse.connect import connect
    from hypertape.warehouse.doctor import examine

    with connect(warehouse_dsn()) as connection:
        findings = examine(connection, tuple(all_markets().values()), load_settings(), now=now())
    mark = {"ok": "[green]ok[/]", "note": "[cyan]note[/]", "bad": "[bold red]bad[/]"}
    rows = [(mark[f.level], f.subject, f.finding, f.mend) for f in findings]
    console().print(table("hypertape doctor", ("", "what", "finding", "mend"), rows))
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)
