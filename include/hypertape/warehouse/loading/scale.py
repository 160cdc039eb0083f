"""The scale guard: prices in another unit are refused, unless declared splits explain the step.

The rule and why it is so: docs/decisions/0014-restatements.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg

from hypertape.errors import SuspectScale
from hypertape.frame import Bars, instant, micros
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, SeriesLoad
from hypertape.warehouse.loading.merge import Split, explained, guard_scale
from hypertape.warehouse.loading.stored import SeriesState, read_neighbours

Connection = psycopg.Connection[Any]


def refused_scale(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, stored: Bars, state: SeriesState | None
) -> SuspectScale | None:
    """Return why the incoming prices of a series are refused, if they are.

    `stored` are its bars around the incoming ones. Prices about ×1000, ×100, ÷100 or ÷1000 of theirs are accepted only
    where `splits` holds the splits that make them so, and the stored bars do not show these splits yet.
    """
    if request.accept_scale:
        return None
    try:
        guard_scale(stored, entry.incoming)
    except SuspectScale as error:
        splits = _unapplied_splits(connection, request, entry, stored, state)
        return None if splits and explained(stored, entry.incoming, splits) else error
    return None


def _unapplied_splits(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, stored: Bars, state: SeriesState | None
) -> list[Split]:
    """The declared splits after the first bar at hand that the stored prices do not show yet."""
    first = min(int(stored.time[0]), entry.span[0])
    rows = connection.execute(
        query("splits_since"), (request.market.code, entry.ticker, instant(first), request.now)
    ).fetchall()
    found = [Split(micros(time), ratio) for time, ratio in rows]
    return [
        split for split in found if state is None or not _applied(connection, request, entry, state, split)
    ]


def _applied(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, state: SeriesState, split: Split
) -> bool:
    """True when the stored prices go on over a split as if nothing had happened: they are on its footing already."""
    around = read_neighbours(
        connection,
        request.market,
        request.interval,
        {entry.ticker: state},
        {entry.ticker: (split.time, split.time - 1)},
    )
    before, after = around.get(entry.ticker, (Bars.empty(), Bars.empty()))
    if not len(before) or not len(after):
        return False
    step = float(np.log(after.close[0] / before.close[-1]))
    return abs(step) < abs(step + float(np.log(split.ratio)))
