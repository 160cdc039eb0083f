"""How many requests a caller may make: a token bucket per caller, in this process.

Each caller has `burst` tokens that come back at `rate` a second; a request takes one. Several processes have each their
own buckets, so a caller may have up to so many times the rate.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock


class RateLimit:
    """Token buckets by caller; the least recently seen are forgotten beyond `most`. Safe between threads."""

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        *,
        most: int = 10_000,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst = rate, max(burst if burst is not None else 5 * rate, 1.0)
        self._most, self._tick = most, tick
        self._level: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: Hashable, tokens: float = 1.0) -> float:
        """Take tokens; return 0 when there were enough, else the seconds until there are (and take none)."""
        with self._lock:
            level = self._refilled(caller)
            enough = level >= tokens
            self._keep(caller, level - tokens if enough else level)
        return 0.0 if enough else (tokens - level) / self._rate

    def charge(self, caller: Hashable, tokens: float) -> None:
        """Take tokens that may not be there: a caller can owe up to its whole bucket."""
        with self._lock:
            self._keep(caller, max(self._refilled(caller) - tokens, -self._burst))

    def _refilled(self, caller: Hashable) -> float:
        now = self._tick()
        level, since = self._level.pop(caller, (self._burst, now))
        return min(level + (now - since) * self._rate, self._burst)

    def _keep(self, caller: Hashable, level: float) -> None:
        self._level[caller] = (level, self._tick())
        while len(self._level) > self._most:
            self._level.popitem(last=False)
