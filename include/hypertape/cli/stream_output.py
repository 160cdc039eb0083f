"""How `hypertape stream` shows what it found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hypertape.cli.common import console, table
from hypertape.model import format_instant

if TYPE_CHECKING:
    from hypertape.stream.gaps import KnownGap
    from hypertape.stream.letters import DeadLetter


def plain(value: Any) -> str:
    """What JSON has no word for: instants as ISO 8601, bytes as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def shown_instant(value: datetime | None) -> str | None:
    """An instant for people."""
    return None if value is None else format_instant(value)


def show_gaps(rows: Sequence[KnownGap]) -> None:
    """Print what feeds know that they missed."""
    columns = ("id", "feed", "symbol", "reason", "from", "to", "after", "before", "closed")
    lines = [
        (r.gap_id, r.source, r.symbol or "all", r.reason, shown_instant(r.start_time), shown_instant(r.end_time),
         r.last_sequence, r.first_sequence, r.closed_by)
        for r in rows
    ]  # fmt: skip
    console().print(table("feed gaps", columns, lines))


def show_letters(rows: Sequence[DeadLetter]) -> None:
    """Print what nobody could store, and why."""
    columns = ("id", "feed", "kind", "times", "last", "error", "record")
    lines = [
        (r.letter_id, r.source, r.kind, r.times, shown_instant(r.last_at), r.error,
         r.record[:200].decode("utf-8", "backslashreplace"))
        for r in rows
    ]  # fmt: skip
    console().print(table("dead letters", columns, lines), markup=False)


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
