"""What the tests of restatements share: a vendor that a test rewrites, series, and what the ledger says."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from lab import CRYPTO, D1, fingerprint, fresh_fingerprint, query, value, walk

from hypertape.frame import Bars, instant
from hypertape.model import Window, utc
from hypertape.settings import Settings
from hypertape.steps.plan import plan
from hypertape.steps.run_batch import run_batch
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import Refreshed, buckets, check_rollups, derived, refresh_pending

BEGIN = utc(2023, 8, 14)
DAYS = 260


class Vendor:
    """A directory of CSV files that a test rewrites, and the runs that read it."""

    def __init__(self, root, dsn):
        self.dsn, self.root = dsn, root
        self.settings = Settings(state_dir=root / "state", batch_size=5, overlap_bars=5)
        self.source = {"name": "csv_tree", "directory": str(root / "tree")}

    def says(self, ticker, bars):
        """From now on the vendor's history of a ticker is this."""
        directory = self.root / "tree" / ticker
        directory.mkdir(parents=True, exist_ok=True)
        rows = [
            ",".join(
                [ticker, f"{instant(int(bars.time[at])):%Y-%m-%d}"]
                + [
                    repr(float(getattr(bars, name)[at]))
                    for name in ("open", "high", "low", "close", "volume")
                ]
            )
            for at in range(len(bars))
        ]
        (directory / "1D.csv").write_text("\n".join(["ticker,time,open,high,low,close,volume", *rows]) + "\n")

    def sync(self, day, tickers, **others):
        """The daily run on the morning of a day (counted from the series' start)."""
        return sync(
            self.dsn, "crypto", "1d", now=BEGIN + timedelta(days=day, hours=1), source=self.source,
            settings=self.settings, tickers=tickers, check=False, **others,
        )  # fmt: skip

    def load_only(self, day, tickers, run_id):
        """A daily run that dies after its load. Returns its spec and its instant."""
        now = BEGIN + timedelta(days=day, hours=1)
        planned = plan(
            self.dsn, "crypto", "1d", run_id=run_id, source=self.source, tickers=tickers, settings=self.settings,
            data_interval=Window(now - timedelta(days=5), now), exact=True, now=now,
        )  # fmt: skip
        for batch in planned.batches:
            run_batch(self.dsn, planned.spec, batch, settings=self.settings, now=now)
        return planned.spec, now


def history(seed=1, days=DAYS):
    """A series without zero volumes and adjusted closes, as a CSV tree gives it."""
    bars = walk(days, seed=seed, start=BEGIN)
    return Bars(
        bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume + 1, np.full(len(bars), np.nan)
    )


def first_days(bars, count):
    return bars.take(slice(0, count))


def ledger(connection, ticker, columns="state, direction"):
    return query(connection, f"select {columns} from restatement where ticker = %s order by 1", ticker)


def rereads(connection, ticker):
    return value(connection, "select count(*) from load where ticker = %s and reason = 'restatement'", ticker)


def start(vendor, ticker, bars, days=250):
    vendor.says(ticker, first_days(bars, days))
    vendor.sync(days, [ticker], start=BEGIN)
    with connect(vendor.dsn, autocommit=True) as connection:
        connection.execute(
            "update series set watermark = %s where ticker = %s", (BEGIN + timedelta(days=days), ticker)
        )


def assert_true(vendor, connection, ticker, bars):
    """The stored series, its indicators and its rollups are what these bars make."""
    assert fingerprint(connection, ticker) == fresh_fingerprint(connection, bars)
    refresh_pending(vendor.dsn, CRYPTO, D1)
    span = [Refreshed(level, buckets(level, BEGIN, BEGIN + timedelta(days=DAYS))) for level in derived(D1)]
    assert [check.differing for check in check_rollups(connection, CRYPTO, span)] == [0] * len(span)


def outcome(done):
    """What became of the suspicions of a run."""
    return {name: getattr(done.restated, name) for name in ("suspected", "local", "reread")}
