"""Observers of the bars: late by their calendar, missing, drifted from `series`, flagged, refused, restated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
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
from hypertape.warehouse.findings.observer import Look, Observer, Row, options, rows, tickers_of
from hypertape.warehouse.loading.stored import relation

Connection = psycopg.Connection[Any]
Place = tuple[str, str]


def see_late(connection: Connection, at: Look) -> Iterator[Observation]:
    """Series further behind their calendar than the market allows.

    A ticker that was fresh when its source last answered and could not be loaded since is that failure's.
    """
    answered = {_key(row): row["answered_at"] for row in failing(connection, at)}
    for (market, interval), found in _by_place(rows(connection, "finding_series", **at.place)).items():
        late = [row for row in _behind(all_markets()[market], found, at.now, answered) if row["behind"] > 0]
        if late:
            yield _late(market, interval, late, len(found))


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


def _late(market: str, interval: str, late: list[Row], held: int) -> Observation:
    tickers, most = tickers_of(late), max(row["behind"] for row in late)
    newest = max(row["last_time"] for row in late)
    worst = sorted(late, key=lambda row: (-row["behind"], row["ticker"]))[:20]
    return Observation(
        cause=f"late/{market}/{interval}",
        kind="late",
        title=f"{len(tickers)} of {plural(held, 'ticker')} of {market} {interval} are behind their calendar, "
        f"by up to {plural(most, 'session')}: {some(tickers)}",
        mend=f"hypertape sync {options(market, interval, tickers)}",
        market=market,
        interval=interval,
        tickers=tickers,
        evidence={
            "newest_bar": newest,
            "allowed": all_markets()[market].freshness_sessions,
            "worst": [{name: row[name] for name in ("ticker", "last_time", "behind")} for row in worst],
        },
    )


def see_gaps(connection: Connection, at: Look) -> Iterator[Observation]:
    """Missing bars that nothing excuses. Of a ticker that was never loaded the failed load speaks, if there is one."""
    failed = {_key(row) for row in failing(connection, at)}
    found = rows(connection, "finding_gaps", explained=list(EXPLAINED), **at.place)
    found = [row for row in found if not (row["never_loaded"] and _key(row) in failed)]
    for (market, interval), missing in _by_place(found).items():
        tickers, bars = tickers_of(missing), sum(row["bars"] for row in missing)
        reasons = sorted({reason for row in missing for reason in row["reasons"]})
        yield Observation(
            cause=f"gaps/{market}/{interval}",
            kind="gaps",
            title=f"{plural(bars, 'bar')} of {plural(len(tickers), 'ticker')} of {market} {interval} "
            f"{'is' if bars == 1 else 'are'} missing ({', '.join(reasons)}): {some(tickers)}",
            mend=f"hypertape gaps heal {options(market, interval, tickers)}",
            market=market,
            interval=interval,
            tickers=tickers,
            essence=f"{bars} {','.join(tickers)}",
            evidence={
                "sessions": sum(row["sessions"] for row in missing),
                "bars": bars,
                "reasons": reasons,
                "first": min(row["first_missing"] for row in missing),
                "last": max(row["last_missing"] for row in missing),
            },
        )


def see_future(connection: Connection, at: Look) -> Iterator[Observation]:
    """Series marked as loaded beyond the present: later runs would not ask for them."""
    for (market, interval), found in _by_place(rows(connection, "finding_future", **at.place)).items():
        tickers, latest = tickers_of(found), max(row["watermark"] for row in found)
        yield Observation(
            cause=f"watermarks/{market}/{interval}",
            kind="watermarks",
            title=f"{plural(len(tickers), 'series', 'series')} of {market} {interval} ({some(tickers)}) marked as "
            f"loaded up to {format_instant(latest)}, which is in the future",
            mend=f"Synchronise the clocks; then hypertape sync {options(market, interval, tickers)}",
            market=market,
            interval=interval,
            tickers=tickers,
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
        yield Observation(
            cause=f"spans/{market.code}/{interval.value}",
            kind="spans",
            title=f"Bars of {plural(len(drifted), 'series', 'series')} of {market.code} {interval.value} were "
            f"written past hypertape: {some(drifted)}",
            mend=f"hypertape reindicate {market.code} {interval.value} --tickers {','.join(drifted[:20])}",
            market=market.code,
            interval=interval.value,
            tickers=drifted,
        )


def see_flags(connection: Connection, at: Look) -> Iterator[Observation]:
    """Bars that are stored as delivered although a rule finds fault with them."""
    for (market, interval), found in _by_place(rows(connection, "finding_flags", **at.place)).items():
        tickers, bars = tickers_of(found), sum(row["bars"] for row in found)
        rules = sorted({row["rule"] for row in found})
        yield Observation(
            cause=f"flags/{market}/{interval}",
            kind="flags",
            title=f"{plural(bars, 'bar')} of {plural(len(tickers), 'ticker')} of {market} {interval} "
            f"{'carries' if bars == 1 else 'carry'} a flag ({', '.join(rules)})",
            mend="hypertape report --output report.html",
            market=market,
            interval=interval,
            tickers=tickers,
            essence=f"{bars} {','.join(tickers)}",
            evidence={"bars": bars, "rules": rules},
        )


def see_refused(connection: Connection, at: Look) -> Iterator[Observation]:
    """Rows that the gate refused and nobody released."""
    for (market, interval), found in _by_place(rows(connection, "finding_refused", **at.place)).items():
        tickers, count = tickers_of(found), sum(row["refused"] for row in found)
        rules = sorted({row["rule"] for row in found})
        yield Observation(
            cause=f"quarantine/{market}/{interval}",
            kind="quarantine",
            title=f"{plural(count, 'refused row')} of {plural(len(tickers), 'ticker')} of {market} {interval} "
            f"{'is' if count == 1 else 'are'} kept in quarantine ({', '.join(rules)})",
            mend=f"hypertape quarantine list {options(market, interval)}",
            market=market,
            interval=interval,
            tickers=tickers,
            essence=f"{count} {','.join(tickers)}",
            evidence={"rows": count, "rules": rules},
        )


def see_restatements(connection: Connection, at: Look) -> Iterator[Observation]:
    """Restatements that are not settled: suspected, confirmed and not read again, given up in part, disputed."""
    for (market, interval), found in _by_place(rows(connection, "finding_restatements", **at.place)).items():
        tickers, states = tickers_of(found), sorted({row["state"] for row in found})
        yield Observation(
            cause=f"restatements/{market}/{interval}",
            kind="restatements",
            title=f"A vendor's change of {plural(len(tickers), 'ticker')} of {market} {interval} is not settled "
            f"({', '.join(states)}): {some(tickers)}",
            mend="hypertape restatements",
            market=market,
            interval=interval,
            tickers=tickers,
            essence=f"{','.join(states)} {','.join(tickers)}",
        )


def _key(row: Row) -> tuple[str, ...]:
    return (row["market"], row["interval"], row["ticker"])


def _by_place(found: Iterable[Row]) -> dict[Place, list[Row]]:
    """The rows of each market that is known and interval, in order."""
    places: dict[Place, list[Row]] = defaultdict(list)
    for row in found:
        if row["market"] in all_markets():
            places[row["market"], row["interval"]].append(row)
    return dict(sorted(places.items()))


BAR_OBSERVERS = (
    Observer(("late",), see_late),
    Observer(("gaps",), see_gaps),
    Observer(("watermarks",), see_future),
    Observer(("spans",), see_spans, costly=True),
    Observer(("flags",), see_flags),
    Observer(("quarantine",), see_refused),
    Observer(("restatements",), see_restatements),
)
