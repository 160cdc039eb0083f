"""The load path against its floor and against the documents' upsert, all in one run on one server."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.data import DONG, require_loaded, walks
from benchmarks.result import Result
from psycopg import sql

from hypertape.frame import split_series
from hypertape.indicators import enrich
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, Interval, Window, utc
from hypertape.quality.gate import gate
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.pg_binary import copy_in
from hypertape.warehouse.schema import tier

MARKET, INTERVAL = get_market("vn"), Interval.M1
START, NOW = utc(2024, 1, 1), utc(2026, 1, 1)
BARS = sql.Identifier("bars", MARKET.relation(INTERVAL))

_REQUEST = LoadRequest(MARKET, INTERVAL, "benchmark", "benchmark", Window(START, NOW), NOW)

_ONE_BAR_MS = {50: 15.0, 300: 60.0}
"""Tickers that get one bar each, and the milliseconds SPEC 14 allows for it."""

_DOCUMENT_TABLE = """
create table {table} (
    ticker text not null, interval text not null, time timestamptz not null,
    open float8 not null, high float8 not null, low float8 not null, close float8 not null, volume bigint not null,
    ma10 float8, ma20 float8, ma50 float8, ma100 float8, ma200 float8, ma10_score float8, ma20_score float8,
    ma50_score float8, ma100_score float8, ma200_score float8, close_changed float8, volume_changed float8,
    total_money_changed float8, created_at timestamptz default now(), updated_at timestamptz default now(),
    primary key (ticker, interval, time)
);
select create_hypertable('{table}', 'time', chunk_time_interval => interval '7 days', if_not_exists => true);
create index on {table} (ticker, interval, time desc);
create index on {table} (interval, time desc);
"""
_VALUES = (
    "open", "high", "low", "close", "volume", "ma10", "ma20", "ma50", "ma100", "ma200", "ma10_score", "ma20_score",
    "ma50_score", "ma100_score", "ma200_score", "close_changed", "volume_changed", "total_money_changed",
)  # fmt: skip


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure; each figure is rows per second, client included, and each ratio comes from this run."""
    bars = _walks(20, 10_000 if quick else 50_000)
    rows = len(bars)
    with connect(dsn) as connection:
        floor = rows / _median(lambda: _direct_copy(connection, bars))
        first = rows / _median(lambda: _first_load(connection, bars))
        before = _written(connection)
        again = rows / _median(lambda: load_seconds(connection, bars))
        tuples = _written(connection) - before
        tail = rows / _median_of_changes(connection, _newest_changed(bars))
        scattered = rows / _median_of_changes(connection, _scattered_changed(bars))
        document = _document_upsert(connection, bars.slice(0, 20_000))
        small = {tickers: 1000 * _small_write(connection, tickers) for tickers in _ONE_BAR_MS}
        label = f"[{tier(connection)}, {rows:,} bars]"
        results = [
            Result(f"direct binary COPY of stored rows {label}", floor, "rows/s"),
            _against("first load, gate and indicators included (vs direct COPY)", first, floor, 0.85),
            _against(f"same load again, {tuples} tuples written (vs first)", again, first, 2.5),
            _against("same load, newest 1 % restated (vs first)", tail, first),
            _against("same load, scattered 1 % restated (vs first)", scattered, first, 0.5),
            Result(
                "documents' 1000-row UNNEST upsert (first load vs it)",
                document,
                "rows/s",
                first / document,
                15.0,
            ),
            *(
                Result(
                    f"one new bar for each of {tickers} tickers ({limit:g} ms vs it)",
                    small[tickers],
                    "ms",
                    limit / small[tickers],
                    1.0,
                )
                for tickers, limit in _ONE_BAR_MS.items()
            ),
        ]
        results += _compression(connection) if tier(connection) == "timescaledb" else []
    if tuples:
        raise AssertionError(f"the repeated load wrote {tuples} tuples")
    return results


def _against(work: str, speed: float, peer: float, bar: float | None = None) -> Result:
    return Result(work, speed, "rows/s", speed / peer, bar)


def _median(work: Callable[[], float], repeat: int = 3) -> float:
    return float(np.median([work() for _ in range(repeat)]))


def clear(connection: psycopg.Connection) -> None:
    """Forget every minute and what was written of it."""
    connection.execute(sql.SQL("truncate {}, series, load, rollup_pending, bar_revision").format(BARS))
    connection.commit()


def load_seconds(connection: psycopg.Connection, bars: pa.Table) -> float:
    """Seconds to gate and load some bars, commit included."""
    started = time.perf_counter()
    gated = gate(bars, MARKET, INTERVAL, now=NOW)
    done = load_bars(connection, gated.bars, _REQUEST)
    connection.commit()
    seconds = time.perf_counter() - started
    require_loaded(done, len(bars))
    return seconds


def _first_load(connection: psycopg.Connection, bars: pa.Table) -> float:
    clear(connection)
    return load_seconds(connection, bars)


def _direct_copy(connection: psycopg.Connection, bars: pa.Table) -> float:
    """COPY of rows that are ready: every stored column, no gate, no indicators to compute, no ledger."""
    clear(connection)
    stored = _stored_rows(bars)
    started = time.perf_counter()
    copy_in(connection, BARS, stored)
    connection.commit()
    return time.perf_counter() - started


def _enriched(bars: pa.Table) -> pa.Table:
    """The frame with its 13 indicators, each series from its first row on."""
    parts = [enrich(series.close, series.volume) for _, series in split_series(bars)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in INDICATOR_COLUMNS}
    for name, column in columns.items():
        bars = bars.append_column(name, pa.array(column, pa.float64(), from_pandas=True))
    return bars


def _stored_rows(bars: pa.Table) -> pa.Table:
    enriched = _enriched(bars)
    names = [*bars.column_names, "ma10", "ma20", "ma50", "ma100", "ma200"]
    stored = enriched.select(names)
    for name in ("close", "volume"):
        stored = stored.append_column(f"previous_{name}", bars[name])
    return stored.append_column("load_id", pa.array(np.zeros(len(bars), np.int64)))


def _written(connection: psycopg.Connection) -> int:
    """Tuples written to bars in this database so far."""
    connection.execute("select pg_stat_force_next_flush()")
    connection.commit()
    row = connection.execute(
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint from pg_stat_user_tables "
        "where relname like 'market_data_1m' or relname like '_hyper_%'"
    ).fetchone()
    connection.commit()
    return int(row[0])


def _newest_changed(bars: pa.Table) -> np.ndarray:
    per_series = len(bars) // 20
    return np.arange(len(bars)) % per_series >= per_series - per_series // 100


def _scattered_changed(bars: pa.Table) -> np.ndarray:
    return np.random.default_rng(1).random(len(bars)) < 0.01


def _median_of_changes(connection: psycopg.Connection, chosen: np.ndarray) -> float:
    """Each repetition restates the chosen closes anew, so that every one of them writes."""
    bars = _walks(20, len(chosen) // 20)
    taken = []
    for ticks in (1, 2, 3):
        close = bars["close"].to_numpy() + np.where(chosen, ticks * DONG, 0.0)
        changed = bars.set_column(5, "close", pa.array(close))
        high = pc.max_element_wise(changed["high"], changed["close"])
        taken.append(load_seconds(connection, changed.set_column(3, "high", high)))
    load_seconds(connection, bars)
    return float(np.median(taken))


def _document_upsert(connection: psycopg.Connection, bars: pa.Table) -> float:
    """Rows per second of the seed document's statement, its schema and its three indexes, rows ready as lists."""
    connection.execute(_DOCUMENT_TABLE.format(table="document_bars"))
    enriched = _enriched(bars).to_pydict()
    holes = ", ".join(f"%({name})s::{'bigint' if name == 'volume' else 'float8'}[]" for name in _VALUES)
    statement = (
        f"insert into document_bars (ticker, interval, time, {', '.join(_VALUES)}) "
        f"select * from unnest(%(ticker)s::text[], %(interval)s::text[], %(time)s::timestamptz[], {holes}) "
        "on conflict (ticker, interval, time) do update set "
        + ", ".join(f"{name} = excluded.{name}" for name in _VALUES)
        + ", updated_at = now()"
    )
    enriched["volume"] = [int(volume) for volume in enriched["volume"]]
    enriched["interval"] = ["1m"] * len(bars)
    started = time.perf_counter()
    for first in range(0, len(bars), 1000):
        connection.execute(
            statement, {name: column[first : first + 1000] for name, column in enriched.items()}
        )
        connection.commit()
    return len(bars) / (time.perf_counter() - started)


def _small_write(connection: psycopg.Connection, tickers: int) -> float:
    """Seconds to append one bar to each of some series that have a history."""
    clear(connection)
    load_seconds(connection, _walks(tickers, 1000))
    taken = []
    for minute in range(11):
        at = START + timedelta(minutes=1000 + minute)
        taken.append(load_seconds(connection, walks(tickers, 1, at, timedelta(minutes=1), tick=DONG)))
    return float(np.median(taken))


def _walks(series: int, bars: int) -> pa.Table:
    return walks(series, bars, START, timedelta(minutes=1), tick=DONG)


def _compression(connection: psycopg.Connection) -> list[Result]:
    clear(connection)
    load_seconds(connection, _walks(20, 50_000))
    before = connection.execute("select hypertable_size('bars.market_data_1m')").fetchone()[0]
    connection.execute("select compress_chunk(c) from show_chunks('bars.market_data_1m') c")
    connection.commit()
    after = connection.execute("select hypertable_size('bars.market_data_1m')").fetchone()[0]
    connection.commit()
    return [Result("compressed 1m bar (uncompressed vs it)", after / 1_000_000, "bytes", before / after, 6.0)]
