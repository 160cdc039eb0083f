"""The previous bar's close and volume, stored beside each bar: its changes are then expressions over a row."""

from __future__ import annotations

from collections.abc import Sequence

from hypertape.indicators._indicator import Floats, Indicator
from hypertape.model import PREVIOUS_COLUMNS


def previous(close: Floats, volume: Floats, out: Sequence[Floats]) -> None:
    """Close and volume of the bar before in the series, whatever the calendar says."""
    for values, shifted in zip((close, volume), out, strict=True):
        known = min(len(values) - 1, len(shifted))
        shifted[len(shifted) - known :] = values[len(values) - 1 - known : -1]


INDICATOR = Indicator(
    name="previous",
    inputs=("close", "volume"),
    columns=dict.fromkeys(PREVIOUS_COLUMNS, 1),
    compute=previous,
)
