"""Gaps on the terminal: one a line, what was found, what will be asked for, and what rests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from hypertape.cli.common import console, table
from hypertape.model import format_instant
from hypertape.warehouse.gaps.healing import resting_line, sessions_line

if TYPE_CHECKING:
    from hypertape.steps.heal import HealPlan


def line(row: Mapping[str, Any]) -> tuple[object, ...]:
    """A gap as a row of the list."""
    reason = f"{row['reason']}, refused" if row["refused"] else row["reason"]
    state = reason if row["closed_at"] is None else f"{row['closed_reason']} (was {reason})"
    return (
        row["market"],
        row["interval"],
        row["ticker"],
        format_instant(row["start_time"]),
        format_instant(row["end_time"]),
        row["sessions"],
        state,
        row["attempts"] or "",
        row["detail"],
    )


def count_line(row: Mapping[str, Any]) -> tuple[object, ...]:
    """What a look at one market and interval found."""
    sessions = sessions_line(row["open"], row["refused"])
    return (row["market"], row["interval"], row["opened"], row["closed"], row["changed"], sessions)


def show_plan(planned: HealPlan, *, as_json: bool) -> None:
    """Print what healing would ask for."""
    if as_json:
        typer.echo(json.dumps(planned.to_json()))
        return
    rows = [
        (
            ", ".join(batch.tickers[:5]) + (" …" if len(batch.tickers) > 5 else ""),
            len(batch.tickers),
            format_instant(batch.window.start),
            format_instant(batch.window.end),
        )
        for batch in planned.batches
    ]
    title = f"{planned.gaps} gaps, {planned.sessions} sessions to ask for"
    console().print(table(title, ("tickers", "count", "from", "to"), rows))
    say_resting(planned.resting)


def say_resting(resting: int) -> None:
    """Say how many gaps are asked for no more, and what to do about it."""
    if resting:
        console().print(resting_line(resting), highlight=False)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON takes it."""
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
