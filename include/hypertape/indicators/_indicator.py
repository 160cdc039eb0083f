"""What an indicator is: named columns, what they are computed from, and how far back they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Indicator:
    """A family of columns that `enrich` computes for every bar.

    `inputs` names what `compute` reads, in order: `close`, `volume` or columns of other indicators. `columns` says
    for each column how many earlier bars of its inputs a value depends on. It may depend on nothing else, so that a
    window with lookback equals the same slice of a full run bit for bit, and a series' first so many bars have none
    (NaN, which the caller sets).

    `compute(*inputs, out)` is pure: float64 arrays in time order in; into `out`, one array per column, the values of
    the last bars. The inputs begin `lookback` bars before `out`, or fewer where there are no more: what lacks its
    lookback may be left as it is.
    """

    name: str
    inputs: tuple[str, ...]
    columns: Mapping[str, int]
    compute: Callable[..., None]

    @property
    def lookback(self) -> int:
        """Earlier bars of the inputs that the farthest-looking column needs."""
        return max(self.columns.values())


@dataclass(frozen=True, slots=True)
class RequestedIndicator:
    """An indicator with a parameter, computed at read time on request: `compute(close, n)`.

    It may depend on the whole history of the series, so it is never stored.
    """

    name: str
    compute: Callable[[Floats, int], Floats]
