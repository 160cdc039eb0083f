"""The relative strength index after Wilder, at read time: `indicators=rsi14`."""

import numpy as np

from hypertape.indicators import RequestedIndicator


def rsi(close: np.ndarray, n: int) -> np.ndarray:
    """100 − 100 / (1 + average gain / average loss), smoothed over n bars; NaN for the first n."""
    values = np.full(len(close), np.nan)
    steps = np.diff(close)
    if len(steps) < n:
        return values
    gain, loss = np.maximum(steps, 0), np.maximum(-steps, 0)
    up, down = gain[:n].mean(), loss[:n].mean()
    values[n] = _index(up, down)
    for at in range(n, len(steps)):
        up += (gain[at] - up) / n
        down += (loss[at] - down) / n
        values[at + 1] = _index(up, down)
    return values


def _index(up: float, down: float) -> float:
    return 100.0 if down == 0 else 100.0 - 100.0 / (1.0 + up / down)


INDICATOR = RequestedIndicator("rsi", rsi, with_length=True)
