"""Exponential moving average of the close, at read time on request: ema12, ema26, …

EMA = previous EMA + k × (close − previous EMA) with k = 2 / (N + 1); the first value, on bar N, is the simple
mean of the first N closes. Every value depends on the whole series before it, so it is computed from the
series' first bar and never stored.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np

from hypertape.errors import BadInput
from hypertape.indicators._indicator import Floats, RequestedIndicator


def ema(close: Floats, n: int) -> Floats:
    """Return the EMA of length `n` in price units; NaN for the first n − 1 bars. Raises BadInput for n < 1.

    A plain loop over the recursion: the closed form (a sum weighted by powers of 1 − k) is faster in numpy,
    but loses digits as the powers vanish. The seed's sum is correctly rounded.
    """
    if n < 1:
        raise BadInput(
            f"An EMA over {n} bars has no meaning", next_step="Ask for a length of 1 or more, as in ema12."
        )
    result = np.full(len(close), np.nan)
    if len(close) < n:
        return result
    k = 2.0 / (n + 1)
    seed = math.fsum(close[:n]) / n
    later = close[n:].tolist()
    result[n - 1 :] = list(accumulate(later, lambda last, value: last + k * (value - last), initial=seed))
    return result


INDICATOR = RequestedIndicator(name="ema", compute=ema)
