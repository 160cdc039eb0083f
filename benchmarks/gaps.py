"""The gap ledger at the size of a market: 500 daily tickers over ten years, with late listings and scattered holes.

The ratio compares judging everything with merely reading every bar's ticker and time once, in the same database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks.result import Result

from hypertape.calendars import expected_times
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps

VN = get_market("vn")
NOW = utc(2025, 1, 1)

_BARS = """
insert into bars.market_data_1d (ticker, time, open, high, low, close, volume, load_id)
select 'G' || lpad(k::text, 4, '0'), time, 1, 1, 1, 1, 1, 1
from generate_series(1, %s) as k cross join unnest(%s::timestamptz[]) as time
where (k %% 5 <> 0 or time > '2015-01-05'::timestamptz + make_interval(days => k))
    and (k * 7919 + extract(epoch from time)::bigint / 86400) %% 499 <> 0
"""
_SERIES = """
insert into series (market, interval, ticker, first_time, last_time)
select 'vn', '1d', ticker, min(time), max(time) from bars.market_data_1d where ticker like 'G%' group by ticker
"""
_LOADS = """
insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, code_version)
select 'gaps-' || day::date, 'vn', '1d', ticker, 'benchmark', day - interval '14 days', day + interval '510 minutes',
    'loaded', 'benchmark'
from generate_series(%s::timestamptz, %s::timestamptz, interval '1 day') as day cross join series
where ticker like 'G%%' and market = 'vn' and interval = '1d' and extract(isodow from day) < 6
"""
_FIRST = """
insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, code_version)
select 'gaps-first', 'vn', '1d', ticker, 'benchmark', '2015-01-05', '2024-01-01', 'loaded', 'benchmark'
from series where ticker like 'G%' and market = 'vn' and interval = '1d'
"""
_TODAY = """
insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, code_version)
select 'gaps-today', 'vn', '1d', ticker, 'benchmark', '2024-12-18', '2024-12-31 08:30', 'loaded', 'benchmark'
from series where ticker like 'G%' and market = 'vn' and interval = '1d' order by ticker limit 300
"""
_READ = "select ticker, array_agg(time) from bars.market_data_1d where ticker like 'G%' group by ticker"


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Judge everything twice (the second time writes nothing) and one daily run of 300 tickers."""
    tickers = 100 if quick else 500
    with connect(dsn, autocommit=True) as connection:
        span = Window(utc(2015, 1, 5), NOW)
        times = [instant(int(moment)) for moment in expected_times(VN, Interval.D1, span)]
        connection.execute(_BARS, (tickers, times))
        connection.execute(_SERIES)
        connection.execute(_FIRST)
        connection.execute(_LOADS, (utc(2024, 1, 2), NOW - timedelta(days=1)))
        connection.execute(_TODAY)
        connection.execute("analyze")
        read = min(_seconds(lambda: connection.execute(_READ).fetchall()) for _ in range(2))
        names = [f"G{number:04}" for number in range(1, tickers + 1)]

        def note(run_id: str, of: list[str] | None = None) -> object:
            return note_gaps(connection, VN, Interval.D1, None, NOW, run_id, tickers=of)

        first, again = (_seconds(lambda: note("gaps-find", names)) for _ in range(2))
        daily = _seconds(lambda: note("gaps-today"))
    years = f"{tickers} tickers x 10 years"
    return [
        Result(f"find the gaps of {years}, from nothing", first, "s", read / first),
        Result(f"again, nothing new (peer: reading {years} once)", again, "s", read / again),
        Result("note the gaps of a daily run of 300 tickers", daily, "s", read / daily),
    ]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
