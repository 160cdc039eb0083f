"""VCI's list of symbols: GET `/api/price/symbols/getAll`, as the price board behind its charts asks for it.

One object a symbol: `symbol`, `board` (HSX, HNX, UPCOM; DELISTED), `type` (STOCK, ETF, BOND, FU, CW, …), `organName`,
`enOrganName`. Indices are not in it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypertape.errors import SourceSchemaChanged
from hypertape.sources._listing import Listed, Listing
from hypertape.sources._session import read_json, start_of

PATH = "/api/price/symbols/getAll"

KINDS = {"STOCK": "stock", "ETF": "etf"}
"""Types of VCI that are tickers of ours; all others are counted."""

_GONE = "DELISTED"


def read_listing(body: bytes) -> Listing:
    """Read an answer. Raises SourceSchemaChanged where it has another shape, or no stock in it."""
    rows = read_json("VCI", body)
    if not isinstance(rows, list):
        raise SourceSchemaChanged(f"VCI's list of symbols has another shape: {start_of(body)}")
    listed: dict[str, Listed] = {}
    others: Counter[str] = Counter()
    for row in rows:
        found = _read(row)
        if isinstance(found, Listed):
            listed[found.ticker] = found
        else:
            others[found] += 1
    if not listed:
        raise SourceSchemaChanged(f"VCI's list of symbols has no stock in it: {start_of(body)}")
    return Listing(tuple(listed[ticker] for ticker in sorted(listed)), tuple(KINDS.values()), dict(others))


def _read(row: Any) -> Listed | str:
    """A row as a ticker, else the word under which it is counted."""
    if not isinstance(row, dict) or not isinstance(row.get("symbol"), str) or not row["symbol"].strip():
        return "unreadable"
    kind, board = str(row.get("type") or "").upper(), str(row.get("board") or "").upper()
    if kind not in KINDS:
        return kind or "without a type"
    name = row.get("organName") or row.get("enOrganName")
    return Listed(
        row["symbol"].strip(), str(name) if name else None, KINDS[kind], None if board == _GONE else board or None,
        board == _GONE,
    )  # fmt: skip
