"""What a run is: its market, interval, source, window and mode, and the batches it is cut into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window
from hypertape.sources import SourceConfig

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


def silent(step: str, done: int, total: int) -> None:
    """Tell nobody how far a run is: the usual `on_step`."""


CHECKS, REREADS = 800_000, 900_000
"""From here on batches are numbered that are fetched beside the plan: older bars to compare with, whole histories."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tickers that share a window."""

    index: int
    tickers: tuple[str, ...]
    window: Window

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"index": self.index, "tickers": list(self.tickers), "window": self.window.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Batch:
        """Read what `to_json` wrote."""
        return cls(value["index"], tuple(value["tickers"]), Window.from_json(value["window"]))


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What every step of a run must know: the plan without its batches.

    `mode` is how bars meet those that are stored: `regular` writes what differs, but a source that stands in for the
    first one changes no final bar of others; `overwrite` writes whatever differs; `missing` keeps what is stored and
    final; `restate` takes prices at any scale. `reason` says why the run is made and lands in `load.reason`.
    """

    run_id: str
    market: Market
    interval: Interval
    source: SourceConfig
    window: Window
    mode: str = "regular"
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the market travels as its code."""
        return {
            "run_id": self.run_id,
            "market": self.market.code,
            "interval": self.interval.value,
            "source": asdict(self.source),
            "window": self.window.to_json(),
            "mode": self.mode,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunSpec:
        """Read what `to_json` wrote; other keys are ignored, mode and reason may be absent."""
        return cls(
            value["run_id"],
            get_market(value["market"]),
            Interval(value["interval"]),
            SourceConfig.from_json(value["source"]),
            Window.from_json(value["window"]),
            value.get("mode", "regular"),
            value.get("reason"),
        )
