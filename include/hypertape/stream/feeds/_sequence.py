"""What a numbered feed missed: numbers that were left out, until they come after all."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypertape.stream.model import Event, FeedGap, GapFilled, Tick

MOST_GAPS = 1000
"""Gaps of one numbering that are watched for what fills them; older ones wait for a replay."""


class Missing:
    """The numbers of one gap that have not come yet, as spans."""

    def __init__(self, first: int, last: int) -> None:
        self._spans = [(first, last)]

    def __bool__(self) -> bool:
        return bool(self._spans)

    def take(self, number: int) -> bool:
        """Note that a number came; True when it had been missing."""
        for place, (first, last) in enumerate(self._spans):
            if first <= number <= last:
                left = [(first, number - 1), (number + 1, last)]
                self._spans[place : place + 1] = [span for span in left if span[0] <= span[1]]
                return True
        return False


@dataclass
class _Numbering:
    highest: int
    time: int
    open: list[tuple[FeedGap, Missing]] = field(default_factory=list)


class Sequences:
    """Watches the numbers of a feed's ticks.

    `numbering` says who counts: `symbol` (each symbol from its own first number), `feed` (one count over all), or
    `none`. A number that is not above the highest is a repetition, or fills a gap. Number 0 or 1 with a later
    time is a count that began anew: what was between nobody can know.
    """

    def __init__(self, source: str, numbering: str = "symbol") -> None:
        self._source, self._by = source, numbering
        self._counts: dict[str | None, _Numbering] = {}

    def see(self, tick: Tick) -> list[Event]:
        """Return what a tick reveals: a gap before it, or one that it fills."""
        if self._by == "none":
            return []
        key = tick.symbol if self._by == "symbol" else None
        count = self._counts.get(key)
        if count is None:
            self._counts[key] = _Numbering(tick.sequence, tick.time)
            return []
        if tick.sequence > count.highest:
            return self._forward(key, count, tick)
        if tick.sequence <= 1 and tick.time > count.time:
            count.highest, count.time = tick.sequence, tick.time
            count.open.clear()
            return []
        return _fill(count, tick.sequence) if count.open else []

    def _forward(self, key: str | None, count: _Numbering, tick: Tick) -> list[Event]:
        found: list[Event] = []
        if tick.sequence > count.highest + 1:
            start, end = sorted((count.time, tick.time))  # numbers need not follow the times
            gap = FeedGap(self._source, key, "sequence", start, end, count.highest, tick.sequence)
            count.open.append((gap, Missing(count.highest + 1, tick.sequence - 1)))
            del count.open[:-MOST_GAPS]
            found.append(gap)
        count.highest, count.time = tick.sequence, tick.time
        return found


def _fill(count: _Numbering, number: int) -> list[Event]:
    for place, (gap, missing) in enumerate(count.open):
        if missing.take(number):
            if missing:
                return []
            del count.open[place]
            return [GapFilled(gap, "late")]
    return []
