"""A vendor in one file: rename this to acme.py, mend what it says, and try it with `hypertape source test acme`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from hypertape.errors import SourceSchemaChanged
from hypertape.model import Interval, Window
from hypertape.sources import Offered, PerTicker, VendorRow, read_json

RATE = 2.0
"""Requests a second, all workers together."""


class Acme(PerTicker):
    """`GET /bars?symbol=7203&width=1d&from=…&to=…` answers `{"symbol": …, "bars": [[time, o, h, l, c, v], …]}`."""

    name = "acme"
    url = "https://api.acme.example"

    def request(self, symbol: str, interval: Interval, window: Window) -> tuple[str, Mapping[str, object]]:
        """How a window's bars of one symbol are asked for."""
        edges = {"from": window.start.isoformat(), "to": window.end.isoformat()}
        return "/bars", {"symbol": symbol, "width": interval.value, **edges}

    def rows(self, body: bytes, symbol: str) -> Iterable[VendorRow]:
        """How an answer is read: all its bars, of this symbol only."""
        answer = read_json("acme", body)
        if answer["symbol"] != symbol:
            raise SourceSchemaChanged(f"acme answered about {answer['symbol']}")
        return [VendorRow(*bar) for bar in answer["bars"]]


build = Acme.build


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What the vendor's server would answer to a request, having these series: for `hypertape source test acme`."""
    found = [one for one in offered if one.symbol == query["symbol"]]
    if not found:
        return 404, "{}"
    start, end = (datetime.fromisoformat(query[edge]).date() for edge in ("from", "to"))
    inside = [row for row in found[-1].rows if start <= row.time < end]
    bars = [[str(row.time), row.open, row.high, row.low, row.close, row.volume] for row in inside]
    return json.dumps({"symbol": query["symbol"], "bars": bars})
