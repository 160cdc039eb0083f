"""`hypertape doctor`."""

from __future__ import annotations

import typer
from rich.text import Text

from hypertape.cli.common import now, warehouse_dsn
from hypertape.cli.listing import JsonOption, show_table
from hypertape.markets import all_markets
from hypertape.settings import load_settings

_COLOURS = {"ok": "green", "note": "cyan", "bad": "bold red"}


def doctor(as_json: JsonOption = False) -> None:
    """Compare the warehouse with what is declared; each finding names its mend. Exits 1 when something is broken."""
    from hypertape.steps.findings import watch
    from hypertape.warehouse.connect import connect
    from hypertape.warehouse.doctor import examine, schema_is_current

    at, settings, markets = now(), load_settings(), tuple(all_markets().values())
    with connect(warehouse_dsn()) as connection:
        current = schema_is_current(connection, markets)
    if current:
        watch(warehouse_dsn(), f"doctor__{at:%Y%m%dT%H%M%S}", now=at, settings=settings)
    with connect(warehouse_dsn()) as connection:
        # The clocks are compared, so the time that the look at everything took must not count.
        findings = examine(connection, markets, settings, now=now())
    rows = [
        (f.level if as_json else Text(f.level, _COLOURS[f.level]), f.subject, f.finding, f.mend)
        for f in findings
    ]
    show_table("hypertape doctor", ("level", "what", "finding", "mend"), rows, as_json=as_json)
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)
