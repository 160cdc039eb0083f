"""What operating costs: a backup of a million minutes and its proof by a restore, and the metrics' sums over the ledger
of loads."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from typing import Any

import psycopg
from benchmarks.data import walks
from benchmarks.result import Result

from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.queries import query
from hypertape.steps.backup import create, verify
from hypertape.steps.backup_files import BackupPlace
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.rollups import refresh_pending

Connection = psycopg.Connection[Any]

CRYPTO = get_market("crypto")
NOW = utc(2025, 6, 1)

_LEDGER = """
insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, code_version)
select 'bench-' || n %% 1000, 'crypto', '1m', 'T' || n %% 300, 'bench', '2024-01-01', '2024-01-02', 'loaded', 'bench'
from generate_series(1, %s) as n
"""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure on the warehouse `dsn`: a market's minutes are loaded there first."""
    series, rows = (5, 100_000) if quick else (50, 1_000_000)
    bars = walks(series, 20_000, utc(2025, 1, 1), timedelta(minutes=1))
    window = Window(utc(2025, 1, 1), NOW)
    with connect(dsn) as connection:
        load_bars(connection, bars, LoadRequest(CRYPTO, Interval.M1, "bench", "bench", window, NOW))
    refresh_pending(dsn, CRYPTO, Interval.M1)
    return [*_backup(dsn, series * 20_000), *_ledger(dsn, rows)]


def _backup(dsn: str, bars: int) -> list[Result]:
    with connect(dsn) as connection:
        (stored,) = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        place = BackupPlace(directory)
        began = time.perf_counter()
        made = create(dsn, place, run_id="bench", now=NOW, fresh_for=timedelta(days=1))
        created = time.perf_counter() - began
        began = time.perf_counter()
        (backup,) = place.backups()
        found = verify(dsn, place, backup, now=NOW)
        assert found.whole, found.reason
        verified = time.perf_counter() - began
    label = f"{bars:,} minutes with their rollups"
    return [
        Result(f"{label}: the database", stored / 1e6, "MB"),
        Result("the backup (of the database)", made.bytes / 1e6, "MB", made.bytes / stored),
        Result("hypertape backup create", created, "s"),
        Result("hypertape backup verify, by a restore", verified, "s"),
    ]


def _ledger(dsn: str, rows: int) -> list[Result]:
    with connect(dsn, autocommit=True) as connection:
        connection.execute(
            "set session_replication_role = replica"
        )  # rows of a past: no trigger needs to see them
        connection.execute(_LEDGER, (rows,))
        (count,) = connection.execute("select count(*) from load").fetchone() or (0,)
        connection.execute("vacuum analyze load")
        best = min(_seconds(connection) for _ in range(3))
    return [Result(f"the metrics' sums over {count:,} loads", best, "s")]


def _seconds(connection: Connection) -> float:
    began = time.perf_counter()
    connection.execute(query("metrics_loads")).fetchall()
    return time.perf_counter() - began
