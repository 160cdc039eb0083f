"""Whether incoming prices are on the scale of the stored ones: ratios of closes, and splits that explain them.

Pure functions on arrays; no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hypertape.errors import SuspectScale
from hypertape.frame import Bars, Floats

_SCALE_NEIGHBOURS = 20
_SCALE_REACH = 90 * 86_400_000_000
"""Bars further apart (µs) are no neighbours: Bitcoin rose eightyfold within half a year."""
_SCALES = (1000.0, 100.0, 0.01, 0.001)
_SCALE_TOLERANCE = 1.6
"""A ratio within this factor of a scale is suspect; real splits of 1:60 and more are rarer than wrong units."""


def guard_scale(stored: Bars, incoming: Bars) -> None:
    """Raise SuspectScale when the incoming closes look ×1000 or ÷100 (or the reverse) of the stored neighbours.

    Bars of the same times are compared where there are any; else the nearest stored bars on each side.
    """
    if len(stored) and len(incoming) and _of_one_scale(stored, incoming):
        return
    ratio = price_ratio(stored, incoming)
    for scale in _SCALES:
        if scale / _SCALE_TOLERANCE < ratio < scale * _SCALE_TOLERANCE:
            raise SuspectScale(
                f"The prices are about ×{ratio:.4g} of the stored neighbours, close to ×{scale:g}"
            )


@dataclass(frozen=True, slots=True)
class Split:
    """`ratio` new shares for one old share, from `time` (µs) on."""

    time: int
    ratio: float


def explained(stored: Bars, incoming: Bars, splits: Sequence[Split]) -> bool:
    """True when the incoming closes are about the stored ones once these splits are applied to all bars before them."""
    factor = np.ones(len(stored))
    for split in splits:
        factor[stored.time < split.time] /= split.ratio
    applied = replace(stored, close=stored.close * factor)
    return 1 / _SCALE_TOLERANCE < price_ratio(applied, incoming) < _SCALE_TOLERANCE


def price_ratio(stored: Bars, incoming: Bars) -> float:
    """Incoming over stored closes: the median over bars of the same times, else over the nearest neighbours; else 1."""
    if len(stored) == 0 or len(incoming) == 0:
        return 1.0
    ratio = _overlap_ratio(stored, incoming)
    return _edge_ratio(stored, incoming) if ratio is None else ratio


def _of_one_scale(stored: Bars, incoming: Bars) -> bool:
    """True where no choice of closes on either side has a ratio that `_SCALES` could mean; settles nearly all loads."""
    most = min(scale for scale in _SCALES if scale > 1) / _SCALE_TOLERANCE
    low, high = stored.close.min(), stored.close.max()
    return bool(low > 0 and incoming.close.max() < most * low and incoming.close.min() * most > high)


def _overlap_ratio(stored: Bars, incoming: Bars) -> float | None:
    _, old, new = np.intersect1d(stored.time, incoming.time, assume_unique=True, return_indices=True)
    return _ratio(incoming.close[new], stored.close[old]) if len(old) else None


def _edge_ratio(stored: Bars, incoming: Bars) -> float:
    """The ratio at the side where the stored bars lie nearest; 1 when none lies near."""
    first, last = incoming.time[0], incoming.time[-1]
    before = stored.take((stored.time < first) & (stored.time >= first - _SCALE_REACH))
    after = stored.take((stored.time > last) & (stored.time <= last + _SCALE_REACH))
    if not len(before) and not len(after):
        return 1.0
    if not len(after) or (len(before) and first - before.time[-1] <= after.time[0] - last):
        opening = incoming.close[incoming.time <= first + _SCALE_REACH]
        return _ratio(opening[:_SCALE_NEIGHBOURS], before.close[-_SCALE_NEIGHBOURS:])
    closing = incoming.close[incoming.time >= last - _SCALE_REACH]
    return _ratio(closing[-_SCALE_NEIGHBOURS:], after.close[:_SCALE_NEIGHBOURS])


def _ratio(new: Floats, old: Floats) -> float:
    denominator = float(np.median(old))
    return float(np.median(new)) / denominator if denominator > 0 else 1.0
