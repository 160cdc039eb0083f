"""Why a bar is missing: the rules of the gap ledger as a pure function on arrays.

Every array is tickers × sessions of one market and interval. The first rule that holds decides:

| reason | holds for a session without a bar when |
|---|---|
| fetch failed | a row for it arrived and was refused: it waits in quarantine |
| not listed | it was answered LISTING_ANSWERS times, and the ticker has no bar of any interval so early |
| delisted | it lies after the ticker's last bar, and DELISTED_SESSIONS of these were answered while others traded, |
| | or no list of symbols has had the ticker since |
| halted | it is a known halt (`calendars.halts`) |
| fetch failed | the last load that covers it failed |
| provider empty | it was answered once, and the ticker has no bar of any interval so early |
| holiday | the source answered, HOLIDAY_TICKERS or more were asked, nobody has a bar, no other interval shows any, |
| | and somebody has one of a later session: until then the provider may just be late |
| halted | it belongs to HALTED_SESSIONS or more in a row, between two bars, each answered HALT_ANSWERS times, while |
| | others traded and no other interval shows that this ticker did |
| provider empty | the last load that covers it was answered |
| unknown | no load covers it: nobody asked |

A load covers a session when its window holds all of it. NoData and UnknownTicker are answers: the provider has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]

HOLIDAY_TICKERS = 3
"""Fewer tickers without a bar may be a coincidence; so many, and none with one, look like a closed market."""

DELISTED_SESSIONS = 20
"""A month of sessions. Before, the tail is `provider empty`, so that freshness still raises the alarm."""

HALTED_SESSIONS = 5
"""A week of sessions: a vendor loses single bars, but seldom a week of one ticker in the middle of its history."""

LISTING_ANSWERS = 2
"""A first answer that is cut short looks like a late listing. Healing asks once more, over the whole stretch."""

HALT_ANSWERS = 2
"""Once may be a hiccup. A daily run's overlap asks again by itself; for old sessions healing does."""

REASONS = (
    "",
    "holiday",
    "not listed",
    "delisted",
    "halted",
    "provider empty",
    "fetch failed",
    "unknown",
)
"""Reason by code; code 0 is a session that has a bar or is not judged."""

CONFIRMED_ONCE = ("holiday", "halted")
"""Conclusions from what others had: one more answer confirms them, then they rest. So does a refused row: one equal
answer shows that the vendor stands by it."""

HOLIDAY, NOT_LISTED, DELISTED, HALTED, EMPTY, FAILED, UNKNOWN = range(1, 8)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. Matrices are tickers × sessions; `first`, `last` and `listed` are sessions' positions per ticker.

    `first` and `last`: the ticker's first and last bar of this interval, meaningless without `has_bars`. `listed`: its
    first bar of any interval.
    """

    missing: Mask
    answers: Ints  # how many covering loads were answered
    empty: Mask  # the last covering load was answered
    failed: Mask  # the last covering load failed
    refused: Mask  # a row lies in quarantine
    known_halt: Mask
    gone: Mask  # listed no more, by the vendors' lists of symbols
    has_bars: Mask  # per ticker
    first: Ints
    last: Ints
    listed: Ints

    @property
    def answered(self) -> Mask:
        """Some covering load was answered."""
        mask: Mask = self.answers > 0
        return mask

    @property
    def position(self) -> Ints:
        """The sessions' positions, as a row."""
        return np.arange(self.missing.shape[1])[None, :]

    @property
    def early(self) -> Mask:
        """Before the first bar of any interval of a ticker that has bars."""
        mask: Mask = (self.position < self.listed[:, None]) & self.has_bars[:, None]
        return mask

    @property
    def inside(self) -> Mask:
        """Between the ticker's first and last bar."""
        within = (self.position >= self.first[:, None]) & (self.position <= self.last[:, None])
        mask: Mask = within & self.has_bars[:, None]
        return mask

    @property
    def traded(self) -> Mask:
        """Per session: some ticker has a bar."""
        present: Mask = self.inside & ~self.missing
        return np.asarray(present.any(axis=0), np.bool_)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the market's other intervals show: deals of a ticker (tickers × sessions), deals of anybody (sessions)."""

    ticker: Mask
    anybody: Mask


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive sessions of one ticker, both ends included, by position."""

    ticker: int
    first: int
    last: int


def classify(facts: Facts, elsewhere: Elsewhere) -> Codes:
    """Return the reason code of every cell, 0 where nothing is missing.

    `elsewhere` need only know of the runs that `possible_halts` and the sessions that `possible_holidays` return.
    """
    early, due = facts.early, facts.has_bars[:, None] & ~facts.early
    delisted = _delisted(facts)
    closed = _holidays(facts, delisted) & ~elsewhere.anybody
    rules = (
        (facts.refused, FAILED),
        (early & (facts.answers >= LISTING_ANSWERS), NOT_LISTED),
        (delisted, DELISTED),
        (due & facts.known_halt, HALTED),
        (facts.failed, FAILED),
        (early & facts.empty, EMPTY),
        (facts.empty & closed[None, :], HOLIDAY),
        (_halted(facts, elsewhere), HALTED),
        (facts.empty, EMPTY),
    )
    codes: Codes = np.select([mask for mask, _ in rules], [code for _, code in rules], UNKNOWN).astype(
        np.int8
    )
    codes[~facts.missing] = 0
    return codes


def possible_halts(facts: Facts) -> list[Run]:
    """The runs that are long enough for a halt, if no other interval shows a deal in them."""
    traded = np.flatnonzero(facts.traded)
    found = _long_runs(facts, traded)
    return [Run(ticker, int(traded[first]), int(traded[last])) for ticker, first, last in found]


def possible_holidays(facts: Facts) -> Ints:
    """Positions of the sessions that are holidays if no other interval shows a deal in them."""
    return np.flatnonzero(_holidays(facts, _delisted(facts)))


def _delisted(facts: Facts) -> Mask:
    tail = facts.missing & facts.has_bars[:, None] & (facts.position > facts.last[:, None])
    idle = (tail & facts.answered & facts.traded[None, :]).sum(axis=1)
    mask: Mask = tail & ((idle >= DELISTED_SESSIONS)[:, None] | facts.gone)
    return mask


def _holidays(facts: Facts, delisted: Mask) -> Mask:
    """Per session: nobody has a bar although several listed tickers were asked, and somebody has one of a later day."""
    listed = facts.has_bars[:, None] & (facts.position >= facts.listed[:, None])
    asked = facts.missing & facts.answered & listed & ~delisted
    traded = facts.traded
    traded_later = np.cumsum(traded[::-1])[::-1] > 0
    mask: Mask = ~traded & traded_later & (asked.sum(axis=0) >= HOLIDAY_TICKERS)
    return mask


def _halted(facts: Facts, elsewhere: Elsewhere) -> Mask:
    mask = np.zeros(facts.missing.shape, np.bool_)
    for run in possible_halts(facts):
        cells = (run.ticker, slice(run.first, run.last + 1))
        if not elsewhere.ticker[cells].any():
            mask[cells] = facts.empty[cells] & facts.traded[cells[1]]
    return mask


def _long_runs(facts: Facts, traded: Ints) -> list[tuple[int, int, int]]:
    """Runs over the sessions in which others traded: a holiday in the middle neither counts nor interrupts."""
    confirmed = facts.empty & (facts.answers >= HALT_ANSWERS)
    idle = facts.missing & facts.inside & (confirmed | facts.known_halt) & ~facts.refused
    runs = runs_of(idle[:, traded].astype(np.int64))
    return [(t, first, last) for t, first, last in runs.tolist() if last - first + 1 >= HALTED_SESSIONS]


def runs_of(keys: Ints) -> Ints:
    """Cut every row into runs of equal keys; return (row, first, last) of those whose key is not 0, in order."""
    rows, columns = keys.shape
    if rows == 0 or columns == 0:
        return np.empty((0, 3), np.int64)
    padded = np.column_stack([keys, np.zeros(rows, keys.dtype)]).ravel()
    starts = np.flatnonzero(np.append(True, padded[1:] != padded[:-1]))
    ends = np.append(starts[1:], len(padded)) - 1
    kept = padded[starts] != 0
    starts, ends = starts[kept], ends[kept]
    return np.column_stack([starts // (columns + 1), starts % (columns + 1), ends % (columns + 1)])
