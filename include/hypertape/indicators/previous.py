"""The previous bar's close and volume, stored beside each bar: its changes are then expressions over a row."""

from __future__ import annotations

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator
from hypertape.model import PREVIOUS_COLUMNS


def previous(close: Floats, volume: Floats) -> tuple[Floats, ...]:
    """Close and volume of the bar before in the series, whatever the calendar says; NaN on the first bar."""
    return _one_back(close), _one_back(volume)


def _one_back(values: Floats) -> Floats:
    shifted = np.empty(len(values))
    shifted[:1] = np.nan
    shifted[1:] = values[:-1]
    return shifted


INDICATOR = Indicator(
    name="previous",
    inputs=("close", "volume"),
    columns=PREVIOUS_COLUMNS,
    lookback=1,
    compute=previous,
)
