"""Exponential moving average of the close, at read time on request: ema12, ema26, …

EMA = previous EMA + k × (close − previous EMA) with k = 2 / (N + 1); the first value, on bar N, is the simple
mean of the first N closes. Every value depends on the whole series before it, so it is computed from the
series' first bar and never stored.
"""

from __future__ import annotations

import math
from itertools import accumulate, islice

import numpy as np

from hypertape.errors import BadInput
from hypertape.indicators._indicator import Floats, RequestedIndicator


def ema(close: Floats, n: int) -> Floats:
    """Return the EMA of length `n` in price units; NaN for the first n − 1 bars. Raises BadInput for n < 1."""
    return RunningEma(n).follow(close)


class RunningEma:
    """The EMA of one length of a series that comes piece by piece, from its first bar on.

    A plain loop over the recursion: the closed form (a sum weighted by powers of 1 − k) is faster in numpy,
    but loses digits as the powers vanish. The seed's sum is correctly rounded. Raises BadInput for n < 1.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise BadInput(
                f"An EMA over {n} bars has no meaning",
                next_step="Ask for a length of 1 or more, as in ema12.",
            )
        self._n = n
        self._first: list[float] = []
        self._last: float | None = None

    def follow(self, close: Floats) -> Floats:
        """Return the values of the next closes, as a run over the whole series has them."""
        values: list[float] = close.tolist()
        seeding = 0 if self._last is not None else min(self._n - len(self._first), len(values))
        self._first += values[:seeding]
        if self._last is None and len(self._first) < self._n:
            return np.full(len(close), np.nan)
        unknown = [math.nan] * (seeding - 1)
        known = self._seeded() if self._last is None else []
        k, last = 2.0 / (self._n + 1), self._last if self._last is not None else known[0]
        later = accumulate(values[seeding:], lambda last, value: last + k * (value - last), initial=last)
        known += islice(later, 1, None)
        self._last = known[-1] if known else last
        return np.array(unknown + known)

    def _seeded(self) -> list[float]:
        return [math.fsum(self._first) / self._n]


INDICATOR = RequestedIndicator(name="ema", compute=ema, with_length=True)
