"""A SQLite file into the warehouse, beside pgloader and pandas on the same file and the same server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from benchmarks.result import Result
from benchmarks.server import warehouse
from benchmarks.sqlite_files import dual_write, stockula
from psycopg import conninfo, sql

MEMORY_MB, PGLOADER_TIMES = 500.0, 3.0
_SLICE = 50_000
"""Rows pandas gets: it would take minutes for all."""

_LOAD = """
load database from sqlite://{path} into {target}
with include drop, create tables, create no indexes, no foreign keys, reset no sequences
cast type float to float8 using float-to-string, type real to float8 using float-to-string;
"""
"""At its fastest: no keys and no indexes. Without the casts it would keep float4, which loses half of each price."""

SCHEMAS: dict[str, tuple[str, str, str, Callable[[Path, int], Path]]] = {
    "Stockula": ("stockula", "price_history", "symbol", stockula),
    "dual-write": ("sqlite", "us_minute", "ticker", dual_write),
}


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure both schemas. Times are of whole processes, their start included, ours as pgloader's."""
    bars = 500_000 if quick else 5_000_000
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        for title, (kind, table, _, make) in SCHEMAS.items():
            path = make(Path(directory) / f"{kind}.db", bars)
            label = f"{title} file, {bars:,} bars"
            results += _migrations(dsn, f"{kind}:{path}", label, _pgloader(dsn, path, bars))
            results.append(_pandas(dsn, path, table, title))
            path.unlink()
    return results


def _migrations(dsn: str, address: str, label: str, peer: Result | float) -> list[Result]:
    """Our rows, then pgloader's: its row says so when there is none, and then nothing has a ratio."""
    rate = peer if isinstance(peer, float) else None
    found = []
    for workers in (1, 2):
        rows, seconds, peak = _ours(dsn, address, workers)
        speed = rows / seconds
        name = f"{label}, {workers} worker{'s' if workers > 1 else ''}"
        ratio, bar = (speed / rate, PGLOADER_TIMES) if rate else (None, None)
        found.append(Result(f"{name} (vs pgloader)", speed, "rows/s", ratio, bar))
        found.append(Result(f"{name}: peak memory (500 MB vs it)", peak, "MB", MEMORY_MB / peak, 1.0))
    return [*found, Result(f"{label}, pgloader", rate, "rows/s") if rate else _unmeasured(peer)]


def _unmeasured(peer: Result | float) -> Result:
    assert isinstance(peer, Result)
    return peer


def _ours(dsn: str, address: str, workers: int) -> tuple[int, float, float]:
    """Bars, seconds and peak MB (all processes, each at its peak) of one migration into an empty warehouse."""
    with warehouse(dsn) as target:
        command = [sys.executable, "-m", "benchmarks.migration_run", address, target, str(workers)]
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    told = json.loads(done.stdout)
    return told["rows"], seconds, told["self"] + (workers * told["worker"] if workers > 1 else 0.0)


def _pgloader(dsn: str, path: Path, bars: int) -> Result | float:
    """Rows per second of pgloader, or the row that says why there are none."""
    program = shutil.which("pgloader")
    if program is None:
        return Result("pgloader not installed, no ratio", 0.0, "rows/s")
    with _empty_database(dsn) as target:
        script = path.with_suffix(".load")
        script.write_text(_LOAD.format(path=path, target=_url(target)))
        started = time.perf_counter()
        done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        loaded = _largest_table(target)
    if done.returncode or loaded != bars:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        return Result(
            f"pgloader loaded {loaded:,} of {bars:,} rows ({reason[0][:80]}), no ratio", 0.0, "rows/s"
        )
    return bars / seconds


def _pandas(dsn: str, path: Path, table: str, title: str) -> Result:
    """read_sql and to_sql over a slice, imports not counted."""
    import pandas as pd
    import sqlalchemy

    with _empty_database(dsn) as target, closing(_sqlite(path)) as source:
        engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(target))
        started = time.perf_counter()
        frame = pd.read_sql(f"select * from {table} limit {_SLICE}", source)
        frame.to_sql(table, engine, index=False, chunksize=10_000)
        seconds = time.perf_counter() - started
        engine.dispose()
    return Result(f"{title} file, pandas read_sql and to_sql, {_SLICE:,} rows", _SLICE / seconds, "rows/s")


def _sqlite(path: Path) -> Any:
    import sqlite3

    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


@contextmanager
def _empty_database(dsn: str) -> Iterator[str]:
    name = sql.Identifier(f"hypertape_bench_peer_{uuid.uuid4().hex[:8]}")
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {} template template0").format(name))
    try:
        yield conninfo.make_conninfo(dsn, dbname=name.as_string(None).strip('"'))
    finally:
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(name))


def _url(target: str) -> str:
    parts = conninfo.conninfo_to_dict(target)
    user, password = (quote(str(parts.get(key) or ""), safe="") for key in ("user", "password"))
    login = f"{user}:{password}" if password else user
    return f"postgresql://{login}@{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"


def _largest_table(target: str) -> int:
    with psycopg.connect(target) as connection:
        tables = connection.execute(
            "select relname from pg_stat_user_tables where relname in ('price_history', 'us_minute')"
        ).fetchall()
        counts = [
            connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(name))).fetchone()
            for (name,) in tables
        ]
    return max((int(count[0]) for count in counts if count), default=0)
