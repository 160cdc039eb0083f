"""Reading a million minutes from a program, side by side: `tape.read` over the database and over HTTP, psycopg with
pandas, connectorx and DuckDB and ArcticDB on the same bars in the same run; and bars of 5 minutes beside polars.

connectorx, ArcticDB and polars are installed into an environment that is made for it and thrown away. What a peer does
less: ArcticDB, DuckDB and polars read files of their own (LMDB, Parquet), no server: they have no protocol to pay for,
and no writer beside them; none of them has checks or revisions. They make bars of 5 minutes when asked; `tape.read`
reads what was made after the load, which costs then.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
from benchmarks.api import _serving as serving
from benchmarks.child import CommandFailed, output_of
from benchmarks.data import require_loaded, walks
from benchmarks.result import Result, median_seconds

from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.reader import Tape
from hypertape.reader.over_dsn import OverDsn
from hypertape.reader.over_http import OverHttp
from hypertape.settings import Settings, load_settings
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.copy import copy
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from hypertape.warehouse.dsn import normalise_dsn
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.rollups import refresh_pending

MARKET, START, NOW = get_market("us"), utc(2024), utc(2026)
TICKERS = 20
LAST, OF = 100, [f"T{n:04d}" for n in range(10)]
COLUMNS = "ticker, time, open, high, low, close, volume"
WHOLE = f"select {COLUMNS} from us_data_1m order by ticker, time"


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure a whole read of 1,000,000 (quick: 100,000) minutes, and the newest 100 of ten tickers."""
    bars = 5_000 if quick else 50_000
    _fill(dsn, bars)
    with connect(dsn) as connection:
        key = api_keys.create(connection, "reader", "read", now=datetime.now(UTC))
        connection.commit()
    with (
        tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory,
        serving(dsn) as server,
        Tape(OverDsn(Settings(), dsn)) as direct,
        Tape(OverHttp.at(server, key)) as over_http,
    ):
        source, target = (
            Opening(address, load_settings(), NOW, "benchmark", dsn)
            for address in ("warehouse", f"parquet:{directory}/tape")
        )
        copy(source, target, Selection(), now=NOW)
        whole = direct.read("us", "1m")
        assert whole.num_rows == TICKERS * bars
        works: dict[str, Callable[[], Any]] = {
            "tape.read, all": lambda: direct.read("us", "1m"),
            "tape.read over HTTP, all": lambda: over_http.read("us", "1m"),
            "/tickers?format=arrow, all (13 indicators more)": lambda: _arrow(server, key),
            "psycopg, fetchall and pandas, all": lambda: _pandas(dsn),
            "DuckDB on Parquet to Arrow, all": lambda: _duckdb(f"{directory}/tape"),
            "tape.read, 5m of all": lambda: direct.read("us", "5m"),
            "DuckDB on Parquet, 5m of all made": lambda: _duckdb_resampled(f"{directory}/tape"),
            "tape.last, 100 of ten tickers": lambda: direct.last("us", "1m", OF, LAST),
            "tape.last over HTTP, 100 of ten tickers": lambda: over_http.last("us", "1m", OF, LAST),
        }
        seconds = dict(zip(works, median_seconds(*works.values()), strict=True))
        seconds |= _peers(dsn, Path(directory), whole.to_pandas())
    return _told(seconds, TICKERS * bars)


def _told(seconds: dict[str, float], bars: int) -> list[Result]:
    """Bars a second of whole reads, each against tape.read (above 1: tape.read is faster); milliseconds of the last."""
    own, last = seconds["tape.read, all"], seconds["tape.last, 100 of ten tickers"]
    five, results = seconds["tape.read, 5m of all"], []
    for work, taken in seconds.items():
        if "5m of all" in work:
            results.append(Result(f"{work} (tape.read of 5m vs it)", bars / taken, "minutes/s", taken / five))
        elif "all" in work:
            results.append(Result(f"{work} (tape.read vs it)", bars / taken, "bars/s", taken / own))
        else:
            results.append(Result(f"{work} (tape.last vs it)", 1000 * taken, "ms", taken / last))
    return results


def _fill(dsn: str, bars: int) -> None:
    table = walks(TICKERS, bars, START, timedelta(minutes=1))
    request = LoadRequest(MARKET, Interval.M1, "benchmark", "benchmark", Window(START, NOW), NOW)
    with connect(dsn) as connection:
        done = load_bars(connection, table, request)
        connection.commit()
    require_loaded(done, TICKERS * bars)
    with connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze bars.us_data_1m")
    refresh_pending(dsn, MARKET, Interval.M1)


def _pandas(dsn: str) -> pd.DataFrame:
    with psycopg.connect(dsn) as connection, connection.cursor(binary=True) as cursor:
        return pd.DataFrame(cursor.execute(WHOLE).fetchall(), columns=COLUMNS.split(", "))


def _duckdb(place: str) -> Any:
    files = f"read_parquet('{place}/**/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as connection:
        return connection.execute(f"select {COLUMNS} from {files} order by ticker, time").to_arrow_table()


def _duckdb_resampled(place: str) -> Any:
    files = f"read_parquet('{place}/**/*.parquet', hive_partitioning = true)"
    made = "arg_min(open, time), max(high), min(low), arg_max(close, time), sum(volume)"
    with duckdb.connect() as connection:
        five = "time_bucket(interval '5 minutes', time) as five"
        return connection.execute(
            f"select ticker, {five}, {made} from {files} group by all order by all"
        ).to_arrow_table()


def _arrow(server: str, key: str) -> bytes:
    address = f"{server}/tickers?mode=us&interval=1m&start_date=2000-01-01&format=arrow"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as answer:
        data: bytes = answer.read()
    return data


def _peers(dsn: str, directory: Path, whole: pd.DataFrame) -> dict[str, float]:
    """Seconds of the peers, measured by a process of their own environment; nothing where they fail."""
    try:
        output_of([sys.executable, "-m", "uv", "venv", "--quiet", str(directory / "peers")])
        python = str(directory / "peers" / "bin" / "python")
        words = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
        output_of([*words, "arcticdb", "connectorx", "pandas", "polars", "pyarrow"])
        frame = directory / "whole.parquet"
        whole.to_parquet(frame)
        script = str(Path(__file__).with_name("peer_reads.py"))
        told: dict[str, float] = json.loads(
            output_of([python, script, normalise_dsn(dsn), WHOLE, str(frame), str(directory / "lmdb"), *OF])
        )
    except (CommandFailed, OSError) as error:
        print(f"the peers cannot be had here: {error}", file=sys.stderr)
        return {}
    return told
