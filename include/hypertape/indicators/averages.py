"""Simple moving averages of the close: ma10, ma20, ma50, ma100, ma200.

A running sum would make every value depend on where the run began. Here a windowed sum is a fixed expression
tree over its window's own closes, built by doubling and shared between the averages:

    S2 = x + x[1 back]      S4 = S2 + S2[2 back]      S8 = S4 + S4[4 back]      S10 = S8 + S2[8 back]      …

Nine vector additions serve all five averages, a rounding error passes through at most nine additions instead
of N, and a close that is not finite touches no window but those that hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator
from hypertape.model import AVERAGE_COLUMNS, AVERAGES

SUM_TREE = (
    (2, 1, 1),
    (4, 2, 2),
    (8, 4, 4),
    (10, 8, 2),
    (20, 10, 10),
    (40, 20, 20),
    (50, 40, 10),
    (100, 50, 50),
    (200, 100, 100),
)
"""(n, newest, oldest): a sum of n closes is that of the `newest` last + that of the `oldest` before them."""


def windowed_sums(values: Floats) -> dict[int, Floats]:
    """Sums over every full window by length n: element i sums `values[i : i + n]`; empty when too short."""
    sums = {1: values}
    with np.errstate(over="ignore", invalid="ignore"):
        for n, newest, oldest in SUM_TREE:
            windows = max(len(values) - n + 1, 0)
            sums[n] = sums[newest][n - newest :] + sums[oldest][:windows]
    return sums


def averages(close: Floats, out: Sequence[Floats]) -> None:
    """Mean of the last N closes for each N of `AVERAGES`, in price units."""
    sums = windowed_sums(close)
    for n, mean in zip(AVERAGES, out, strict=True):
        full = min(len(sums[n]), len(mean))
        np.divide(sums[n][len(sums[n]) - full :], n, out=mean[len(mean) - full :])


INDICATOR = Indicator(
    name="averages",
    inputs=("close",),
    columns={name: n - 1 for name, n in zip(AVERAGE_COLUMNS, AVERAGES, strict=True)},
    compute=averages,
)
