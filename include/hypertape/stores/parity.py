"""The proof that a mirror holds what the warehouse holds: every series' digest on both sides.

Stricter than `copy.verify`, which passes both sides through the gate and looks one way: a mirror has nothing but
what the warehouse gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from hypertape.digest import SeriesDigest
from hypertape.errors import SourceFileMissing
from hypertape.markets import all_markets
from hypertape.model import Interval, Series
from hypertape.stores import Store
from hypertape.stores.mirrors import Mirror, demand_present, find_mirror
from hypertape.warehouse.read import digests

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One series that is not the same on both sides; None where a side has no bars of it."""

    series: Series
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


def parity(connection: Connection, mirror: Mirror, open_target: Callable[[], Store]) -> Parity:
    """Compare the digests (time, prices and volume) of every series the mirror receives, and look for strays in it.

    A load between the two readings of a series shows as a difference; run it again when loads are under way. Raises
    StoreAway when the mirror is not there, and what its store and the warehouse raise.
    """
    demand_present(mirror)
    store = open_target()
    try:
        kept = _kept(store, mirror)
        differences, compared = [], 0
        for series, ours in _stored(connection, mirror):
            theirs = store.digest(series) if series in kept else None
            kept.discard(series)
            compared += 1
            if theirs is None or theirs.sha256 != ours.sha256:
                differences.append(Difference(series, ours, theirs))
        differences += [Difference(series, None, store.digest(series)) for series in sorted(kept)]
    finally:
        store.close()
    return Parity(mirror.name, compared, tuple(differences), find_mirror(connection, mirror.name).waiting)


def _kept(store: Store, mirror: Mirror) -> set[Series]:
    """The series the mirror has; none while its first file is still to be made."""
    try:
        return {info.series for info in store.series(mirror.selection)}
    except SourceFileMissing:
        return set()


def _stored(connection: Connection, mirror: Mirror) -> Iterator[tuple[Series, SeriesDigest]]:
    for market in all_markets().values():
        for interval in market.intervals:
            if mirror.selection.covers(Series(market.code, "", Interval(interval))):
                for found in digests(connection, market, interval):
                    yield Series(market.code, found.ticker, interval), found
