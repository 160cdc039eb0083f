"""Values that are worth keeping for a few seconds, so that a request costs no extra round trip."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """A small cache whose entries are believed for `seconds`; safe between threads.

    `most` bounds it: made-up keys cannot fill the memory. A value is made outside the lock, so two callers may make
    the same one at once; the later one stays.
    """

    def __init__(
        self, seconds: float, *, most: int = 1000, tick: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._most, self._tick = seconds, most, tick
        self._entries: dict[Hashable, tuple[float, T]] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the kept value of `key`, or make it."""
        found = self._entries.get(key)
        if found is not None and self._tick() - found[0] < self._seconds:
            return found[1]
        value = make()
        with self._lock:
            if len(self._entries) >= self._most:
                self._entries.clear()
            self._entries[key] = (self._tick(), value)
        return value

    def has(self, key: Hashable) -> bool:
        """True when `get` would answer at once."""
        found = self._entries.get(key)
        return found is not None and self._tick() - found[0] < self._seconds

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
