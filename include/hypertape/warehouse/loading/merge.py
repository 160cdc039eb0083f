"""What a load changes in one series: stored bars and incoming bars become one series, and the rows to write.

Pure functions on arrays; no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertape.frame import Bars, Floats
from hypertape.indicators import LOOKBACK, enrich_many
from hypertape.model import STORED_INDICATOR_COLUMNS, VALUE_COLUMNS

Mask = npt.NDArray[np.bool_]

_TOGETHER = 100_000
"""Bars whose indicators are computed together: one pass over many short series costs far less than one over each."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A series after the load. Masks have its length.

    `added` are new bars, `changed` stored bars with other values; `affected` every bar whose stored row may have to be
    written: those two and the bars whose indicators see them.
    """

    bars: Bars
    added: Mask
    changed: Mask
    affected: Mask

    @property
    def touches(self) -> bool:
        """True when a price or volume differs from what is stored."""
        return bool(self.added.any() or self.changed.any())


@dataclass(frozen=True, slots=True)
class Writes:
    """The rows of one series to write: bars with their stored indicators. `added` and `changed` as in Merged."""

    bars: Bars
    indicators: dict[str, Floats]
    added: Mask
    changed: Mask


def join_bars(*parts: Bars) -> Bars:
    """Lay series parts end to end; they are in time order and do not overlap."""
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else Bars.empty()
    return Bars(
        *(np.concatenate([getattr(part, name) for part in filled]) for name in ("time", *VALUE_COLUMNS))
    )


def merge(stored: Bars, incoming: Bars) -> Merged:
    """Lay incoming bars over stored ones. Both are sorted with unique times.

    An incoming bar wins; where it carries no adjusted close the stored one stays.
    """
    if len(incoming) and (len(stored) == 0 or stored.time[-1] < incoming.time[0]):
        return _appended(stored, incoming)
    at = np.searchsorted(stored.time, incoming.time)
    hit = np.zeros(len(incoming), bool)
    inside = at < len(stored)
    hit[inside] = stored.time[at[inside]] == incoming.time[inside]
    incoming = _keep_adjusted(stored, incoming, at, hit)
    differs = np.zeros(len(incoming), bool)
    differs[hit] = _differs(stored.take(at[hit]), incoming.take(hit))
    if hit.all() and len(stored) == len(incoming):
        return _merged(incoming, ~hit, differs, stored)
    kept = np.ones(len(stored), bool)
    kept[at[hit]] = False
    return _interleave(stored.take(kept), incoming, ~hit, differs, stored)


def writes(merged: Sequence[Merged]) -> list[Writes]:
    """Compute the rows to write of each series; the indicators of short ones together.

    A merged series must reach LOOKBACK bars before its first affected one, or start later than that.
    """
    found: list[Writes] = []
    group: list[tuple[Merged, _Stretch]] = []
    filled = 0
    for one in merged:
        stretch = _Stretch.of(one)
        if group and filled + stretch.stop - stretch.first > _TOGETHER:
            found += _writes(group)
            group, filled = [], 0
        group.append((one, stretch))
        filled += stretch.stop - stretch.first
    return found + _writes(group)


def _writes(group: Sequence[tuple[Merged, _Stretch]]) -> list[Writes]:
    if not group:
        return []
    bounds = np.cumsum([0, *(stretch.stop - stretch.first for _, stretch in group)]).tolist()
    close, volume = (
        np.concatenate([getattr(one.bars, name)[stretch.first : stretch.stop] for one, stretch in group])
        for name in ("close", "volume")
    )
    columns = enrich_many(close, volume, bounds)
    return [
        Writes(
            one.bars.take(stretch.rows),
            {name: columns[name][start:stop][stretch.inside] for name in STORED_INDICATOR_COLUMNS},
            one.added[stretch.rows],
            one.changed[stretch.rows],
        )
        for (one, stretch), (start, stop) in zip(group, pairwise(bounds), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What is computed of a series to write its affected rows: bars `first` to `stop`, `rows` of them are written.

    Rows that lie side by side are a slice, which copies nothing.
    """

    first: int
    stop: int
    rows: Any
    inside: Any

    @classmethod
    def of(cls, merged: Merged) -> _Stretch:
        positions = np.flatnonzero(merged.affected)
        if len(positions) == 0:
            return cls(0, 0, slice(0), slice(0))
        low, stop = int(positions[0]), int(positions[-1]) + 1
        first = max(low - LOOKBACK, 0)
        if len(positions) == stop - low:
            return cls(first, stop, slice(low, stop), slice(low - first, None))
        return cls(first, stop, positions, positions - first)


@dataclass(frozen=True, slots=True)
class Move:
    """How restated bars moved: `direction` up, down or mixed; `ratio` is the median of new over former.

    Of closes where one changed, else of adjusted closes; without either the ratio is None and the direction mixed.
    """

    direction: str
    ratio: float | None


def move_of(former: Bars, restated: Bars) -> Move:
    """Compare restated bars with what they were (same times)."""
    for name in ("close", "adjusted_close"):
        was, now = getattr(former, name), getattr(restated, name)
        moved = (was != now) & (was > 0) & (now > 0)
        if moved.any():
            ratios = now[moved] / was[moved]
            up, down = bool((ratios > 1).all()), bool((ratios < 1).all())
            return Move("up" if up else "down" if down else "mixed", float(np.median(ratios)))
    return Move("mixed", None)


_NOISE = 1e-6
"""Relative; vendors serve prices as single-precision floats whose last digits differ from answer to answer."""


def differing(stored: Bars, fetched: Bars) -> tuple[int, int]:
    """Of the bars both have, how many differ by more than noise, and how many there are.

    An adjusted close that the vendor leaves out does not count.
    """
    _, old, new = np.intersect1d(stored.time, fetched.time, assume_unique=True, return_indices=True)
    differs = np.zeros(len(old), bool)
    for name in VALUE_COLUMNS:
        was, now = getattr(stored, name)[old], getattr(fetched, name)[new]
        far = ~np.isclose(was, now, rtol=_NOISE, atol=0.0, equal_nan=True)
        differs |= far & ~np.isnan(now) if name == "adjusted_close" else far
    return int(differs.sum()), len(old)


def _keep_adjusted(stored: Bars, incoming: Bars, at: npt.NDArray[np.intp], hit: Mask) -> Bars:
    missing = hit & np.isnan(incoming.adjusted_close)
    if not missing.any():
        return incoming
    adjusted = incoming.adjusted_close.copy()
    adjusted[missing] = stored.adjusted_close[at[missing]]
    return Bars(
        incoming.time, incoming.open, incoming.high, incoming.low, incoming.close, incoming.volume, adjusted
    )


def _differs(old: Bars, new: Bars) -> Mask:
    result = np.zeros(len(old), bool)
    for name in VALUE_COLUMNS:
        a, b = getattr(old, name), getattr(new, name)
        result |= (a != b) & ~(np.isnan(a) & np.isnan(b))
    return result


def _interleave(kept: Bars, incoming: Bars, added: Mask, differs: Mask, stored: Bars) -> Merged:
    times = np.concatenate([kept.time, incoming.time])
    order = np.argsort(times, kind="stable")
    values = (np.concatenate([getattr(kept, n), getattr(incoming, n)])[order] for n in VALUE_COLUMNS)
    untouched = np.zeros(len(kept), bool)
    bars = Bars(times[order], *values)
    return _merged(
        bars, np.concatenate([untouched, added])[order], np.concatenate([untouched, differs])[order], stored
    )


def _appended(stored: Bars, incoming: Bars) -> Merged:
    """Nothing is laid over another: all that comes is new, and later than what is stored."""
    old = np.zeros(len(stored), bool)
    new = np.concatenate([old, np.ones(len(incoming), bool)])
    return Merged(join_bars(stored, incoming), new, np.zeros(len(new), bool), new)


def _merged(bars: Bars, added: Mask, changed: Mask, stored: Bars) -> Merged:
    moves = added.copy()  # the bars that indicators of later bars can see
    if changed.any():
        was = np.searchsorted(stored.time, bars.time[changed])
        moves[changed] = (stored.close[was] != bars.close[changed]) | (
            stored.volume[was] != bars.volume[changed]
        )
    return Merged(bars, added, changed, added | changed | _followed(moves))


def _followed(moves: Mask) -> Mask:
    """Bars that have a moving bar among their LOOKBACK predecessors or are one."""
    seen = np.cumsum(moves)
    before = np.zeros(len(moves), seen.dtype)
    before[LOOKBACK + 1 :] = seen[: -(LOOKBACK + 1)]
    return np.asarray(seen > before)
