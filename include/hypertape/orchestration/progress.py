"""Lines about long work: each with the seconds since the beginning, and none of them the last one for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

QUIET_SECONDS = 10.0
"""After so long without a line a step is told again."""


class Progress:
    """Called with the name of each step. As a context it says, while a step takes long, that it still goes on."""

    def __init__(self, say: Callable[[str], None], *, quiet: float = QUIET_SECONDS) -> None:
        self._say, self._quiet = say, quiet
        self._began = self._told = self._since = time.monotonic()
        self._step = ""
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def __call__(self, step: str) -> None:
        """A step begins."""
        with self._lock:
            self._step, self._since = step, time.monotonic()
            self._line(step)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def _watch(self) -> None:
        while not self._over.wait(self._quiet / 5):
            with self._lock:
                if self._step and time.monotonic() - self._told >= self._quiet:
                    self._line(f"… {self._step}: {time.monotonic() - self._since:.0f} s so far")

    def _line(self, text: str) -> None:
        self._say(f"{self.seconds:5.0f} s  {text}")
        self._told = time.monotonic()
