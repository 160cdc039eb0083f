"""CSV trees into the warehouse and out of it, beside PostgreSQL's own COPY of the same rows as CSV."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psycopg
from benchmarks.copy_run import Copied, measured
from benchmarks.data import require_loaded, walks
from benchmarks.result import Result
from benchmarks.server import warehouse
from psycopg import sql

from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, PRICE_COLUMNS, Interval, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars

MARKET, INTERVAL = get_market("crypto"), Interval.M1
START, NOW = utc(2024), utc(2026)
COLUMNS = ("ticker", "time", *PRICE_COLUMNS, "volume", *INDICATOR_COLUMNS)
MEMORY_MB, EXPORT_TIMES, IMPORT_TIMES = 300.0, 0.9, 1.5
"""SPEC 14: memory with two workers; speed of one worker, of COPY TO's and of COPY FROM's into a table with a key."""


_OUT = "copy (select {columns} from {bars} order by ticker, time) to stdout (format csv, header)"
_MADE = 'create table {raw} (ticker text collate "C", time timestamptz, {values}, primary key (ticker, time))'
_IN = "copy {raw} ({columns}) from stdin (format csv, header)"


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure export and import of one market's minute bars, 20 columns, one and two workers."""
    series, bars = 20, 10_000 if quick else 50_000
    label = f"{series * bars:,} bars in {series} files of 20 columns"
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory, warehouse(dsn) as filled:
        _fill(filled, series, bars)
        lump = Path(directory) / "all.csv"
        floor = series * bars / _copy_out(filled, lump)
        results.append(Result(f"COPY TO, one CSV file of {series * bars:,} bars", floor, "rows/s"))
        for workers in (1, 2):
            place = f"csv:{directory}/tree{workers}"
            done = measured("warehouse", place, filled, workers)
            asked = EXPORT_TIMES if workers == 1 else None
            results += _told(f"export, {label}, {workers} worker(s) (vs COPY TO)", done, floor, asked)
        floor = series * bars / _copy_in(dsn, lump)
        results.append(Result("COPY FROM of the same file, keyed table", floor, "rows/s"))
        for workers in (1, 2):
            with warehouse(dsn) as empty:
                done = measured(f"csv:{directory}/tree1", "warehouse", empty, workers)
            asked = IMPORT_TIMES if workers == 1 else None
            name = f"import, gate and indicators included, {workers} worker(s) (vs COPY FROM)"
            results += _told(name, done, floor, asked)
    return results


def _told(name: str, done: Copied, floor: float, asked: float | None) -> list[Result]:
    speed = done.read / done.seconds
    memory = Result(
        f"{name.partition(' (')[0]}: peak memory ({MEMORY_MB:g} MB vs it)",
        done.peak_mb,
        "MB",
        MEMORY_MB / done.peak_mb,
        1.0,
    )
    return [Result(name, speed, "rows/s", speed / floor, asked), memory]


def _fill(dsn: str, series: int, bars: int) -> None:
    request = LoadRequest(MARKET, INTERVAL, "benchmark", "benchmark", Window(START, NOW), NOW)
    with connect(dsn) as connection:
        done = load_bars(connection, walks(series, bars, START, timedelta(minutes=1)), request)
        require_loaded(done, series * bars)
        connection.commit()


def _copy_out(dsn: str, path: Path) -> float:
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL(_OUT).format(columns=names, bars=sql.Identifier(MARKET.relation(INTERVAL)))
    started = time.perf_counter()
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor().copy(statement) as rows,
        path.open("wb") as file,
    ):
        for piece in rows:
            file.write(piece)
    return time.perf_counter() - started


def _copy_in(dsn: str, path: Path) -> float:
    """The file into a table with the same key and nothing else."""
    values = sql.SQL(", ").join(sql.SQL("{} float8").format(sql.Identifier(name)) for name in COLUMNS[2:])
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    raw = sql.Identifier("raw")
    with warehouse(dsn) as empty, psycopg.connect(empty) as connection:
        connection.execute(sql.SQL(_MADE).format(raw=raw, values=values))
        connection.commit()
        started = time.perf_counter()
        with (
            connection.cursor().copy(sql.SQL(_IN).format(raw=raw, columns=names)) as rows,
            path.open("rb") as file,
        ):
            while piece := file.read(1 << 20):
                rows.write(piece)
        connection.commit()
    return time.perf_counter() - started
