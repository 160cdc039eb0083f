"""Looking: every observer asked, what follows from another cause left to that, and the ledger brought up to date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg

from hypertape.warehouse.findings.ledger import Changes, Looked, Observation, hold, keep
from hypertape.warehouse.findings.observe_backups import BACKUP_OBSERVERS
from hypertape.warehouse.findings.observe_bars import BAR_OBSERVERS
from hypertape.warehouse.findings.observe_checks import CHECK_OBSERVERS
from hypertape.warehouse.findings.observe_stream import STREAM_OBSERVERS
from hypertape.warehouse.findings.observe_work import WORK_OBSERVERS
from hypertape.warehouse.findings.observer import Look, Observer

__all__ = ["Look", "look", "observe"]

Connection = psycopg.Connection[Any]

OBSERVERS: tuple[Observer, ...] = (
    *WORK_OBSERVERS,
    *STREAM_OBSERVERS,
    *BAR_OBSERVERS,
    *CHECK_OBSERVERS,
    *BACKUP_OBSERVERS,
)

EXPLAINED_BY = {"late": ("source",), "gaps": ("source",), "check": ("source", "late", "gaps")}
"""What may follow from what: a dead vendor's tickers are late and have gaps, and checks find both."""


def look(connection: Connection, at: Look) -> Changes:
    """Ask every observer about a place (or all), and keep what they see; commits nothing."""
    hold(connection)
    observed, looked_at = observe(connection, at)
    return keep(connection, observed, looked_at, at.now, at.run_id)


def look_at(connection: Connection, observers: Sequence[Observer], at: Look) -> Changes:
    """Ask some observers that look everywhere, and keep what they see; commits nothing."""
    hold(connection)
    observed = [seen for observer in observers for seen in observer.see(connection, at)]
    return keep(connection, observed, [Looked(each.kinds) for each in observers], at.now, at.run_id)


def observe(connection: Connection, at: Look) -> tuple[list[Observation], list[Looked]]:
    """What is wrong now, and where was looked."""
    observers = [observer for observer in OBSERVERS if at.thorough or not observer.costly]
    observed = [seen for observer in observers for seen in observer.see(connection, at)]
    where = {"place": (at.market, at.interval), "market": (at.market, None), "everywhere": (None, None)}
    looked_at = [Looked(observer.kinds, *where[observer.reach]) for observer in observers]
    return fold(observed), looked_at


def fold(observed: Sequence[Observation]) -> list[Observation]:
    """Leave out what only follows from another cause: its tickers are all among those of causes that explain it."""
    reach: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for seen in observed:
        for market, interval, tickers in places_of(seen):
            reach[seen.kind, market, interval] |= tickers
    kept = []
    for seen in observed:
        explained: set[str] = set()
        for kind in EXPLAINED_BY.get(seen.kind, ()) if seen.evidence.get("follows", True) else ():
            explained |= reach[kind, seen.market or "", seen.interval or ""]
        if not seen.tickers or not explained.issuperset(seen.tickers):
            kept.append(replace(seen, evidence={k: v for k, v in seen.evidence.items() if k != "follows"}))
    return kept


def places_of(seen: Observation) -> list[tuple[str, str, set[str]]]:
    """The markets and intervals an observation is about, with its tickers there."""
    if "places" in seen.evidence:
        return [
            (place["market"], place["interval"], set(place["tickers"])) for place in seen.evidence["places"]
        ]
    return [(seen.market or "", seen.interval or "", set(seen.tickers))]
