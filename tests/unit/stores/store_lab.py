"""What the store tests share: series to write, a store in memory, and the bytes of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.frame import bar_frame, floats_of, micros, times_of
from hypertape.markets import get_market
from hypertape.model import Interval, Series, utc
from hypertape.stores import Block

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1
NOW = utc(2030)
START = utc(2020)


def frame(
    ticker: str,
    bars: int,
    interval: Interval = D1,
    *,
    seed: int = 1,
    start: datetime = START,
    adjusted: bool = False,
) -> pa.Table:
    """A random walk whose doubles have no short decimal form, with fractions, zeros and huge numbers as volumes."""
    random = np.random.default_rng(seed)
    close = 3_000.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, bars)))
    opened = close * random.uniform(0.99, 1.01, bars)
    values = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.01,
        "low": np.minimum(opened, close) * 0.99,
        "close": close,
        "volume": random.choice([0.0, 1e-7, 0.1, 1234567.0, 3e16], bars) * random.integers(1, 9, bars),
    }
    if adjusted:
        values["adjusted_close"] = close * 0.5
    assert interval.delta is not None
    step = int(interval.delta.total_seconds()) * 1_000_000
    return bar_frame(ticker, micros(start) + np.arange(bars) * step, values)


def blocks(table: pa.Table, rows: int = 100) -> Iterator[Block]:
    """The bars of one series in blocks."""
    for at in range(0, len(table), rows):
        yield Block(table.slice(at, rows))


def digest_of(table: pa.Table) -> SeriesDigest:
    """The digest of a frame that holds one series."""
    columns = [floats_of(table, name) for name in CANONICAL_COLUMNS]
    return digest_blocks(table["ticker"][0].as_py(), [(times_of(table), columns)])


def read_all(found: Iterable[Block]) -> pa.Table:
    """Some blocks as one frame."""
    return pa.concat_tables([block.bars for block in found]).combine_chunks()


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path in it."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def series(market: str, ticker: str, interval: Interval = D1) -> Series:
    """A series."""
    return Series(market, ticker, interval)
