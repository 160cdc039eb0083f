"""Observers of work: failed loads and whose fault it was, sources, mirrors, workers, dead letters, waiting rollups."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg

from hypertape.model import format_instant
from hypertape.warehouse.claims import LEASE
from hypertape.warehouse.findings.headline import plural, some
from hypertape.warehouse.findings.ledger import Observation
from hypertape.warehouse.findings.observer import Look, Observer, Place, Row, by_place, rows, tickers_of
from hypertape.warehouse.rollups import ABANDONED
from hypertape.warehouse.source_state import SourceState, source_states

Connection = psycopg.Connection[Any]

AWAY = ("SourceUnavailable", "RateLimited", "CircuitOpen")
"""Errors that say nothing of a ticker: its source did not answer. One source that does not is one cause."""

MIRROR_PATIENCE = timedelta(hours=1)
"""A mirror that nobody could reach for so long is behind; what waits for less may be on its way."""


def failing(connection: Connection, at: Look, *, everywhere: bool = False) -> list[Row]:
    """The series whose newest load failed; `answered_at` is when one last succeeded."""
    place = {"market": None, "interval": None} if everywhere else at.place
    return rows(connection, "finding_failing", **place)


def see_sources(connection: Connection, at: Look) -> Iterator[Observation]:
    """Sources that do not answer: one finding each, with all tickers of all places that lack an answer for it."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in failing(connection, at, everywhere=True):
        if row["error_kind"] in AWAY:
            by_source[row["source"]].append(row)
    states = {state.source: state for state in source_states(connection, at.pause)}
    for source, found in sorted(by_source.items()):
        yield _source_away(source, found, states.get(source))
    for source, state in sorted(states.items()):
        if state.state != "closed" and source not in by_source:
            yield Observation(
                cause=f"source/{source}",
                kind="source_paused",
                title=f"{source} does not answer and is left alone for now",
                mend=f"It is tried again by itself; at once: hypertape source reset {source}",
                evidence={"error": state.last_error, "failures": state.failures},
            )


def _source_away(source: str, found: Sequence[Row], state: SourceState | None) -> Observation:
    places, tickers = by_place(found), tickers_of(found)
    one = places[0] if len(places) == 1 else None
    first = next((row for row in found if row["error_kind"] != "CircuitOpen"), found[0])
    again = "; ".join(f"hypertape sync {place.options()}" for place in places)
    return Observation(
        cause=f"source/{source}",
        kind="source",
        title=f"{source} does not answer: {plural(len(tickers), 'ticker')} of {', '.join(map(str, places))} not loaded",
        mend=f"When it answers again (hypertape source status), by the next run, or: {again}",
        market=one.market if one else None,
        interval=one.interval if one else None,
        tickers=tickers,
        evidence={
            "error": first["error"],
            "last_tried": max(row["loaded_at"] for row in found),
            "circuit": state.state if state else None,
            "places": [
                {"market": place.market, "interval": place.interval, "tickers": list(place.tickers)}
                for place in places
            ],
        },
    )


def see_loads(connection: Connection, at: Look) -> Iterator[Observation]:
    """Loads that failed for a reason of their own, grouped by the error's kind and its source."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in failing(connection, at):
        if row["error_kind"] not in AWAY:
            kind = row["error_kind"] or "error"
            groups[row["market"], row["interval"], row["source"], kind].append(row)
    for (market, interval, source, kind), found in sorted(groups.items()):
        place = Place(market, interval, found)
        yield place.observation(
            "loads",
            f"{place.whose} could not be loaded from {source} ({kind}): {some(place.tickers)}",
            f"hypertape sync {place.options(place.tickers)}",
            of=(source, kind),
            evidence={"error": found[0]["error"], "run": found[0]["run_id"]},
        )


def see_waiting(connection: Connection, at: Look) -> Iterator[Observation]:
    """Rollups older than their bars for longer than a run would leave them so."""
    for row in rows(connection, "finding_waiting", age=ABANDONED, **at.place):
        since = f" since {format_instant(row['since'])}" if row["since"] else ""
        place = Place(row["market"], row["interval"])
        yield place.observation(
            "rollups_wait",
            f"Rollups of {place} wait for their refresh{since}",
            f"hypertape gaps find {place.options()}",
            essence="",
            evidence={name: row[name] for name in ("ranges", "first_changed", "last_changed")},
        )


def see_mirrors(connection: Connection, at: Look) -> Iterator[Observation]:
    """Mirrors that do not receive what loads change."""
    for row in rows(connection, "finding_mirrors", now=at.now, patience=MIRROR_PATIENCE):
        paused = "" if row["enabled"] else " (it is paused)"
        yield Observation(
            cause=f"mirror/{row['mirror']}",
            kind="mirror",
            title=f"The mirror {row['mirror']} is behind since {format_instant(row['since'])}{paused}",
            mend=f"hypertape mirror deliver {row['mirror']}",
            essence=str(row["enabled"]),
            evidence={"series": row["series"], "address": row["address"], "error": row["last_error"]},
        )


def see_workers(connection: Connection, at: Look) -> Iterator[Observation]:
    """Workers that are silent while they hold work."""
    for row in rows(connection, "finding_workers", lease=LEASE):
        since = f" since {format_instant(row['beat_at'])}" if row["beat_at"] else ""
        what = f", holding {plural(row['units'], 'unit')} of {row['kind']}" if row["units"] else ""
        yield Observation(
            cause=f"worker/{row['kind']}/{row['worker']}",
            kind="worker",
            title=f"The {'stream' if row['kind'] == 'stream' else 'worker'} {row['worker']} is silent{since}{what}",
            mend="Start it again: what it left in its spool is stored first, and what it missed becomes a gap."
            if row["kind"] == "stream"
            else "Start it again: the next worker takes what it held.",
            essence="",
            evidence={"host": row["host"], "units": row["units"], "kind": row["kind"]},
        )


def see_letters(connection: Connection, at: Look) -> Iterator[Observation]:
    """What feeds delivered and nobody could store."""
    for row in rows(connection, "finding_letters"):
        yield Observation(
            cause=f"letters/{row['source']}/{row['kind']}",
            kind="letters",
            title=f"{plural(row['letters'], row['kind'])} of {row['source']} could not be stored",
            mend=f"hypertape stream dead-letters --source {shlex.quote(row['source'])}; mend what the error names; "
            "then hypertape stream replay --dead-letter",
            essence=str(row["letters"]),
            evidence={"since": row["since"], "error": row["error"]},
        )


def see_channels(connection: Connection, at: Look) -> Iterator[Observation]:
    """Channels that do not take messages."""
    for row in rows(connection, "finding_channels"):
        yield Observation(
            cause=f"notify/{row['channel']}",
            kind="notify",
            title=f"The channel {row['channel']} takes no messages since {format_instant(row['since'])}",
            mend="Mend its address in HYPERTAPE_NOTIFY or its server; then hypertape notify send",
            essence="",
            evidence={"waiting": row["waiting"], "error": row["error"]},
        )


def see_listings(connection: Connection, at: Look) -> Iterator[Observation]:
    """Tickers that are loaded and that the vendors list no more: one finding a market."""
    by_market: dict[str, list[Row]] = defaultdict(list)
    for row in rows(connection, "finding_listings", market=at.market):
        by_market[row["market"]].append(row)
    for market, found in sorted(by_market.items()):
        tickers = tickers_of(found)
        became = {row["ticker"]: row["became"] for row in found if row["became"]}
        told = [f"{ticker} (now {became[ticker]})" if ticker in became else ticker for ticker in tickers]
        yield Observation(
            cause=f"listing/{market}",
            kind="listing",
            title=f"{plural(len(tickers), 'ticker')} of {market} listed no more: {some(told)}",
            mend=f"hypertape symbols list -m {market} --state delisted; then take them out of the market's list",
            market=market,
            tickers=tickers,
            essence=",".join(told),
            evidence={
                "became": became,
                "sources": sorted({name for row in found for name in row["sources"]}),
            },
        )


WORK_OBSERVERS = (
    Observer(("source", "source_paused"), see_sources, reach="everywhere"),
    Observer(("loads",), see_loads),
    Observer(("rollups_wait",), see_waiting),
    Observer(("mirror",), see_mirrors, reach="everywhere"),
    Observer(("worker",), see_workers, reach="everywhere"),
    Observer(("letters",), see_letters, reach="everywhere"),
    Observer(("notify",), see_channels, reach="everywhere"),
    Observer(("listing",), see_listings, reach="market"),
)
