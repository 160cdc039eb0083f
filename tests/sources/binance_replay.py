"""A server that answers as Binance's spot market data does: the list of pairs, and candles page by page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from replay_server import Answer, ReplayServer

Bar = tuple[int, float, float, float, float, float]
"""Opening (ms), open, high, low, close, volume."""

Fault = Callable[[dict[str, str]], Answer | None]
"""Answers a request for candles in the pair's place, given its query; None lets the pair answer."""

_WIDTH = {"1d": 86_400_000, "1h": 3_600_000, "1m": 60_000}


class BinanceReplay(ReplayServer):
    """`bars` answer, by (pair, interval) such as ("BTCUSDT", "1d"); every pair of `pairs` (base, quote) is listed.

    `fault` goes first for candles, `list_fault` for the list of pairs.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.bars: dict[tuple[str, str], list[Bar]] = {}
        self.fault: Fault | None = None
        self.list_fault: Fault | None = None
        self.shape: Callable[[list[list[Any]]], Any] = lambda candles: candles
        super().__init__()

    def candles(self) -> list[dict[str, str]]:
        """The queries that asked for candles, in order."""
        return [query for path, query, _ in self.asked if path.endswith("/klines")]

    def answer(self, path: str, query: dict[str, str], body: str) -> Answer:
        if path == "/api/v3/exchangeInfo":
            faulty = self.list_fault(query) if self.list_fault else None
            return faulty or Answer(200, json.dumps(self._pairs()))
        if path == "/api/v3/klines":
            faulty = self.fault(query) if self.fault else None
            return faulty or self._candles(query)
        return Answer(404, json.dumps({"code": -1, "msg": f"no {path}"}))

    def _pairs(self) -> dict[str, Any]:
        return {"timezone": "UTC", "symbols": [_pair(base, quote) for base, quote in self.pairs]}

    def _candles(self, query: dict[str, str]) -> Answer:
        listed = self.bars.get((query["symbol"], query["interval"]))
        if listed is None:
            return Answer(400, json.dumps({"code": -1121, "msg": "Invalid symbol."}))
        since, limit = int(query.get("startTime", 0)), int(query.get("limit", 500))
        chosen = [bar for bar in listed if bar[0] >= since][:limit]
        width = _WIDTH[query["interval"]]
        rows = [
            [t, *(f"{p:.8f}" for p in cells), t + width - 1, "0", 1, "0", "0", "0"] for t, *cells in chosen
        ]
        return Answer(200, json.dumps(self.shape(rows)))


def _pair(base: str, quote: str) -> dict[str, Any]:
    return {
        "symbol": base + quote, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"], "icebergAllowed": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
        ],
    }  # fmt: skip
