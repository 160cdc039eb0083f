"""What a benchmark reports, how it takes time, and how its table is printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One measured piece of work.

    `ratio` compares with a peer measured in the same run, so that it holds on any machine; `bar` is the ratio SPEC 14
    asks for. A figure without a bar is for information and always passes.
    """

    work: str
    value: float
    unit: str
    ratio: float | None = None
    bar: float | None = None

    @property
    def passed(self) -> bool:
        return self.reaches(1.0)

    def reaches(self, share: float) -> bool:
        """Whether the ratio is at least that share of its bar."""
        return self.bar is None or (self.ratio is not None and self.ratio >= share * self.bar)

    @property
    def is_time(self) -> bool:
        """Whether the bar is a time: another machine may need longer, and nothing is wrong."""
        return self.unit in ("ms", "s")


def median_seconds(*works: Callable[[], object], repeat: int = 3) -> list[float]:
    """Median wall time of each work, run `repeat` times in a row after one run that does not count.

    Not in turns: a work would then pay for giving back and scattering the memory of the one before it (measured on
    300 MB results: up to 240 of 280 ns a row in the kernel).
    """
    return [_median_seconds(work, repeat) for work in works]


def _median_seconds(work: Callable[[], object], repeat: int) -> float:
    work()
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def table(results: Iterable[Result]) -> str:
    """The results as aligned text, a ratio next to its bar."""
    rows = [("work", "value", "ratio", "bar", "")]
    rows += [
        (r.work, f"{r.value:,.6g} {r.unit}", _times(r.ratio), _times(r.bar), _verdict(r)) for r in results
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def _verdict(result: Result) -> str:
    return "" if result.bar is None else "ok" if result.passed else "BELOW"
