"""A compressed year restated: its chunks opened and closed around the load, against rows changed in place."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.data import require_loaded, walks
from benchmarks.result import Result

from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.schema import tier

MARKET, INTERVAL = get_market("us"), Interval.D1
RELATION = "bars.us_data_1d"
START, NOW = utc(2020, 4, 8), utc(2026, 1, 1)  # a chunk of this width begins here
PRICES = ("open", "high", "low", "close")

_REQUEST = LoadRequest(MARKET, INTERVAL, "benchmark", "benchmark", Window(START, NOW), NOW)

Connection = psycopg.Connection[Any]


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure on TimescaleDB; plain PostgreSQL has no chunks, so there is nothing to compare.

    Both ways write the same rows, revisions and indicators. Within a caller's transaction no chunk is opened: that is
    the upsert in place.
    """
    tickers = 60 if quick else 300
    bars = walks(tickers, 360, START, timedelta(days=1))
    halved = _scaled(bars, 0.5)
    with connect(dsn, autocommit=True) as connection:
        if tier(connection) == "plain":
            return []
        connection.execute(
            "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs "
            "where hypertable_name = 'us_data_1d'"
        )
        before = _fresh(connection, bars)
        opened = _seconds(connection, halved)
        opened_size = _size(connection)
        _fresh(connection, bars)
        with connection.transaction():
            in_place = _seconds(connection, halved)
        _compress(connection)
        in_place_size = _size(connection)
    rows = len(bars)
    return [
        Result(f"a compressed year [{rows:,} bars]", before, "MB"),
        Result("restated in place, then compressed", rows / in_place, "rows/s"),
        Result("size after that (former over new)", in_place_size, "MB", before / in_place_size),
        Result(
            "restated with chunks opened and closed (vs in place)", rows / opened, "rows/s", in_place / opened
        ),
        Result("size after that (former over new; 1/1.2 at least)", opened_size, "MB", before / opened_size, 0.83),
        Result("smaller than in place by", in_place_size - opened_size, "MB", in_place_size / opened_size, 2.0),
    ]  # fmt: skip


def _fresh(connection: Connection, bars: pa.Table) -> float:
    """Load the year anew, compress it, and return its size in MB."""
    connection.execute(f"truncate {RELATION}")
    connection.execute("delete from series where market = %s", (MARKET.code,))
    require_loaded(load_bars(connection, bars, _REQUEST), len(bars))
    _compress(connection)
    return _size(connection)


def _seconds(connection: Connection, bars: pa.Table) -> float:
    began = time.perf_counter()
    done = load_bars(connection, bars, replace(_REQUEST, run_id="restate"))
    seconds = time.perf_counter() - began
    require_loaded(done, len(bars))
    return seconds


def _compress(connection: Connection) -> None:
    connection.execute("select compress_chunk(show_chunks(%s), if_not_compressed => true)", (RELATION,))


def _size(connection: Connection) -> float:
    row = connection.execute("select hypertable_size(%s) / 1e6", (RELATION,)).fetchone()
    assert row is not None
    return float(row[0])


def _scaled(bars: pa.Table, factor: float) -> pa.Table:
    for name in PRICES:
        position = bars.schema.get_field_index(name)
        bars = bars.set_column(position, bars.schema.field(name), pc.multiply(bars[name], factor))
    return bars
