"""Whether a store holds the bars of another: one comparison for copies, migrations, mirrors and rollback.

What a copy has read is compared by its digests first (`prove`); where these differ both sides are read side by side, a
block of each in memory. Two questions can be asked of a comparison. *Is every bar of the source in the target, equal?*
is what a copy owes: a store that gathers from several sources has bars of its own. *Do both hold the same?* is
`hypertape verify`.

The adjusted close is compared where the source has one and the target can keep it (`KeepsAdjusted`); `digest` does not
cover it, `adjusted` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertape.digest import CANONICAL_COLUMNS, RunningDigest, SeriesDigest
from hypertape.frame import Bars, Floats, Micros, find_times, instant, split_series
from hypertape.model import Series, format_instant
from hypertape.stores import BATCH_ROWS, Block, KeepsAdjusted, Store, SumsUp
from hypertape.stores.series_stats import GatedSeries, SeriesStats, stats_of

SAMPLES = 5
"""Bars that are not the same and are shown."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SeriesComparison:
    """Both sides of one series, and the bars that are not the same, counted.

    `missing` are bars of the source that the target lacks, `different` bars with other prices or volumes there,
    `adjusted` bars of which only the adjusted close is another one, `extra` bars that only the target has. `matched` is
    the digest over the target's bars of the source's times. `samples` shows some of what is missing or different.
    """

    source: SeriesStats
    target: SeriesStats
    matched: SeriesDigest
    missing: int = 0
    different: int = 0
    adjusted: int = 0
    extra: int = 0
    samples: tuple[Mapping[str, Any], ...] = ()

    @property
    def holds(self) -> bool:
        """True when every bar of the source is in the target, equal."""
        return not (self.missing or self.different or self.adjusted)

    @property
    def equal(self) -> bool:
        """True when both hold the same bars."""
        return self.holds and not self.extra


def prove(
    source: Store,
    target: Store,
    series: Series,
    copied: SeriesStats | None,
    *,
    start: datetime | None,
    now: datetime,
    within: bool = False,
) -> SeriesComparison:
    """Compare a series with what a copy read of it, and bar by bar where that does not settle it (or is None)."""
    if copied is not None:
        stored = _sums(target, series, start, now)
        if same_bars(copied, stored, keeps_adjusted=isinstance(target, KeepsAdjusted)):
            return SeriesComparison(copied, stored, stored.digest)
    return compare_series(source, target, series, start=start, now=now, within=within)


def _sums(target: Store, series: Series, start: datetime | None, now: datetime) -> SeriesStats:
    """What a copy's digests are held against. Ungated where the store can: what equals bars that passed, passes."""
    if isinstance(target, SumsUp):
        return SeriesStats(*target.sums(series, start=start))
    return stats_of(target, series, start=start, now=now)


def compare_series(
    source: Store,
    target: Store,
    series: Series,
    *,
    start: datetime | None,
    now: datetime,
    held: bool = True,
    within: bool = False,
    rows: int = BATCH_ROWS,
) -> SeriesComparison:
    """Compare the bars of a series from `start` on that pass the gate as of `now`, on both sides.

    `held` is False where the target is known to have none of it: it is not asked then. With `within` the target is
    read between the source's first and last bar only. `rows` bounds a block.
    """
    ours = _OpenSeries(series, now, source.read(series, start=start, rows=rows))
    if within and held:
        held = ours.fill()
        start = instant(int(ours.bars.time[0])) if held else start
    theirs = _OpenSeries(series, now, target.read(series, start=start, rows=rows) if held else iter(()))
    found = _Differences(series, isinstance(target, KeepsAdjusted))
    for one, other in _pairs(ours, theirs):
        if within and not len(one) and not ours.fill():
            break
        found.add(one, other)
    return found.result(ours.gated.stats(), theirs.gated.stats())


def same_bars(source: SeriesStats, target: SeriesStats, *, keeps_adjusted: bool) -> bool:
    """True when the digests prove alone that both sides hold the same; when False, the bars have to be compared."""
    if source.sha256 != target.sha256:
        return False
    ours, theirs = source.adjusted, target.adjusted
    return not keeps_adjusted or ours.rows == 0 or (ours.rows, ours.sha256) == (theirs.rows, theirs.sha256)


@dataclass
class _Differences:
    """What a comparison has found so far."""

    series: Series
    keeps_adjusted: bool
    matched: RunningDigest = field(default_factory=RunningDigest)
    missing: int = 0
    different: int = 0
    adjusted: int = 0
    extra: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, one: Bars, other: Bars) -> None:
        """Compare the bars of both sides that cover one span of time."""
        there, at = find_times(one.time, other.time)
        ours, found = one.take(there), other.take(at[there])
        self.matched.add(found.time, [getattr(found, name) for name in CANONICAL_COLUMNS])
        same = np.ones(len(ours), np.bool_)
        for name in CANONICAL_COLUMNS:
            unequal = getattr(ours, name) != getattr(found, name)
            self._note(name, unequal & same, ours.time, getattr(ours, name), getattr(found, name))
            same &= ~unequal
        self.different += int((~same).sum())
        if self.keeps_adjusted:
            unequal = same & ~np.isnan(ours.adjusted_close) & (ours.adjusted_close != found.adjusted_close)
            self._note("adjusted_close", unequal, ours.time, ours.adjusted_close, found.adjusted_close)
            self.adjusted += int(unequal.sum())
        self._note("missing", ~there, one.time)
        self.missing += int((~there).sum())
        self.extra += len(other) - len(found)

    def result(self, source: SeriesStats, target: SeriesStats) -> SeriesComparison:
        """The comparison as a whole."""
        return SeriesComparison(
            source, target, self.matched.result(self.series.ticker), self.missing, self.different, self.adjusted,
            self.extra, tuple(self.samples),
        )  # fmt: skip

    def _note(
        self, problem: str, hit: Mask, time: Micros, ours: Floats | None = None, theirs: Floats | None = None
    ) -> None:
        for position in np.flatnonzero(hit)[: max(SAMPLES - len(self.samples), 0)]:
            sample = {
                "ticker": self.series.ticker,
                "time": format_instant(instant(int(time[position]))),
                "problem": problem,
            }
            if ours is not None and theirs is not None:
                sample |= {
                    "source": repr(float(ours[position])),
                    "warehouse": repr(float(theirs[position])),
                }
            self.samples.append(sample)


class _OpenSeries:
    """The bars of one store that were read and not compared yet."""

    def __init__(self, series: Series, now: datetime, blocks: Iterator[Block]) -> None:
        self.gated = GatedSeries(series, now)
        self.bars = Bars.empty()
        self._more = True
        self._pieces = (bars for block in self.gated.blocks(blocks) for _, bars in split_series(block.bars))

    def fill(self) -> bool:
        """Read on where nothing is left. True when there is something."""
        if not len(self.bars) and self._more:
            piece = next(self._pieces, None)
            self.bars, self._more = (Bars.empty(), False) if piece is None else (piece, True)
        return len(self.bars) > 0

    def through(self, last: int) -> Bars:
        """Hand out what opens at or before `last` (µs)."""
        stop = int(np.searchsorted(self.bars.time, last, "right"))
        given, self.bars = self.bars.take(slice(stop)), self.bars.take(slice(stop, None))
        return given


def _pairs(one: _OpenSeries, other: _OpenSeries) -> Iterator[tuple[Bars, Bars]]:
    """Yield the bars of both sides that cover the same span of time."""
    while one.fill() | other.fill():
        until = min(int(side.bars.time[-1]) for side in (one, other) if len(side.bars))
        yield one.through(until), other.through(until)
