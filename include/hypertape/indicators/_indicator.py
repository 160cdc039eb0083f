"""What an indicator is: named columns, what they are computed from, and how far back they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    """An indicator that is computed at read time, when somebody asks for it. It is never stored.

    It is asked for by its name (`obv`), or with `with_length` by its name and a length (`rsi14`, `ema26`).
    `inputs` are the columns that `compute` gets, of open, high, low, close, volume: float64 arrays of ONE series in
    time order. It returns one array as long as they are, or one for each of `columns`, which are suffixes (`("upper",
    "lower")` of `bands20` are `bands20_upper`, `bands20_lower`); NaN where there is no value. With `with_length` it
    gets the length after the inputs.

    `lookback` is how many earlier bars a value depends on (a number, or a function of the length); None: on all since
    the series' first. It must not depend on others, so that a window reads as the same slice of all bars.
    """

    name: str
    compute: Callable[..., Floats | Sequence[Floats]]
    inputs: tuple[str, ...] = ("close",)
    columns: tuple[str, ...] = ()
    lookback: int | Callable[[int], int] | None = None
    with_length: bool = False
    file: Path | None = None
    """The project's file it is from; None: shipped."""
