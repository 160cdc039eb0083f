"""The vendor as a directory of bar files, written anew before every run: the source `csv_tree` reads it."""

from __future__ import annotations

import random
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from vendor import PAGE, VALUES, Vendor

HEADER = "ticker,time,open,high,low,close,volume"


class Tree:
    """A CSV tree that always says what the vendor says. Where it does not answer the file is empty, or a web page.

    Nobody stands in for it.
    """

    def __init__(self, vendor: Vendor, root: Path) -> None:
        self.vendor, self.root = vendor, root
        self.source = {"name": "csv_tree", "directory": str(root)}

    def turn_to(self, now: datetime) -> None:
        """Write what the vendor states at `now`."""
        for ticker in self.vendor.plot.tickers:
            path = self.root / ticker / "1D.csv"
            rows = self._rows(ticker, now)
            if not rows:
                shutil.rmtree(path.parent, ignore_errors=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            answers = self.vendor.answers(ticker, now) and ticker not in self.vendor.plot.stood_in(now)
            answers |= self.vendor.slips(ticker, now)
            path.write_text("\n".join([HEADER, *rows]) + "\n" if answers else self._failure(now))

    def _failure(self, now: datetime) -> str:
        return PAGE if now.date() in self.vendor.plot.pages else ""

    def _rows(self, ticker: str, now: datetime) -> list[str]:
        bars = self.vendor.answer(ticker, now)
        days = np.datetime_as_string(bars.time.astype("datetime64[us]"), unit="D").tolist()
        columns = [map(repr, getattr(bars, name).tolist()) for name in VALUES]
        rows = [f"{ticker},{','.join(cells)}" for cells in zip(days, *columns, strict=True)]
        return muddled(rows, now) if self.vendor.plot.of(ticker).messy else rows


def muddled(rows: list[Any], now: datetime) -> list[Any]:
    """The rows in disorder, some of them twice."""
    chance = random.Random(now.isoformat())
    rows = rows + chance.sample(rows, len(rows) // 10)
    chance.shuffle(rows)
    return rows
