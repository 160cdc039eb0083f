"""Ten million bars to Parquet and back: seconds, memory, digests; and DuckDB's answer beside SQL's."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta

import duckdb
import pyarrow as pa
from benchmarks.copy_run import Copied, measured
from benchmarks.data import require_loaded, walks
from benchmarks.result import Result
from benchmarks.server import warehouse

from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.read import digests

MARKET, INTERVAL = get_market("crypto"), Interval.M1
START, NOW = utc(2023), utc(2026)
SERIES = 20
MEMORY_MB = 500.0
_ASKED = "select ticker, count(*), min(low), max(high), min(time), max(time) from {} group by 1 order by 1"


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure 10,000,000 (quick: 400,000) minute bars out of one warehouse and into another."""
    bars = 20_000 if quick else 500_000
    label = f"{SERIES * bars:,} bars"
    with (
        tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory,
        warehouse(dsn) as one,
        warehouse(dsn) as other,
    ):
        _fill(one, bars)
        place = f"parquet:{directory}/tape"
        out = measured("warehouse", place, one)
        again = measured("warehouse", place, one)
        back = measured(place, "warehouse", other)
        assert (out.read, back.inserted) == (SERIES * bars, SERIES * bars)
        with connect(one) as connection, connect(other) as second:
            assert list(digests(connection, MARKET, INTERVAL)) == list(digests(second, MARKET, INTERVAL))
        seconds = _same_by_duckdb(one, f"{directory}/tape")
    return [
        *_told(f"{label} to Parquet", out),
        *_told("the same again: read and compared, nothing written", again),
        *_told("and back into another warehouse, digests equal", back),
        Result("DuckDB's answer over the Parquet, equal to SQL's", seconds, "s"),
    ]


def _told(name: str, done: Copied) -> list[Result]:
    return [
        Result(f"{name}: {done.seconds:.1f} s", done.read / done.seconds, "bars/s"),
        Result(f"{name}: peak memory (500 MB vs it)", done.peak_mb, "MB", MEMORY_MB / done.peak_mb, 1.0),
    ]


def _fill(dsn: str, bars: int) -> None:
    request = LoadRequest(MARKET, INTERVAL, "benchmark", "benchmark", Window(START, NOW), NOW)
    with connect(dsn) as connection:
        for series in range(SERIES):
            table = walks(1, bars, START, timedelta(minutes=1), seed=series)
            named = table.set_column(0, "ticker", pa.array([f"T{series:04d}"] * bars))
            done = load_bars(connection, named, request)
            require_loaded(done, bars)
            connection.commit()


def _same_by_duckdb(dsn: str, place: str) -> float:
    files = f"read_parquet('{place}/**/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as reader, connect(dsn) as connection:
        reader.execute("set timezone = 'UTC'")
        started = time.perf_counter()
        found = reader.execute(_ASKED.format(files)).fetchall()
        seconds = time.perf_counter() - started
        assert found == connection.execute(_ASKED.format("crypto_data_1m").encode()).fetchall()
    return seconds
