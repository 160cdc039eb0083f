"""Rows as JSON or CSV on standard output, for scripts."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hypertape.errors import BadInput
from hypertape.model import format_instant

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV with a header.")]


def show(rows: Iterable[Mapping[str, Any]], *, as_json: bool, as_csv: bool) -> bool:
    """Write the rows in the form that was asked for; False when neither was. Instants as ISO 8601 UTC."""
    if as_json and as_csv:
        raise BadInput("--json and --csv exclude each other", next_step="Choose one.")
    if as_json:
        for row in rows:
            typer.echo(json.dumps({name: _plain(value) for name, value in row.items()}))
    elif as_csv:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(sys.stdout, list(row))
                writer.writeheader()
            writer.writerow({name: _plain(value) for name, value in row.items()})
    return as_json or as_csv


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    value = value.astimezone(UTC)
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value.microsecond else format_instant(value)
