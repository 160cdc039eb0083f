"""What an indicator is: named columns, what they are computed from, and how far back they look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Indicator:
    """A family of columns that `enrich` computes for every bar.

    `inputs` names what `compute` takes, in order: `close`, `volume` or columns of other indicators. `compute`
    is pure: equally long float64 arrays of one series in time order in, one such array per name in `columns`
    out, NaN where the documents say NULL. `lookback` is how many earlier bars of its inputs a value depends
    on; it may depend on nothing else, so that a window with lookback equals the same slice of a full run bit
    for bit.
    """

    name: str
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    lookback: int
    compute: Callable[..., tuple[Floats, ...]]


@dataclass(frozen=True, slots=True)
class RequestedIndicator:
    """An indicator with a parameter, computed at read time on request: `compute(close, n)`.

    It may depend on the whole history of the series, so it is never stored.
    """

    name: str
    compute: Callable[[Floats, int], Floats]
