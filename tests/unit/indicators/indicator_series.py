"""Series for the indicator tests: printed files with their answers, and any series hypothesis can think of."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

ANSWERS = Path(__file__).parent / "answers"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Printed:
    """A bar file in the documents' 20 columns, as text and as the arrays its indicators come from."""

    rows: list[dict[str, str]]
    close: Floats
    volume: Floats


def read_printed(path: Path) -> Printed:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    close, volume = (np.array([float(row[name]) for row in rows]) for name in ("close", "volume"))
    return Printed(rows, close, volume)


def random_walk(bars: int, seed: int = 7) -> tuple[Floats, Floats]:
    """Prices with no short binary form, volumes with some zeros."""
    random = np.random.default_rng(seed)
    close = 50_000.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, bars)))
    return close, random.integers(0, 9, bars) * random.uniform(0.0, 1e6, bars)


def bits(values: Floats) -> npt.NDArray[np.int64]:
    """The values as the integers of their bits, so that equal means identical (NaN and -0.0 included)."""
    return np.ascontiguousarray(values).view(np.int64)


prices = st.one_of(
    st.floats(min_value=1e-9, max_value=1e9),
    st.floats(min_value=-1e6, max_value=1e6),
    st.sampled_from([0.0, 0.1, 12.34, 0.30000000000000004]),
)
volumes = st.one_of(st.floats(min_value=0.0, max_value=1e12), st.just(0.0))
