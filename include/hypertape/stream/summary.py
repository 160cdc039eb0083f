"""What a stream did, feed by feed, for people and for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hypertape.errors import HypertapeError
from hypertape.stream.model import FeedGap
from hypertape.stream.outlet import Outlet


@dataclass
class FeedFigures:
    """What a feed brought. `last_tick` is the newest tick's time in microseconds."""

    ticks: int = 0
    rejected: int = 0
    gaps: int = 0
    filled: int = 0
    last_tick: int | None = None
    heard_at: int | None = None
    """When ticks last arrived, by our clock."""
    calendar: str = "24/7"
    live: bool = False
    state: str = "running"
    error: str | None = None


@dataclass
class Summary:
    """What a stream did, and the error it ends with if a feed failed."""

    feeds: dict[str, FeedFigures]
    buried: int = 0
    letters: int = 0
    bars: int = 0
    corrected: int = 0
    sinks: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: HypertapeError | None = None

    @property
    def dead_letters(self) -> int:
        """Records and ticks that went to `dead_letter`."""
        return max(self.letters, self.buried + sum(figures.rejected for figures in self.feeds.values()))

    def to_json(self) -> dict[str, Any]:
        """For `--json` and `stream_worker`."""
        return {
            "feeds": {name: asdict(figures) for name, figures in self.feeds.items()},
            "dead_letters": self.dead_letters,
            "bars": self.bars,
            "corrected_bars": self.corrected,
            "sinks": self.sinks,
        }


def sink_figures(outlets: Sequence[Outlet], websocket: Any) -> dict[str, dict[str, Any]]:
    """What each sink beside the database did. `websocket` is a WebSocketSink, or None."""
    sinks: dict[str, dict[str, Any]] = {
        outlet.name: {
            "passed": outlet.passed,
            "waiting": outlet.waiting,
            "dropped": outlet.dropped,
            "error": outlet.error,
        }
        for outlet in outlets
    }
    if websocket is not None:
        sinks["websocket"] = {"clients": websocket.clients, "dropped": websocket.dropped}
    return sinks


def gap_line(gap: FeedGap) -> str:
    """A gap in a sentence of the log."""
    numbers = f", after {gap.last_sequence}" if gap.last_sequence is not None else ""
    numbers += f" before {gap.first_sequence}" if gap.first_sequence is not None else ""
    return f"{gap.source}: a gap ({gap.reason}) of {gap.symbol or 'the whole feed'}{numbers}"
