"""Rows on standard output: a table for people, JSON or CSV for scripts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hypertape.cli.common import console, table
from hypertape.errors import BadInput
from hypertape.model import format_instant

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a JSON array of objects instead of a table; [] for no rows.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV with a header instead of a table.")]


def show(rows: Iterable[Mapping[str, Any]], *, as_json: bool, as_csv: bool = False) -> bool:
    """Write the rows in the form that was asked for, as they come; False when neither was.

    Instants are ISO 8601 UTC. The JSON is one array, an object a line. No rows are `[]`, or no CSV at all.
    """
    if as_json and as_csv:
        raise BadInput("--json and --csv exclude each other", next_step="Choose one.")
    if as_json:
        _write_json(rows)
    elif as_csv:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(sys.stdout, list(row))
                writer.writeheader()
            writer.writerow({name: _plain(value) for name, value in row.items()})
    return as_json or as_csv


def show_table(
    title: str, columns: Sequence[str], lines: Sequence[Sequence[Any]], *, as_json: bool = False
) -> None:
    """Print lines as a table, or as JSON whose names are the columns', blanks as underscores."""
    names = [column.replace(" ", "_") for column in columns]
    if not show((dict(zip(names, line, strict=True)) for line in lines), as_json=as_json):
        console().print(table(title, columns, lines))


def _write_json(rows: Iterable[Mapping[str, Any]]) -> None:
    lead = "["
    for row in rows:
        text = json.dumps({name: _plain(value) for name, value in row.items()}, default=str)
        typer.echo(lead + text, nl=False)
        lead = ",\n"
    typer.echo("[]" if lead == "[" else "]")


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    value = value.astimezone(UTC)
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value.microsecond else format_instant(value)
