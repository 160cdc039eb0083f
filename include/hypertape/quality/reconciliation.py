"""Two sources' bars of the same window held against each other. Pure: it sees two bar frames and no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from hypertape.frame import Bars, Floats, instant, normalise, split_series
from hypertape.model import PRICE_COLUMNS
from hypertape.quality.results import SAMPLE_KEYS

PRESENCE = "bars"
"""The comparison that counts bars only one side has."""

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest relative difference that still agrees, as a fraction; None leaves a comparison out.

    Of two values the larger one is the base, so that it does not matter which side is asked first.
    """

    price: float = 0.005
    volume: float | None = 0.05

    def of(self, column: str) -> float | None:
        """The tolerance of a column."""
        return self.volume if column == "volume" else self.price


@dataclass(slots=True)
class Comparison:
    """What comparing one column (or the presence of bars) found: how many pairs, how many disagree, the worst of them.

    `sample` holds {"ticker", "time", "here", "there", "difference"}; `time` is ISO 8601 UTC.
    """

    column: str
    compared: int = 0
    disagree: int = 0
    largest: float = 0.0
    sample: list[Sample] = field(default_factory=list)

    def add(self, other: Comparison) -> None:
        """Take in what was found for other tickers."""
        self.compared += other.compared
        self.disagree += other.disagree
        self.largest = max(self.largest, other.largest)
        self.sample = _worst([*self.sample, *other.sample])


def compare(here: pa.Table, there: pa.Table, tolerance: Tolerance) -> dict[str, Comparison]:
    """Compare two bar frames (frame.BAR_SCHEMA, any order; of a repeated key the last row counts) by ticker and time.

    Returns a comparison per column whose tolerance is given, and `bars`: the keys only one side has.
    """
    columns = [name for name in (*PRICE_COLUMNS, "volume") if tolerance.of(name) is not None]
    found = {name: Comparison(name) for name in (PRESENCE, *columns)}
    ours, theirs = (dict(split_series(normalise(frame)[0])) for frame in (here, there))
    for ticker in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(ticker, Bars.empty()), theirs.get(ticker, Bars.empty())
        found[PRESENCE].add(_presence(ticker, one, other))
        shared, at_one, at_other = np.intersect1d(
            one.time, other.time, assume_unique=True, return_indices=True
        )
        for name in columns:
            pair = getattr(one, name)[at_one], getattr(other, name)[at_other]
            found[name].add(_column(ticker, name, shared, *pair, tolerance.of(name) or 0.0))
    return found


def difference(here: Floats, there: Floats) -> Floats:
    """|here − there| over the larger of the two sizes: 0 for equal values, infinite where one is missing."""
    base = np.fmax(np.abs(here), np.abs(there))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(base == 0, 0.0, np.abs(here - there) / base)
    one_missing = np.isnan(here) != np.isnan(there)
    return np.where(one_missing, np.inf, np.nan_to_num(relative, nan=0.0, posinf=np.inf))


def _column(ticker: str, name: str, times: Any, here: Floats, there: Floats, tolerance: float) -> Comparison:
    apart = difference(here, there)
    wrong = np.flatnonzero(apart > tolerance)
    worst = wrong[np.argsort(-apart[wrong], kind="stable")][:SAMPLE_KEYS]
    sample = [
        {
            **_key(ticker, times[row]),
            "here": float(here[row]),
            "there": float(there[row]),
            "difference": float(apart[row]),
        }
        for row in worst
    ]
    return Comparison(name, len(times), len(wrong), float(apart.max(initial=0.0)), sample)


def _presence(ticker: str, here: Bars, there: Bars) -> Comparison:
    everything = np.union1d(here.time, there.time)
    alone = np.setxor1d(here.time, there.time, assume_unique=True)
    sides: Mapping[bool, str] = {True: "here", False: "there"}
    own = np.isin(alone, here.time)
    sample = [
        {**_key(ticker, at), "only": sides[bool(side)]}
        for at, side in zip(alone[:SAMPLE_KEYS], own[:SAMPLE_KEYS], strict=True)
    ]
    return Comparison(PRESENCE, len(everything), len(alone), 0.0, sample)


def _key(ticker: str, time: Any) -> Sample:
    return {"ticker": ticker, "time": instant(int(time)).isoformat()}


def _worst(sample: list[Sample]) -> list[Sample]:
    return sorted(sample, key=lambda one: -one.get("difference", 0.0))[:SAMPLE_KEYS]
