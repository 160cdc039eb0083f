"""Money moved by the change of price since the previous bar: total_money_changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hypertape.indicators._indicator import Floats, Indicator


def money(close: Floats, previous_close: Floats, volume: Floats, out: Sequence[Floats]) -> None:
    """Return (close − previous close) × volume in price units; NaN on the first bar.

    The public views compute `(close - previous_close) * volume` in float8.
    """
    (result,) = out
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(close, previous_close, out=result)
        result *= volume


INDICATOR = Indicator(
    name="money",
    inputs=("close", "previous_close", "volume"),
    columns={"total_money_changed": 0},
    compute=money,
)
