"""A server that answers as VCI's gap-chart does, with its real shapes and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from replay_server import Answer, ReplayServer

PATH = "/api/chart/OHLCChart/gap-chart"

Request = dict[str, Any]
"""What a client posts: timeFrame, symbols, to, countBack."""

Fault = Callable[[Request], Answer | None]
"""Answers in the symbols' place; None lets them answer."""

Bar = tuple[Any, ...]
"""t (seconds), open, high, low, close, volume."""


class VciReplay(ReplayServer):
    """`bars` answer, by (symbol, timeFrame); `fault` goes first; `shape` changes an object before it is sent.

    As VCI does: the newest `countBack` bars up to and with `to`, oldest first, at most `most` of them; `t` as text; a
    symbol it does not know is left out.
    """

    def __init__(self) -> None:
        self.bars: dict[tuple[str, str], list[Bar]] = {}
        self.fault: Fault | None = None
        self.shape: Callable[[dict[str, Any]], dict[str, Any]] = lambda entry: entry
        self.most = 10_000
        super().__init__()

    @property
    def requests(self) -> list[Request]:
        """What was posted, in order."""
        return [json.loads(body) for _, _, body in self.asked]

    def answer(self, path: str, query: dict[str, str], body: str) -> Answer:
        if path != PATH:
            return Answer(404, "not here")
        request: Request = json.loads(body)
        faulty = self.fault(request) if self.fault else None
        if faulty is not None:
            return faulty
        entries = (self._entry(symbol, request) for symbol in request["symbols"])
        return Answer(200, json.dumps([self.shape(entry) for entry in entries if entry is not None]))

    def _entry(self, symbol: str, request: Request) -> dict[str, Any] | None:
        listed = self.bars.get((symbol, request["timeFrame"]))
        if listed is None:
            return None
        known = [bar for bar in listed if bar[0] <= request["to"]]
        chosen = known[-min(request["countBack"], self.most) :]
        columns = list(zip(*chosen, strict=True)) or [()] * 6
        times, *values = (list(column) for column in columns)
        arrays = dict(zip("ohlcv", values, strict=True))
        return {"symbol": symbol, **arrays, "t": [str(at) for at in times], "minBatchTruncTime": "0"}
