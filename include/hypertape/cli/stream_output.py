"""How `hypertape stream` shows what it found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypertape.cli.common import console, table
from hypertape.model import format_instant


def plain(value: Any) -> str:
    """What JSON has no word for: instants as ISO 8601, bytes as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def shown_instant(value: datetime | None) -> str | None:
    """An instant for people."""
    return None if value is None else format_instant(value)


def show_summary(summary: Any) -> None:
    """Print what a stream did."""
    lines = [
        (name, of.ticks, of.rejected, of.gaps, of.filled, of.error or of.state)
        for name, of in summary.feeds.items()
    ]
    console().print(table("feeds", ("feed", "ticks", "no ticks", "gaps", "filled", "state"), lines))
    for name, figures in summary.sinks.items():
        console().print(
            f"{name}: {', '.join(f'{key} {value}' for key, value in figures.items())}", highlight=False
        )


def show_status(found: dict[str, Any]) -> None:
    """Print how the streams do."""
    lines = []
    for stream in found["streams"]:
        figures = stream["figures"]
        writer = figures.get("writer") or {}
        lines.append(
            (stream["name"], "alive" if stream["alive"] else "gone", ", ".join(figures.get("feeds", {})),
             figures.get("rate"), figures.get("lag_seconds"), writer.get("queued"), writer.get("spool_bytes"))
        )  # fmt: skip
    columns = ("stream", "state", "feeds", "ticks/s", "lag s", "queued", "spooled bytes")
    console().print(table("streams", columns, lines))
    console().print(
        f"newest tick {shown_instant(found['newest_tick']) or 'none'} · open gaps {found['open_gaps']} · dead letters "
        f"{found['dead_letters']} · ranges that wait for their candles {found['pending_ranges']} · bytes spooled on "
        f"this machine {found['spool_bytes_here']}",
        highlight=False,
    )
