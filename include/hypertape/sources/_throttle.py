"""Pacing within one process: what a source is given when no warehouse is at hand to share its turns through."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock


@dataclass(slots=True)
class LocalThrottle:
    """Evenly spaced turns per source, shared by the threads of a process.

    `rate` gives requests a second, `clock` seconds that never go back. It has no circuit breaker: within one call a
    source gives up by itself.
    """

    rate: Callable[[str], float | None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _held: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def wait(self, source: str) -> None:
        """Return when it is our turn; who is held meanwhile takes another turn after the hold."""
        turn, seconds = self._reserve(source)
        while seconds > 0:
            self.sleep(seconds)
            with self._lock:
                if self._held.get(source, turn) <= turn:
                    return
            turn, seconds = self._reserve(source)

    def _reserve(self, source: str) -> tuple[float, float]:
        """Take the next turn; return its instant and the seconds until it comes."""
        rate = self.rate(source)
        with self._lock:
            now = self.clock()
            turn = max(now, self._next.get(source, now))
            self._next[source] = turn + (1.0 / rate if rate else 0.0)
        return turn, turn - now

    def record(
        self, source: str, ok: bool, *, begun: datetime | None = None, pause: float = 0.0, reason: str = ""
    ) -> None:
        """Keep everybody in this process from asking for `pause` seconds, also who waits for a turn already."""
        if pause:
            with self._lock:
                self._held[source] = max(self._held.get(source, 0.0), self.clock() + pause)
                self._next[source] = max(self._next.get(source, 0.0), self._held[source])
