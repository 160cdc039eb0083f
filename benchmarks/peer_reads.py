"""Reads of connectorx, ArcticDB and polars, in an environment of their own; prints seconds as JSON.

Arguments: DSN, SQL of the whole read, a Parquet file with the same bars, a directory for LMDB, tickers whose last bars
are read.
"""

import importlib
import json
import statistics
import sys
import time

import pandas as pd

# By name: they are the peers' environment's, and no requirement of ours.
arcticdb = importlib.import_module("arcticdb")
connectorx = importlib.import_module("connectorx")
pl = importlib.import_module("polars")

FIVE = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
"""How each column of a 5 minute bar is made of minutes."""


def median_seconds(work):
    work()
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main(dsn, sql, frame, place, tickers):
    bars = pd.read_parquet(frame)
    library = arcticdb.Arctic(f"lmdb://{place}").get_library("bars", create_if_missing=True)
    for ticker, own in bars.groupby("ticker"):
        library.write(ticker, own.drop(columns="ticker").set_index("time"))
    names = library.list_symbols()
    whole = connectorx.read_sql(dsn, sql, return_type="arrow")
    five = arcticdb.QueryBuilder().resample("5min").agg(FIVE)
    rows = sum(len(library.read(name).data) for name in names)
    assert rows == len(bars) == whole.num_rows, (rows, len(bars), whole.num_rows)
    told = {
        f"connectorx {connectorx.__version__} to Arrow, all": lambda: connectorx.read_sql(
            dsn, sql, return_type="arrow"
        ),
        f"ArcticDB {arcticdb.__version__} lib.read, all": lambda: [library.read(name).data for name in names],
        f"ArcticDB {arcticdb.__version__} lib.tail, 100 of ten tickers": lambda: [
            library.tail(name, 100).data for name in tickers
        ],
    }
    told |= {
        f"polars {pl.__version__} from Parquet, 5m of all made": lambda: _by_polars(frame),
        f"ArcticDB {arcticdb.__version__} resample, 5m of all made": lambda: [
            library.read(name, query_builder=five).data for name in names
        ],
    }
    print(json.dumps({name: median_seconds(work) for name, work in told.items()}))


def _by_polars(frame):
    made = [getattr(pl.col(name), how)() for name, how in FIVE.items()]
    bars = pl.scan_parquet(frame).sort("ticker", "time")
    return bars.group_by_dynamic("time", every="5m", group_by="ticker").agg(made).collect()


if __name__ == "__main__":
    main(*sys.argv[1:5], sys.argv[5:])
