"""Binance's server as far as the source ccxt sees it, for the conformance kit: the list of pairs, and daily candles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypertape.model import midnight
from hypertape.sources._stand_in import Offered

_DAY = 86_400_000


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What Binance answers to a request, having these coins in USDT."""
    if path.endswith("/exchangeInfo"):
        pairs = [_pair(symbol) for symbol in dict.fromkeys(one.symbol for one in offered)]
        return json.dumps({"timezone": "UTC", "symbols": pairs})
    if not path.endswith("/klines"):
        return 404, json.dumps({"code": -1, "msg": f"no {path}"})
    found = [one for one in offered if f"{one.symbol}USDT" == query["symbol"]]
    if not found:
        return 400, json.dumps({"code": -1121, "msg": "Invalid symbol."})
    return json.dumps(_candles(found[-1], int(query.get("startTime", 0)), int(query.get("limit", 500))))


def _candles(one: Offered, since: int, most: int) -> list[list[Any]]:
    listed = [(int(midnight(row.time).timestamp()) * 1000, row) for row in one.rows]
    return [
        [at, *(f"{cell:.8f}" for cell in row[1:6]), at + _DAY - 1, "0", 1, "0", "0", "0"]
        for at, row in listed
        if at >= since
    ][:most]


def _pair(base: str) -> dict[str, Any]:
    return {
        "symbol": f"{base}USDT", "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"], "icebergAllowed": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
        ],
    }  # fmt: skip
