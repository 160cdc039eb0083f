"""Planning a backfill of many tickers and years: one set-based query against a query per ticker, in one run."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
from benchmarks.result import Result, median_seconds
from psycopg import sql

from hypertape.calendars import sessions
from hypertape.markets import get_market
from hypertape.model import Interval, midnight
from hypertape.settings import Settings
from hypertape.steps.backfill_plan import parts_of, plan_backfill
from hypertape.steps.backfill_request import BackfillRequest, resolve
from hypertape.warehouse import backfills
from hypertape.warehouse.connect import connect

MARKET = get_market("vn")
START, END, NOW = date(2015, 1, 5), date(2025, 1, 4), midnight(date(2025, 1, 6))
MINUTE_SESSIONS = 20
"""Minutes are stored for so many sessions only: ten years of 500 tickers are 280 million bars."""

_FILL = """
insert into {relation} (ticker, time, open, high, low, close, volume, load_id)
select 'T' || lpad(ticker::text, 4, '0'), day.opens + step * {width}, 10, 11, 9, 10, 1000, 0
from unnest(%s::timestamptz[]) as day (opens), generate_series(1, %s) as ticker, generate_series(0, %s - 1) as step
where (ticker * 31 + extract(epoch from day.opens)::bigint / 86400 + step) %% 50 <> 0
"""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure plans of ten years for 500 tickers (quick: 50) in every interval; one bar in fifty is missing."""
    tickers = [f"T{number:04d}" for number in range(1, 51 if quick else 501)]
    results = []
    for interval, bars in ((Interval.D1, 1), (Interval.H1, 5), (Interval.M1, 225)):
        with connect(dsn, autocommit=True) as connection:
            stored = _fill(connection, interval, len(tickers), bars)
            results += _measure(dsn, connection, interval, tickers, stored)
            connection.execute(sql.SQL("truncate {}").format(_relation(interval)))
    return results


def _measure(
    dsn: str, connection: psycopg.Connection, interval: Interval, tickers: list[str], stored: int
) -> list[Result]:
    asked = BackfillRequest(
        tickers=tickers,
        start=midnight(START),
        end=midnight(END),
        source={"name": "csv_tree", "directory": "."},
    )
    settings = Settings()
    wish = resolve(connection, MARKET, interval, asked, NOW, settings)
    judged = [(s, n) for n, part in enumerate(parts_of(wish, NOW, settings)) for s in part.sessions]
    days, parts = [session for session, _ in judged], [number for _, number in judged]

    def whole() -> object:
        return plan_backfill(dsn, "vn", interval.value, asked, run_id="benchmark", now=NOW, settings=settings)

    def together() -> object:
        return backfills.present(connection, MARKET, interval, tickers, wish.window, days, parts)

    def one_by_one() -> object:
        return [
            backfills.present(connection, MARKET, interval, [t], wish.window, days, parts) for t in tickers
        ]

    plan, query, loop = median_seconds(
        whole, together, one_by_one, repeat=1 if interval is Interval.M1 else 3
    )
    what = f"{len(tickers)} tickers × 10 years of {interval.value}, {stored:,} bars stored"
    return [
        Result(f"plan {what}: all of it", plan, "s"),
        Result(f"plan {what}: bars present, against a query per ticker", query, "s", loop / query, 1.0),
    ]


def _fill(connection: psycopg.Connection, interval: Interval, tickers: int, bars: int) -> int:
    found = sessions(MARKET, START, END)
    if interval is Interval.D1:
        opens = [midnight(session.date) for session in found]
    else:
        opens = [
            session.opens for session in (found[-MINUTE_SESSIONS:] if interval is Interval.M1 else found)
        ]
    connection.execute("set timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    connection.execute(sql.SQL("truncate {}").format(_relation(interval)))
    width = sql.Literal(interval.delta or timedelta(0))
    statement = sql.SQL(_FILL).format(relation=_relation(interval), width=width)
    stored = connection.execute(statement, (opens, tickers, bars)).rowcount
    connection.execute(sql.SQL("analyze {}").format(_relation(interval)))
    return stored


def _relation(interval: Interval) -> sql.Identifier:
    return sql.Identifier("bars", MARKET.relation(interval))
