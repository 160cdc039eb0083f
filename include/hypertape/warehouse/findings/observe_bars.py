"""Observers of the bars: late by their calendar, missing, drifted from `series`, flagged, refused, restated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hypertape import calendars
from hypertape.markets import all_markets
from hypertape.model import EXPLAINED, Interval, Market, format_instant
from hypertape.queries import query
from hypertape.warehouse.findings.headline import plural, some
from hypertape.warehouse.findings.ledger import Observation
from hypertape.warehouse.findings.observe_work import failing
from hypertape.warehouse.findings.observer import Look, Observer, Place, Row, by_place, rows, tickers_of
from hypertape.warehouse.loading.stored import relation

Connection = psycopg.Connection[Any]


def see_late(connection: Connection, at: Look) -> Iterator[Observation]:
    """Series further behind their calendar than the market allows.

    A ticker that was fresh when its source last answered and could not be loaded since is that failure's.
    """
    answered = {_key(row): row["answered_at"] for row in failing(connection, at)}
    for place in _places(connection, at, "finding_series"):
        market = all_markets()[place.market]
        late = [row for row in _behind(market, place.found, at.now, answered) if row["behind"] > 0]
        if late:
            yield _late(place, late, market.freshness_sessions)


def _behind(
    market: Market, found: Iterable[Row], now: datetime, answered: dict[tuple[str, ...], datetime | None]
) -> Iterator[Row]:
    lags: dict[tuple[datetime, datetime], int] = {}
    for row in found:
        lag = _lag(market, row["last_time"], now, lags) - row["holidays"]
        if lag <= market.freshness_sessions:
            continue
        last_answer = answered.get(_key(row))
        if last_answer and _lag(market, row["last_time"], last_answer, lags) <= market.freshness_sessions:
            continue
        yield {**row, "behind": lag}


def _lag(market: Market, newest: datetime, now: datetime, known: dict[tuple[datetime, datetime], int]) -> int:
    if (newest, now) not in known:
        known[newest, now] = calendars.session_lag(market, newest, now)
    return known[newest, now]


def _late(place: Place, late: list[Row], allowed: int) -> Observation:
    tickers, most = tickers_of(late), max(row["behind"] for row in late)
    worst = sorted(late, key=lambda row: (-row["behind"], row["ticker"]))[:20]
    return place.observation(
        "late",
        f"{len(tickers)} of {plural(len(place.found), 'ticker')} of {place} are behind their calendar, "
        f"by up to {plural(most, 'session')}: {some(tickers)}",
        f"hypertape sync {place.options(tickers)}",
        tickers=tickers,
        evidence={
            "newest_bar": max(row["last_time"] for row in late),
            "allowed": allowed,
            "worst": [{name: row[name] for name in ("ticker", "last_time", "behind")} for row in worst],
        },
    )


def see_gaps(connection: Connection, at: Look) -> Iterator[Observation]:
    """Missing bars that nothing excuses. Of a ticker that was never loaded the failed load speaks, if there is one."""
    failed = {_key(row) for row in failing(connection, at)}
    for place in _places(
        connection,
        at,
        "finding_gaps",
        unless=lambda row: row["never_loaded"] and _key(row) in failed,
        explained=list(EXPLAINED),
    ):
        bars = place.total("bars")
        reasons = sorted({reason for row in place.found for reason in row["reasons"]})
        yield place.observation(
            "gaps",
            f"{plural(bars, 'bar')} of {place.whose} {'is' if bars == 1 else 'are'} missing "
            f"({', '.join(reasons)}): {some(place.tickers)}",
            f"hypertape gaps heal {place.options(place.tickers)}",
            amount=bars,
            evidence={
                "sessions": place.total("sessions"),
                "bars": bars,
                "reasons": reasons,
                "first": min(row["first_missing"] for row in place.found),
                "last": max(row["last_missing"] for row in place.found),
            },
        )


def see_future(connection: Connection, at: Look) -> Iterator[Observation]:
    """Series marked as loaded beyond the present: later runs would not ask for them."""
    for place in _places(connection, at, "finding_future"):
        tickers, latest = place.tickers, max(row["watermark"] for row in place.found)
        yield place.observation(
            "watermarks",
            f"{plural(len(tickers), 'series', 'series')} of {place} ({some(tickers)}) marked as loaded up to "
            f"{format_instant(latest)}, which is in the future",
            f"Synchronise the clocks; then hypertape sync {place.options(tickers)}",
        )


def see_spans(connection: Connection, at: Look) -> Iterator[Observation]:
    """Series whose first and last bar are not those that `series` names: bars were written past hypertape."""
    for market in all_markets().values():
        for interval in market.intervals:
            if at.market in (None, market.code) and at.interval in (None, interval.value):
                yield from _spans(connection, market, interval)


def _spans(connection: Connection, market: Market, interval: Interval) -> Iterator[Observation]:
    statement = query("doctor_spans").format(bars=relation(market, interval))
    found = connection.execute(statement, (market.code, interval.value)).fetchall()
    drifted = tuple(ticker for ticker, same in found if not same)
    if drifted:
        place = Place(market.code, interval.value)
        yield place.observation(
            "spans",
            f"Bars of {plural(len(drifted), 'series', 'series')} of {place} were written past hypertape: "
            f"{some(drifted)}",
            f"hypertape reindicate {place} --tickers {','.join(drifted[:20])}",
            tickers=drifted,
        )


def see_flags(connection: Connection, at: Look) -> Iterator[Observation]:
    """Bars that are stored as delivered although a rule finds fault with them."""
    for place in _places(connection, at, "finding_flags"):
        bars, rules = place.total("bars"), place.distinct("rule")
        yield place.observation(
            "flags",
            f"{plural(bars, 'bar')} of {place.whose} {'carries' if bars == 1 else 'carry'} a flag "
            f"({', '.join(rules)})",
            "Nothing: they are stored as delivered, and a correction of the vendor's takes the flag away",
            amount=bars,
            evidence={"bars": bars, "rules": rules},
        )


def see_refused(connection: Connection, at: Look) -> Iterator[Observation]:
    """Rows that the gate refused and nobody released."""
    for place in _places(connection, at, "finding_refused"):
        count, rules = place.total("refused"), place.distinct("rule")
        yield place.observation(
            "quarantine",
            f"{plural(count, 'refused row')} of {place.whose} {'is' if count == 1 else 'are'} kept in quarantine "
            f"({', '.join(rules)})",
            f"Once the rule is mended, or the vendor's bar has come: hypertape quarantine replay {place.options()}",
            amount=count,
            evidence={"rows": count, "rules": rules},
        )


def see_restatements(connection: Connection, at: Look) -> Iterator[Observation]:
    """Restatements that are not settled: suspected, confirmed and not read again, given up in part, disputed."""
    for place in _places(connection, at, "finding_restatements"):
        states = place.distinct("state")
        yield place.observation(
            "restatements",
            f"A vendor's change of {place.whose} is not settled ({', '.join(states)}): {some(place.tickers)}",
            _settles(place, states),
            amount=",".join(states),
        )


def _settles(place: Place, states: Sequence[str]) -> str:
    """Another run examines what is suspected; what was given up or is disputed needs somebody's word."""
    if {"suspected", "confirmed"} & set(states):
        return f"hypertape sync {place.options(place.tickers)}"
    named = f" --tickers {','.join(place.tickers[:20])}"
    return (
        f"hypertape backfill {place}{named} --mode restate --reason 'the source that is believed' --no-dry-run; "
        "or wait until its own source answers for all of it"
    )


def _key(row: Row) -> tuple[str, ...]:
    return (row["market"], row["interval"], row["ticker"])


def _places(
    connection: Connection,
    at: Look,
    statement: str,
    *,
    unless: Callable[[Row], bool] = lambda row: False,
    **parameters: Any,
) -> list[Place]:
    """What a statement finds where the look is, by place; rows of markets nobody knows any more left out."""
    found = rows(connection, statement, **parameters, **at.place)
    return by_place(row for row in found if row["market"] in all_markets() and not unless(row))


BAR_OBSERVERS = (
    Observer(("late",), see_late),
    Observer(("gaps",), see_gaps),
    Observer(("watermarks",), see_future),
    Observer(("spans",), see_spans, costly=True),
    Observer(("flags",), see_flags),
    Observer(("quarantine",), see_refused),
    Observer(("restatements",), see_restatements),
)
