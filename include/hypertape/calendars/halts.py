"""Known exceptional halts: sessions in which some or all instruments of a calendar could not trade.

The calendar keeps such a day as a session where others traded, or where vendors publish bars for it: what a halt
excuses is a bar that is *not* there. The gap ledger reads this table and nothing else knows of halts. A run of
sessions without bars that is not listed here may still be found to be a halt (docs/decisions/0013-gap-ledger.md); an
entry here is for what a person has looked up, with the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Halt:
    """No trading from `first` to `last` (session dates, both included); `tickers` None means whoever has no bar."""

    calendar: str
    first: date
    last: date
    tickers: frozenset[str] | None
    reason: str
    source: str


HALTS = (
    Halt(
        "HOSE",
        date(2018, 1, 23),
        date(2018, 1, 24),
        None,
        "the matching system of HOSE had failed; HNX and UPCOM traded",
        "https://e.vnexpress.net/news/business/vietnam-s-main-stock-exchange-to-reopen-after-two-day-shutdown-3703610.html",
    ),
    Halt(
        "24/7",
        date(2011, 6, 20),
        date(2011, 6, 25),
        frozenset({"BTC"}),
        "Mt. Gox, then the only venue of weight, had suspended trading after a break-in",
        "https://observer.com/2011/06/bitcoin-exchange-hacked-trading-suspended-currency-could-be-worth-anything/",
    ),
)


def halts_of(calendar: str) -> tuple[Halt, ...]:
    """The known halts of a calendar, oldest first."""
    return tuple(sorted((halt for halt in HALTS if halt.calendar == calendar), key=lambda halt: halt.first))
