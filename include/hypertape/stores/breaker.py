"""A circuit breaker: stop asking who does not answer, and try again after a pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock


class State(StrEnum):
    """Closed: asked. Open: not asked until the pause is over. Half-open: one trial is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """Opens after `failures` failures in a row, for `pause`; then one caller tries, and its outcome decides.

    A trial that reports nothing for a whole pause is taken for lost, and another caller may try. Safe to share
    between threads; the time (UTC) is passed in.
    """

    failures: int = 3
    pause: timedelta = timedelta(seconds=30)
    state: State = field(default=State.CLOSED, init=False)
    _count: int = field(default=0, init=False)
    _since: datetime | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def allows(self, now: datetime) -> bool:
        """True when the caller may ask; after the pause it is the trial, and must report how it went."""
        with self._lock:
            if self.state is State.CLOSED:
                return True
            assert self._since is not None
            if now - self._since < self.pause:
                return False
            self.state, self._since = State.HALF_OPEN, now
            return True

    def succeeded(self) -> None:
        """Report an answer."""
        with self._lock:
            self.state, self._count, self._since = State.CLOSED, 0, None

    def failed(self, now: datetime) -> None:
        """Report a failure."""
        with self._lock:
            self._count += 1
            if self.state is State.HALF_OPEN or self._count >= self.failures:
                self.state, self._since = State.OPEN, now
