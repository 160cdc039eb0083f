"""Holes inside sessions: which openings a series lacks although it has bars before and after, and what it leaves out.

Not everything trades in every minute. What a series leaves out ordinarily is learned from it (`Habit`): the marks of a
session at which it never has a bar (a vendor's lunch hour), and the longest stretch of the others that it commonly has
none in. A hole is a run of missing openings longer than that; a series that leaves out nothing has a hole where one bar
is missing. Pure functions on arrays; all times are int64 microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hypertape.frame import Micros

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

HABITUAL_SESSIONS, HABITUAL_TIMES = 0.05, 5
"""Missing openings in a row are a habit when so many sessions (a share, and at least so many times) have as many."""

USUAL = 0.5
"""An opening that fewer of the sessions have is none of the series'."""

_SPARE = 2
"""What a series commonly lacks in a row may be twice as long without being a hole."""

LEARNED_FROM = 5
"""Sessions with bars that a habit is learned from at least; with fewer, everything that was there once is expected."""


@dataclass(frozen=True, slots=True)
class Openings:
    """The openings a calendar expects: `times`, and of each its session's position and its mark within the session."""

    times: Micros
    session: Ints
    mark: Ints

    @classmethod
    def of(cls, times: Micros, firsts: Micros, lasts: Micros) -> Openings:
        """Place expected openings in sessions, given the earliest and latest opening that belongs to each."""
        session = np.searchsorted(firsts, times, "right") - 1
        inside = (session >= 0) & (times <= lasts[np.maximum(session, 0)])
        times, session = times[inside], session[inside]
        return cls(times, session, times - firsts[session])


@dataclass(frozen=True, slots=True)
class Habit:
    """What a series leaves out ordinarily: so many openings in a row (`ordinary`; 0: none), and the marks of a session
    at which it seldom has a bar (`unusual`, µs from the session's first)."""

    ordinary: int = 0
    unusual: tuple[int, ...] = ()

    def __str__(self) -> str:
        said = (
            "it leaves no bar out" if not self.ordinary else f"it often lacks up to {self.ordinary} in a row"
        )
        return f"inside a session; {said}"


@dataclass(frozen=True, slots=True)
class Hole:
    """Missing openings in a row: the first and the last, and how many they are."""

    first: int
    last: int
    bars: int
    sessions: int = 1


def learn(due: Openings, present: Mask) -> Habit:
    """Learn from the sessions in which the series has bars; `present` says at which of the openings."""
    visited = np.unique(due.session[present])
    if len(visited) == 0:
        return Habit()
    seen = np.isin(due.session, visited)
    marks, at = np.unique(due.mark[seen], return_inverse=True)
    had = np.bincount(at, present[seen]) / np.bincount(at)
    if len(visited) < LEARNED_FROM:
        return Habit(unusual=tuple(marks[had == 0.0].tolist()))
    unusual = marks[had < USUAL]
    usual = seen & ~np.isin(due.mark, unusual)
    lengths = np.array([hole.bars for hole in _runs(due, usual & ~present, usual, joined=False)], np.int64)
    often = max(HABITUAL_TIMES, int(np.ceil(HABITUAL_SESSIONS * len(visited))))
    habitual = int(np.sort(lengths)[-often]) if len(lengths) >= often else 0
    return Habit(_SPARE * habitual, tuple(unusual.tolist()))


def find_holes(
    due: Openings, present: Mask, habit: Habit, bounds: tuple[int, int], *, joined: bool
) -> list[Hole]:
    """The runs of missing openings longer than the habit explains, between the series' first and last bar (`bounds`).

    Sessions without any bar are not looked at: they are missing as sessions. `joined`: the market never closes, and a
    hole may go on in the next session.
    """
    usual = np.isin(due.session, np.unique(due.session[present])) & ~np.isin(due.mark, habit.unusual)
    usual &= (due.times >= bounds[0]) & (due.times <= bounds[1])
    found = _runs(due, usual & ~present, usual, joined=joined)
    return [hole for hole in found if hole.bars > habit.ordinary]


def _runs(due: Openings, missing: Mask, usual: Mask, *, joined: bool) -> Sequence[Hole]:
    """Runs of missing openings among the usual ones, in order."""
    places = np.flatnonzero(usual)
    if len(places) == 0:
        return []
    lacks, session = missing[places], due.session[places]
    breaks = lacks[1:] != lacks[:-1]
    step = np.diff(session)
    breaks |= (step > 1) if joined else (step > 0)
    starts = np.flatnonzero(np.append(True, breaks))
    ends = np.append(starts[1:], len(places)) - 1
    kept = lacks[starts]
    return [
        Hole(
            int(due.times[places[a]]),
            int(due.times[places[b]]),
            int(b - a + 1),
            int(session[b] - session[a] + 1),
        )
        for a, b in zip(starts[kept].tolist(), ends[kept].tolist(), strict=True)
    ]
