"""The proof that a mirror holds what the warehouse holds: every series' digests on both sides.

The digests are those of the engine that compares (`series_stats`), adjusted closes included where the mirror keeps
them. Stricter than `copy.verify`, which looks one way: a mirror has nothing but what the warehouse gave it, and no row
that is no bar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.digest import SeriesDigest
from hypertape.errors import SourceFileMissing
from hypertape.model import Series
from hypertape.stores import KeepsAdjusted, Store
from hypertape.stores.compare import same_bars
from hypertape.stores.mirrors import Mirror, find_mirror, require_present
from hypertape.stores.series_stats import SeriesStats, stats_of

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One series that is not the same on both sides; None where a side has no bars of it.

    `what` is missing, extra, bars, adjusted closes, or rows that are no bars.
    """

    series: Series
    what: str
    warehouse: SeriesDigest | None
    mirror: SeriesDigest | None


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found: how many series it compared, which differ, and how many still wait for delivery."""

    mirror: str
    series: int
    differences: tuple[Difference, ...]
    waiting: int

    @property
    def holds(self) -> bool:
        """True when nothing waits and nothing differs."""
        return not self.waiting and not self.differences


def parity(
    connection: Connection,
    source: Store,
    mirror: Mirror,
    open_target: Callable[[], Store],
    *,
    now: datetime,
) -> Parity:
    """Compare every series the mirror receives with the warehouse (`source`), and look for others in it.

    A load between the two readings of a series shows as a difference; run it again when loads are under way. Raises
    StoreAway when the mirror is not there, and what its store and the warehouse raise.
    """
    require_present(mirror)
    store = open_target()
    try:
        mirrored = _mirrored(store, mirror)
        differences, compared = [], 0
        for info in source.series(mirror.selection):
            ours = stats_of(source, info.series, start=None, now=now)
            theirs = stats_of(store, info.series, start=None, now=now) if info.series in mirrored else None
            mirrored.discard(info.series)
            compared += 1
            if what := _difference(ours, theirs, store):
                digest = theirs.digest if theirs else None
                differences.append(Difference(info.series, what, ours.digest, digest))
        differences += [
            Difference(series, "extra", None, store.digest(series)) for series in sorted(mirrored)
        ]
    finally:
        store.close()
    return Parity(mirror.name, compared, tuple(differences), find_mirror(connection, mirror.name).waiting)


def _difference(ours: SeriesStats, theirs: SeriesStats | None, store: Store) -> str:
    """In what a mirror's series differs; empty where it does not."""
    if theirs is None:
        return "missing"
    if ours.sha256 != theirs.sha256:
        return "bars"
    if not same_bars(ours, theirs, keeps_adjusted=isinstance(store, KeepsAdjusted)):
        return "adjusted closes"
    return "rows that are no bars" if theirs.refused_rows else ""


def _mirrored(store: Store, mirror: Mirror) -> set[Series]:
    """The series the mirror has; none while its first file is still to be made."""
    try:
        return {info.series for info in store.series(mirror.selection)}
    except SourceFileMissing:
        return set()
