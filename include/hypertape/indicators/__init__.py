"""Indicators of a series. One module here is one family: it defines `INDICATOR`, and there is no second list.

Pure functions on float64 arrays of ONE series in time order; NaN stands for NULL. A value depends only on
the bars of its own lookback, so any window computed with `LOOKBACK` earlier bars equals the same slice of a
full run bit for bit, and so does any way of cutting a series into blocks.

Those that are asked for by a reader (`indicators_at_read`: ema26, and what a project adds) are never stored.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from graphlib import TopologicalSorter

import numpy as np

from hypertape.errors import BadInput
from hypertape.indicators import averages
from hypertape.indicators._indicator import Floats, Indicator, RequestedIndicator
from hypertape.indicators._requested import columns_at_read, indicators_at_read, lookback_at_read, requested
from hypertape.model import AVERAGE_COLUMNS, INDICATOR_COLUMNS, PREVIOUS_COLUMNS

__all__ = [
    "COLUMNS",
    "INDICATORS",
    "LOOKBACK",
    "Floats",
    "RequestedIndicator",
    "columns_at_read",
    "enrich",
    "enrich_many",
    "indicators_at_read",
    "lookback_at_read",
    "moving_averages",
    "requested",
]

_GIVEN = ("close", "volume")
_BLOCK = 16_384
"""Bars computed at a time: a block's arrays stay in the processor's cache. The bits do not depend on it."""


def _modules() -> list[Indicator | RequestedIndicator]:
    names = sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
    return [importlib.import_module(f"{__name__}.{name}").INDICATOR for name in names]


def _in_order(indicators: list[Indicator]) -> tuple[Indicator, ...]:
    """Sort indicators so that each comes after those whose columns it reads."""
    maker = {column: indicator.name for indicator in indicators for column in indicator.columns}
    graph = {i.name: [maker[column] for column in i.inputs if column not in _GIVEN] for i in indicators}
    by_name = {indicator.name: indicator for indicator in indicators}
    return tuple(by_name[name] for name in TopologicalSorter(graph).static_order())


def _reach(indicators: tuple[Indicator, ...]) -> int:
    """Earlier bars of close and volume that the farthest-looking indicator needs, through its inputs."""
    reach = dict.fromkeys(_GIVEN, 0)
    for indicator in indicators:
        inputs = max(reach[column] for column in indicator.inputs)
        reach.update({column: inputs + lookback for column, lookback in indicator.columns.items()})
    return max(reach.values())


_FOUND = _modules()
INDICATORS = _in_order([found for found in _FOUND if isinstance(found, Indicator)])
"""Every indicator that `enrich` computes, each after its inputs."""

LOOKBACK = _reach(INDICATORS)
"""Bars of history needed before a window: 199 for ma200."""

_MADE = itertools.chain.from_iterable(indicator.columns for indicator in INDICATORS)
COLUMNS = tuple(dict.fromkeys((*INDICATOR_COLUMNS, *PREVIOUS_COLUMNS, *_MADE)))
"""What `enrich` returns, in order: the documents' 13, the previous close and volume, then any others."""


def enrich(close: Floats, volume: Floats) -> dict[str, Floats]:
    """Compute every column of `COLUMNS` for one series.

    close (price units) and volume are equally long and sorted by time; each result is float64 of that length,
    NaN where there is no value. Raises BadInput when the lengths differ.
    """
    return enrich_many(close, volume, [0, len(close)])


def enrich_many(close: Floats, volume: Floats, bounds: Sequence[int]) -> dict[str, Floats]:
    """Compute every column of `COLUMNS` for series that lie one after the other.

    Series k is the rows `bounds[k]` to `bounds[k + 1]`; the first bound is 0 and the last the number of rows.
    Bits are those of `enrich` on each series alone. Raises BadInput when lengths and bounds do not fit.
    """
    if not len(close) == len(volume) == bounds[-1]:
        lengths = f"{len(close)} closes, {len(volume)} volumes and bounds to {bounds[-1]}"
        raise BadInput(f"{lengths} do not fit", next_step="Pass close and volume of the same rows.")
    # one allocation: the system then backs it with huge pages, which is twice as fast as touching small ones
    result = dict(zip(COLUMNS, np.empty((len(COLUMNS), len(close))), strict=True))
    known = {"close": close, "volume": volume, **result}
    for start in range(0, len(close), _BLOCK):
        _fill(known, start, min(start + _BLOCK, len(close)), bounds)
    return result


def moving_averages(close: Floats) -> dict[str, Floats]:
    """Compute only ma10 … ma200 of one series, as for a rollup's own bars."""
    result = {name: np.full(len(close), np.nan) for name in AVERAGE_COLUMNS}
    averages.averages(close, tuple(result.values()))
    return result


def _fill(known: dict[str, Floats], start: int, stop: int, bounds: Sequence[int]) -> None:
    """Compute rows `start` to `stop`; those before are done.

    A block may hold many series. Values near a series' begin are first computed from the rows of the series before
    it, then blanked: one pass over a block costs far less than one over each short series.
    """
    heads = bounds[max(bisect_right(bounds, start) - 1, 0) : bisect_left(bounds, stop)]
    for indicator in INDICATORS:
        first = max(start - indicator.lookback, 0)
        inputs = [known[name][first:stop] for name in indicator.inputs]
        indicator.compute(*inputs, out=[known[name][start:stop] for name in indicator.columns])
        for name, lookback in indicator.columns.items():
            for head in heads if lookback else ():
                known[name][max(head, start) : min(head + lookback, stop)] = np.nan
