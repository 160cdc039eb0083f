"""A server that answers as Yahoo does: the cookie host, the crumb, and the chart with its real shapes and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from http_thread import HttpThread, Quiet

Fault = Callable[[dict[str, str]], tuple[int, str] | None]
"""Answers a chart request in the stock's place, given its query; None lets the stock answer."""


@dataclass
class Stock:
    """One listed symbol: bars as (opening, open, high, low, close, adjusted close, volume), prices may be None."""

    zone: str
    bars: list[tuple[Any, ...]]
    opens: time = time(9, 0)
    closes: time = time(15, 0)
    dividends: dict[datetime, float] = field(default_factory=dict)
    splits: dict[datetime, tuple[int, int]] = field(default_factory=dict)
    kind: str = "EQUITY"


class YahooReplay(HttpThread):
    """The server. `stocks` answer, `faults` go first, `asked` keeps (path, query) of every request."""

    def __init__(self) -> None:
        self.stocks: dict[str, Stock] = {}
        self.faults: dict[str, Fault] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        replay = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(address.query).items()}
                status, body = replay.answer(address.path, query)
                content = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if address.path == "/":
                    self.send_header("Set-Cookie", "A3=replayed; Path=/")
                self.end_headers()
                self.wfile.write(content)

        super().__init__(Handler)

    def charts(self, symbol: str) -> list[dict[str, str]]:
        """Queries of the chart requests for bars (not for the time zone), in order."""
        return [
            query for path, query in self.asked if path.endswith(f"/chart/{symbol}") and "period1" in query
        ]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, str]:
        self.asked.append((path, query))
        if path == "/":
            return 404, ""  # the cookie host answers 404 and sets its cookie all the same
        if path == "/v1/test/getcrumb":
            return 200, "crumb"
        if path.startswith("/v8/finance/chart/"):
            return self._chart(path.rpartition("/")[2], query)
        return 404, json.dumps(
            {"finance": {"result": None, "error": {"code": "Not Found", "description": ""}}}
        )

    def _chart(self, symbol: str, query: dict[str, str]) -> tuple[int, str]:
        fault = self.faults.get(symbol) or self.faults.get("*")
        answer = fault(query) if fault else None
        if answer is not None:
            return answer
        if symbol not in self.stocks:
            return chart_error(404, "Not Found", "No data found, symbol may be delisted")
        return 200, json.dumps(_chart_of(symbol, self.stocks[symbol], query))


def chart_error(status: int, code: str, description: str) -> tuple[int, str]:
    """An error as the chart endpoint words it."""
    return status, json.dumps(
        {"chart": {"result": None, "error": {"code": code, "description": description}}}
    )


def _chart_of(symbol: str, stock: Stock, query: dict[str, str]) -> dict[str, Any]:
    start, end = int(query.get("period1", 0)), int(query.get("period2", 2**40))
    bars = [bar for bar in stock.bars if start <= bar[0].timestamp() < end]
    result: dict[str, Any] = {"meta": _meta(symbol, stock, query, bars)}
    if bars:
        result["timestamp"] = [int(bar[0].timestamp()) for bar in bars]
        _, opens, highs, lows, closes, adjusted, volumes = zip(*bars, strict=True)
        quote = {"open": opens, "high": highs, "low": lows, "close": closes, "volume": volumes}
        result["indicators"] = {"quote": [quote]}
        if query["interval"] == "1d":
            result["indicators"]["adjclose"] = [{"adjclose": adjusted}]
    else:
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
    events = _events(stock, start, end)
    if events:
        result["events"] = events
    return {"chart": {"result": [result], "error": None}}


def _events(stock: Stock, start: int, end: int) -> dict[str, Any]:
    dividends = {
        str(int(at.timestamp())): {"amount": amount, "date": int(at.timestamp())}
        for at, amount in stock.dividends.items()
        if start <= at.timestamp() < end
    }
    splits = {
        str(int(at.timestamp())): {
            "date": int(at.timestamp()),
            "numerator": new,
            "denominator": old,
            "splitRatio": f"{new}:{old}",
        }
        for at, (new, old) in stock.splits.items()
        if start <= at.timestamp() < end
    }
    return {name: found for name, found in (("dividends", dividends), ("splits", splits)) if found}


def _meta(symbol: str, stock: Stock, query: dict[str, str], bars: list[tuple[Any, ...]]) -> dict[str, Any]:
    zone = ZoneInfo(stock.zone)
    days = sorted({bar[0].astimezone(zone).date() for bar in bars}) or [
        datetime(2025, 6, 2, tzinfo=UTC).date()
    ]
    periods = []
    for day in days:
        opens = datetime.combine(day, stock.opens, zone)
        closes = datetime.combine(day, stock.closes, zone)
        if closes <= opens:
            closes += timedelta(days=1)
        periods.append(
            {
                "timezone": opens.tzname(),
                "start": int(opens.timestamp()),
                "end": int(closes.timestamp()),
                "gmtoffset": int(opens.utcoffset().total_seconds()),  # type: ignore[union-attr]
            }
        )
    meta = {
        "currency": "VND" if symbol.endswith(".VN") else "USD",
        "symbol": symbol,
        "exchangeName": "REP",
        "instrumentType": stock.kind,
        "firstTradeDate": 1_000_000_000,
        "regularMarketTime": periods[-1]["end"],
        "gmtoffset": periods[-1]["gmtoffset"],
        "timezone": periods[-1]["timezone"],
        "exchangeTimezoneName": stock.zone,
        "priceHint": 2,
        "currentTradingPeriod": {name: dict(periods[-1]) for name in ("pre", "regular", "post")},
        "dataGranularity": query["interval"],
        "range": query.get("range", ""),
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }
    if query["interval"] != "1d":
        meta["tradingPeriods"] = [[period] for period in periods]
    return meta
