"""Money moved by the change of price since the previous bar: total_money_changed."""

from __future__ import annotations

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator


def money(close: Floats, previous_close: Floats, volume: Floats) -> tuple[Floats, ...]:
    """Return (close − previous close) × volume in price units; NaN on the first bar.

    The public views compute `(close - previous_close) * volume` in float8.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        result = close - previous_close
        result *= volume
    return (result,)


INDICATOR = Indicator(
    name="money",
    inputs=("close", "previous_close", "volume"),
    columns=("total_money_changed",),
    lookback=0,
    compute=money,
)
