"""Change against the previous bar, in percent: close_changed, volume_changed."""

from __future__ import annotations

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator


def changes(
    close: Floats, previous_close: Floats, volume: Floats, previous_volume: Floats
) -> tuple[Floats, ...]:
    """Percent change of close and of volume; NaN on the first bar and where the previous value is ≤ 0."""
    return change(close, previous_close), change(volume, previous_volume)


def change(value: Floats, before: Floats) -> Floats:
    """Return (value − before) / before × 100, rounded in exactly this order; NaN unless before > 0.

    The public views compute it in float8 as `case when previous_close > 0 then (close - previous_close) /
    previous_close * 100 end`; another order gives other bits.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = value - before
        result /= before
        result *= 100.0
    result[~(before > 0.0)] = np.nan
    return result


INDICATOR = Indicator(
    name="changes",
    inputs=("close", "previous_close", "volume", "previous_volume"),
    columns=("close_changed", "volume_changed"),
    lookback=0,
    compute=changes,
)
