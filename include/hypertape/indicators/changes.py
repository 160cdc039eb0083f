"""Change against the previous bar, in percent: close_changed, volume_changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator


def changes(
    close: Floats, previous_close: Floats, volume: Floats, previous_volume: Floats, out: Sequence[Floats]
) -> None:
    """Percent change of close and of volume; NaN on the first bar and where the previous value is ≤ 0."""
    close_changed, volume_changed = out
    change(close, previous_close, close_changed)
    change(volume, previous_volume, volume_changed)


def change(value: Floats, before: Floats, out: Floats | None = None) -> Floats:
    """Return (value − before) / before × 100, rounded in exactly this order; NaN unless before > 0.

    The public views compute it in float8 as `case when previous_close > 0 then (close - previous_close) /
    previous_close * 100 end`; another order gives other bits.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.subtract(value, before, out=out)
        result /= before
        result *= 100.0
    positive = before > 0.0
    if not positive.all():
        result[~positive] = np.nan
    return result


INDICATOR = Indicator(
    name="changes",
    inputs=("close", "previous_close", "volume", "previous_volume"),
    columns={"close_changed": 0, "volume_changed": 0},
    compute=changes,
)
