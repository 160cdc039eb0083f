"""Distance of the close from its moving averages, in percent: ma10_score … ma200_score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator
from hypertape.model import AVERAGE_COLUMNS, SCORE_COLUMNS


def scores(close: Floats, *averages: Floats, out: Sequence[Floats]) -> None:
    """One score per average; NaN where the average is NaN or 0."""
    for average, result in zip(averages, out, strict=True):
        score(close, average, result)


def score(close: Floats, average: Floats, out: Floats | None = None) -> Floats:
    """Return (close − average) / average × 100, rounded in exactly this order.

    The public views compute `(close - ma10) / nullif(ma10, 0) * 100` in float8; another order gives other bits.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.subtract(close, average, out=out)
        result /= average
        result *= 100.0
    if not average.all():
        result[average == 0.0] = np.nan
    return result


INDICATOR = Indicator(
    name="scores",
    inputs=("close", *AVERAGE_COLUMNS),
    columns=dict.fromkeys(SCORE_COLUMNS, 0),
    compute=scores,
)
