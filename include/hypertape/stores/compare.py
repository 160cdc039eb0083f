"""Whether a store holds the bars of another: both are read side by side, a block of each in memory.

Two questions can be asked of a comparison. *Is every bar of the source in the target, equal?* is what a copy owes: a
store that gathers from several sources has bars of its own. *Do both hold the same?* is `hypertape verify`.

The adjusted close is compared where the source has one and the target can keep it (`KeepsAdjusted`); the digest does
not cover it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from hypertape.digest import CANONICAL_COLUMNS
from hypertape.frame import Bars, find_times, split_series
from hypertape.model import Series
from hypertape.stores import BATCH_ROWS, Block, KeepsAdjusted, Store
from hypertape.stores.series_stats import Account, Tally


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both accounts of one series, and the bars that are not the same, counted.

    `missing` are bars of the source that the target lacks, `different` bars with other prices or volumes there,
    `adjusted` bars of which only the adjusted close is another one, `extra` bars that only the target has.
    """

    source: Account
    target: Account
    missing: int = 0
    different: int = 0
    adjusted: int = 0
    extra: int = 0

    @property
    def holds(self) -> bool:
        """True when every bar of the source is in the target, equal."""
        return not (self.missing or self.different or self.adjusted)

    @property
    def equal(self) -> bool:
        """True when both hold the same bars."""
        return self.holds and not self.extra


def compare_series(
    source: Store,
    target: Store,
    series: Series,
    *,
    start: datetime | None,
    now: datetime,
    held: bool = True,
    rows: int = BATCH_ROWS,
) -> Comparison:
    """Compare the bars of a series from `start` on that pass the gate as of `now`, on both sides.

    `held` is False where the target is known to have none of it: it is not asked then. `rows` bounds a block.
    """
    ours = _Side(Tally(series, now), source.read(series, start=start, rows=rows))
    theirs = _Side(Tally(series, now), target.read(series, start=start, rows=rows) if held else iter(()))
    keeps = isinstance(target, KeepsAdjusted)
    missing = different = adjusted = extra = 0
    for one, other in _together(ours, theirs):
        there, at = find_times(one.time, other.time)
        ours_there, found = one.take(there), other.take(at[there])
        unequal = _differ(ours_there, found)
        missing += int((~there).sum())
        different += int(unequal.sum())
        adjusted += int((_adjusted_differs(ours_there, found) & ~unequal).sum()) if keeps else 0
        extra += len(other) - int(there.sum())
    return Comparison(ours.tally.account(), theirs.tally.account(), missing, different, adjusted, extra)


def same_bars(source: Account, target: Account, *, keeps_adjusted: bool) -> bool:
    """True when two accounts prove alone that both sides hold the same; when False, the bars have to be compared."""
    if source.sha256 != target.sha256:
        return False
    return not keeps_adjusted or source.adjusted.rows == 0 or source.adjusted == target.adjusted


@dataclass
class _Side:
    """The bars of one store that were read and not compared yet."""

    tally: Tally
    blocks: Iterator[Block]
    bars: Bars = field(default_factory=Bars.empty)
    more: bool = True

    def __post_init__(self) -> None:
        gated = self.tally.gated(self.blocks)
        self._pieces: Iterator[Bars] = (bars for block in gated for _, bars in split_series(block.bars))

    def fill(self) -> bool:
        """Read on where nothing is left. True when there is something."""
        if not len(self.bars) and self.more:
            piece = next(self._pieces, None)
            self.bars, self.more = (Bars.empty(), False) if piece is None else (piece, True)
        return len(self.bars) > 0

    def through(self, last: int) -> Bars:
        """Hand out what opens at or before `last` (µs)."""
        stop = int(np.searchsorted(self.bars.time, last, "right"))
        given, self.bars = self.bars.take(slice(stop)), self.bars.take(slice(stop, None))
        return given


def _together(one: _Side, other: _Side) -> Iterator[tuple[Bars, Bars]]:
    """Yield the stretches of both sides that cover the same span of time."""
    while one.fill() | other.fill():
        until = min(int(side.bars.time[-1]) for side in (one, other) if len(side.bars))
        yield one.through(until), other.through(until)


def _differ(one: Bars, other: Bars) -> npt.NDArray[np.bool_]:
    unequal = [getattr(one, name) != getattr(other, name) for name in CANONICAL_COLUMNS]
    return np.asarray(np.any(unequal, axis=0))


def _adjusted_differs(one: Bars, other: Bars) -> npt.NDArray[np.bool_]:
    return np.asarray(~np.isnan(one.adjusted_close) & (one.adjusted_close != other.adjusted_close))
