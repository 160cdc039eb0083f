"""Yahoo's server as far as a source sees it, for the conformance kit: cookie, crumb and chart of daily bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypertape.sources._stand_in import Offered

_CHART = "/v8/finance/chart/"


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What Yahoo answers to a request, having these series."""
    if path == "/":
        return 404, ""  # the cookie is set all the same
    if path == "/v1/test/getcrumb":
        return "crumb"
    if not path.startswith(_CHART):
        return _error("Not Found", "")
    found = [one for one in offered if one.symbol == path.removeprefix(_CHART)]
    if not found:
        return _error("Not Found", "No data found, symbol may be delisted")
    return json.dumps({"chart": {"result": [_chart(found[-1], query)], "error": None}})


def _error(code: str, description: str) -> tuple[int, str]:
    told = {"code": code, "description": description}
    return 404, json.dumps({"chart": {"result": None, "error": told}})


def _chart(one: Offered, query: Mapping[str, str]) -> dict[str, Any]:
    start, end = int(query.get("period1", 0)), int(query.get("period2", 2**40))
    inside = [(int(at.timestamp()), row) for at, row in zip(one.opened, one.rows, strict=True)]
    inside = [(at, row) for at, row in inside if start <= at < end]
    meta = _meta(one, query)
    if not inside:
        return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
    names = ("open", "high", "low", "close", "volume")
    quote = {name: [getattr(row, name) for _, row in inside] for name in names}
    adjusted = [row.adjusted_close for _, row in inside]
    return {
        "meta": meta,
        "timestamp": [at for at, _ in inside],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
    }


def _meta(one: Offered, query: Mapping[str, str]) -> dict[str, Any]:
    opens = (one.opened[-1] if one.opened else _SOME_DAY).astimezone(ZoneInfo(one.zone))
    offset, begins = int((opens.utcoffset() or _NO_TIME).total_seconds()), int(opens.timestamp())
    period = {"timezone": opens.tzname(), "start": begins, "end": begins + 6 * 3600, "gmtoffset": offset}
    return {
        "currency": "USD",
        "symbol": one.symbol,
        "exchangeName": "SIM",
        "instrumentType": "EQUITY",
        "firstTradeDate": 1_000_000_000,
        "regularMarketTime": begins + 6 * 3600,
        "gmtoffset": offset,
        "timezone": opens.tzname(),
        "exchangeTimezoneName": one.zone,
        "priceHint": 2,
        "currentTradingPeriod": dict.fromkeys(("pre", "regular", "post"), period),
        "dataGranularity": query.get("interval", "1d"),
        "range": query.get("range", ""),
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


_SOME_DAY = datetime(2024, 3, 4, tzinfo=UTC)
_NO_TIME = timedelta(0)
