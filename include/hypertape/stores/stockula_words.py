"""The words of Stockula's price_history: its market, its table, how it writes intervals."""

from __future__ import annotations

from hypertape.model import Interval

MARKET = "us"
TABLE = "price_history"
SPELLINGS = {
    Interval.D1: ("1d", "1D", "daily"),
    Interval.H1: ("1h", "1H", "60m"),
    Interval.M1: ("1m", "1min", "minute"),
}
"""How files write the intervals that are stored; three each, as the statement takes."""


def interval_of(spelling: str) -> Interval | None:
    """The stored interval the file means, or None."""
    return next((interval for interval, known in SPELLINGS.items() if spelling in known), None)
