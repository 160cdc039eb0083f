"""`hypertape migrate sqlite`, beside pgloader and pandas on the same file and the same server.

pgloader reads and writes. A migration does more: it inspects the file, verifies every row and refreshes the rollups. So
there are two ratios: that of its copy phase, which is the work both do and which SPEC 14's bar is for, and that of the
whole command.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from benchmarks.migrate_run import measured
from benchmarks.result import Result
from benchmarks.server import warehouse
from benchmarks.sqlite_files import dual_write, stockula
from psycopg import conninfo, sql

MEMORY_MB, PGLOADER_TIMES = 300.0, 3.0
WHOLE_TIMES = {"Stockula": 1.5, "dual-write": 3.0}
"""SPEC 14: how many times pgloader's speed the whole command has, proof and rollups included."""

_FLOOR_ROWS = 1_000_000
_OUT = "copy (select * from {bars} limit {rows}) to stdout (format binary)"
_IN = "copy {bars} from stdin (format binary)"
_SLICE = 50_000
"""Rows pandas gets: it would take minutes for all."""

_LOAD = """
load database from sqlite://{path} into {target}
with include drop, create tables, {keys}
cast type float to float8 using float-to-string, type real to float8 using float-to-string;
"""
"""Without the casts it would keep float4, which loses half of each price."""

_PEERS = {
    "pgloader as it comes, keys and indexes made": "create indexes, reset sequences",
    "pgloader, bare tables": "create no indexes, no foreign keys, reset no sequences",
}
"""A bare table takes any row twice, so the first is what a migration does; the second is pgloader at its fastest."""

_PGLOADER_SECONDS = 1_800
"""pgloader may wait for ever: on fractions in an INTEGER column it does."""

SCHEMAS: dict[str, tuple[str, str, Callable[[Path, int], Path]]] = {
    "Stockula": ("price_history", "us_data_1d", stockula),
    "dual-write": ("us_minute", "us_data_1m", dual_write),
}


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure both schemas."""
    bars = 500_000 if quick else 5_000_000
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        for title, (table, relation, make) in SCHEMAS.items():
            path = make(Path(directory) / f"{table}.db", bars)
            label = f"{title} file, {bars:,} bars"
            peers = {name: _pgloader(dsn, path, table, bars, keys) for name, keys in _PEERS.items()}
            results += _migrations(dsn, path, bars, relation, label, WHOLE_TIMES[title], peers)
            results.append(_pandas(dsn, path, table, title))
            path.unlink()
    return results


def _migrations(
    dsn: str,
    path: Path,
    bars: int,
    relation: str,
    label: str,
    whole: float,
    peers: Mapping[str, Result | float],
) -> list[Result]:
    """Our rows, then pgloader's: its row says so when there is none, and then nothing has a ratio."""
    found: list[Result] = []
    floor = 0.0
    for workers in (1, 2):
        with warehouse(dsn) as target:
            done = measured(path, target, workers)
            _demand_all(target, relation, bars)
            floor = floor or _floor(dsn, target, relation)
        name = f"{label}, {workers} worker{'s' if workers > 1 else ''}"
        found += _against(
            f"{name}: copy alone, reading and writing", bars / done.phases["copy"], peers, PGLOADER_TIMES
        )
        found += _against(f"{name}: the whole command", bars / done.seconds, peers, whole)
        found += [Result(f"{name}: {phase}", seconds, "s") for phase, seconds in done.phases.items()]
        peak = done.peak_mb
        found.append(
            Result(f"{name}: peak memory ({MEMORY_MB:g} MB vs it)", peak, "MB", MEMORY_MB / peak, 1.0)
        )
    told = [
        Result(f"{label}, {peer}", rate, "rows/s") if isinstance(rate, float) else rate
        for peer, rate in peers.items()
    ]
    best = max([rate for rate in peers.values() if isinstance(rate, float)], default=0.0)
    name = f"{label}: COPY alone of the finished rows (vs the faster pgloader)"
    found.append(Result(name, floor, "rows/s", floor / best if best else None))
    return [*found, *told]


def _against(name: str, speed: float, peers: Mapping[str, Result | float], bar: float | None) -> list[Result]:
    """A speed beside each peer's, its own name on it; without a peer's there is neither ratio nor bar."""
    rates = {peer: rate for peer, rate in peers.items() if isinstance(rate, float)}
    return [
        Result(
            f"{name} (vs {peer})", speed, "rows/s", speed / rates[peer] if peer in rates else None,
            bar if peer in rates else None,
        )
        for peer in peers
    ]  # fmt: skip


def _demand_all(target: str, relation: str, bars: int) -> None:
    with psycopg.connect(target) as connection:
        stored = _rows(connection, sql.Identifier("bars", relation))
    assert stored == bars, f"{stored} bars of {bars} arrived"


def _floor(dsn: str, filled: str, relation: str) -> float:
    """Rows per second of one binary COPY of rows as they are stored into the same relation of an empty warehouse.

    No program that fills this relation over one connection is faster.
    """
    with tempfile.TemporaryFile() as file, warehouse(dsn) as empty:
        with psycopg.connect(filled) as connection:
            bars = sql.Identifier("bars", relation)
            with connection.cursor().copy(
                sql.SQL(_OUT).format(bars=bars, rows=sql.Literal(_FLOOR_ROWS))
            ) as rows:
                for piece in rows:
                    file.write(piece)
        file.seek(0)
        with psycopg.connect(empty) as connection:
            started = time.perf_counter()
            with connection.cursor().copy(sql.SQL(_IN).format(bars=bars)) as rows:
                while part := file.read(1 << 18):
                    rows.write(part)
            connection.commit()
            seconds = time.perf_counter() - started
            return _rows(connection, bars) / seconds


def _pgloader(dsn: str, path: Path, table: str, bars: int, keys: str) -> Result | float:
    """Rows per second of pgloader, or the row that says why there are none."""
    program = shutil.which("pgloader")
    if program is None:
        return Result("pgloader not installed, no ratio", 0.0, "rows/s")
    with _empty_database(dsn) as target:
        script = path.with_suffix(".load")
        script.write_text(_LOAD.format(path=path, target=_url(target), keys=keys))
        started = time.perf_counter()
        try:
            done = subprocess.run(
                [program, str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                timeout=_PGLOADER_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result(f"pgloader did not end in {_PGLOADER_SECONDS} s, no ratio", 0.0, "rows/s")
        seconds = time.perf_counter() - started
        with psycopg.connect(target) as connection:
            loaded = 0 if done.returncode else _rows(connection, sql.Identifier(table))
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


def _rows(connection: psycopg.Connection, table: sql.Identifier) -> int:
    found = connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
    return int(found[0]) if found else 0
