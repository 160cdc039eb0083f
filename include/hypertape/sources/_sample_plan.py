"""What the synthetic set contains: its instruments, the span of each interval, and the planted defects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from hypertape.calendars import expected_times
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Ticker, Window, midnight, utc

SPANS = {
    Interval.D1: Window(utc(2023, 1, 2), utc(2025, 7, 1)),
    Interval.H1: Window(utc(2025, 1, 1), utc(2025, 7, 1)),
    Interval.M1: Window(utc(2025, 6, 2), utc(2025, 7, 1)),
}
"""Where each interval has bars. Hours and days are the sums of the minutes where these exist."""

CORRECTED_AT = utc(2025, 6, 20)
"""Until then the bars of a late correction are delivered in their first version."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One synthetic instrument: where its price starts, its tick, a day's spread (fraction) and volume.

    `tick` 0 means the steps of the Vietnamese exchanges: 10 below 10 000 VND, 50 below 50 000, else 100.
    """

    market: str
    ticker: str
    title: str
    kind: str
    price: float
    tick: float
    spread: float
    volume: float
    lot: float

    @property
    def entry(self) -> Ticker:
        """Its line of a ticker file; the name says that it is synthetic."""
        return Ticker(self.ticker, f"{self.title} (synthetic)", "SYNTHETIC", self.kind)


INSTRUMENTS = (
    Instrument("vn", "SYNBANK", "Sample Bank", "stock", 24_500, 0, 0.014, 3_200_000, 100),
    Instrument("vn", "SYNFOOD", "Sample Foods", "stock", 61_000, 0, 0.012, 900_000, 100),
    Instrument("vn", "SYNINDEX", "Sample Index", "index", 1_240, 0.01, 0.009, 450_000_000, 1),
    Instrument("vn", "SYNLAND", "Sample Land", "stock", 38_000, 0, 0.018, 2_100_000, 100),
    Instrument("vn", "SYNSTEEL", "Sample Steel", "stock", 27_300, 0, 0.017, 7_500_000, 100),
    Instrument("vn", "SYNTECH", "Sample Technology", "stock", 96_000, 0, 0.015, 1_800_000, 100),
    Instrument("crypto", "SYNCENT", "Sample Cent", "crypto", 0.00002431, 1e-8, 0.030, 2.5e12, 1),
    Instrument("crypto", "SYNCHAIN", "Sample Chain", "crypto", 148.2, 0.0001, 0.026, 950_000, 0.0001),
    Instrument("crypto", "SYNCOIN", "Sample Coin", "crypto", 43_100, 0.01, 0.022, 31_000, 0.0001),
    Instrument("crypto", "SYNGAS", "Sample Gas", "crypto", 2_280, 0.01, 0.025, 260_000, 0.0001),
    Instrument("crypto", "SYNMETA", "Sample Meta", "crypto", 0.6137, 1e-6, 0.028, 45_000_000, 0.01),
    Instrument("crypto", "SYNSTABLE", "Sample Stable", "crypto", 1.0, 1e-6, 0.001, 80_000_000, 0.01),
    Instrument("us", "SYNBIO", "Sample Biotech", "stock", 42.5, 0.01, 0.021, 1_400_000, 1),
    Instrument("us", "SYNCHIP", "Sample Chips", "stock", 118.0, 0.01, 0.019, 22_000_000, 1),
    Instrument("us", "SYNCORP", "Sample Corporation", "stock", 184.0, 0.01, 0.013, 41_000_000, 1),
    Instrument("us", "SYNFUND", "Sample Fund", "etf", 402.0, 0.01, 0.008, 63_000_000, 1),
    Instrument("us", "SYNINDEX", "Sample Index", "index", 4_190, 0.01, 0.008, 2_100_000_000, 1),
    Instrument("us", "SYNOIL", "Sample Oil", "stock", 88.0, 0.01, 0.015, 9_600_000, 1),
)
"""By market and ticker. SYNINDEX exists in two markets: a ticker is unique inside its market only."""


class Defect(StrEnum):
    """A kind of planted defect."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    JUMP = "jump"
    STALE = "stale"
    VOLUME_SPIKE = "volume_spike"
    GAP = "gap"
    BAD_ROW = "bad_row"
    NEGATIVE_VOLUME = "negative_volume"
    OFF_GRID = "off_grid"
    DUPLICATE = "duplicate"
    CORRECTION = "correction"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted defect: where it is and what a report should say of it.

    `size` is the split's ratio, the dividend as a fraction of the price, or the factor of a jump, a spike, a
    correction or a mismatch.
    """

    market: str
    ticker: str
    interval: Interval
    window: Window
    kind: Defect
    explanation: str
    size: float = 1.0

    @property
    def times(self) -> tuple[datetime, ...]:
        """The openings of the bars concerned, oldest first."""
        expected = expected_times(get_market(self.market), self.interval, self.window)
        return tuple(instant(int(time)) for time in expected)


def _days(first: date, last: date | None = None) -> Window:
    return Window(midnight(first), midnight((last or first) + timedelta(days=1)))


def _bar(interval: Interval, opening: datetime) -> Window:
    return Window(opening, opening + (interval.delta or timedelta(days=1)))


def _daily(
    market: str, ticker: str, window: Window, kind: Defect, explanation: str, size: float = 1.0
) -> Planted:
    return Planted(market, ticker, Interval.D1, window, kind, explanation, size)


def _intraday(
    market: str,
    ticker: str,
    bar: tuple[Interval, datetime],
    kind: Defect,
    explanation: str,
    size: float = 1.0,
) -> Planted:
    return Planted(market, ticker, bar[0], _bar(*bar), kind, explanation, size)


def _missing_day(market: str, ticker: str, interval: Interval, day: date) -> Planted:
    return Planted(
        market,
        ticker,
        interval,
        _days(day),
        Defect.GAP,
        "every bar of the session is missing; its day exists",
    )


_H1, _M1 = Interval.H1, Interval.M1
_IMPOSSIBLE = "high and low are exchanged: the gate quarantines the row"
_BELOW_ZERO = "the volume is negative: the gate quarantines the row"
_TWICE = "the bar is delivered twice, first with a wrong close: the last one counts"
_LATE = f"the first version is 2 % too high; corrected on {CORRECTED_AT:%Y-%m-%d}: a restatement"
_STAMPED = "a copy of the bar is stamped 7 s after it: off the grid, quarantined"
_UNLIKE_DAY = "the day's last hour closes 3 % above the daily close"
_FLAT = "the quote is frozen for twelve sessions: open, high, low and close stay equal"
_LOUD = "a hundred and fifty times the usual volume"
_LEAP = "the price leaps beyond the market's daily limit, and no corporate action explains it"
_HOLE = "five sessions in a row have no daily bar; the hours of those days exist"

PLANTED = (
    _daily("vn", "SYNTECH", _days(date(2025, 6, 10)), Defect.SPLIT, "2:1, announced in splits", 2.0),
    _daily("vn", "SYNBANK", _days(date(2025, 5, 20)), Defect.DIVIDEND, "paid in cash, in dividends", 0.04),
    _daily("vn", "SYNLAND", _days(date(2025, 5, 14)), Defect.JUMP, _LEAP, 1.35),
    _daily("vn", "SYNBANK", _days(date(2025, 4, 8), date(2025, 4, 23)), Defect.STALE, _FLAT),
    _daily("vn", "SYNSTEEL", _days(date(2025, 6, 17)), Defect.VOLUME_SPIKE, _LOUD, 150),
    _daily("vn", "SYNSTEEL", _days(date(2025, 5, 26), date(2025, 5, 30)), Defect.GAP, _HOLE),
    _daily("vn", "SYNFOOD", _days(date(2025, 6, 4)), Defect.BAD_ROW, _IMPOSSIBLE),
    _daily("vn", "SYNFOOD", _days(date(2025, 6, 12)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _daily("vn", "SYNLAND", _days(date(2025, 6, 18)), Defect.DUPLICATE, _TWICE, 1.01),
    _daily("vn", "SYNBANK", _days(date(2025, 6, 9), date(2025, 6, 11)), Defect.CORRECTION, _LATE, 1.02),
    _missing_day("vn", "SYNTECH", _H1, date(2025, 5, 22)),
    _intraday("vn", "SYNFOOD", (_H1, utc(2025, 6, 5, 3)), Defect.BAD_ROW, _IMPOSSIBLE),
    _intraday("vn", "SYNLAND", (_H1, utc(2025, 6, 6, 7)), Defect.MISMATCH, _UNLIKE_DAY, 1.03),
    _missing_day("vn", "SYNSTEEL", _M1, date(2025, 6, 19)),
    _intraday("vn", "SYNFOOD", (_M1, utc(2025, 6, 5, 3, 10)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _intraday("vn", "SYNTECH", (_M1, utc(2025, 6, 16, 3, 30)), Defect.DUPLICATE, _TWICE, 1.01),
    _intraday("vn", "SYNLAND", (_M1, utc(2025, 6, 24, 2, 30)), Defect.OFF_GRID, _STAMPED),
    _daily("crypto", "SYNMETA", _days(date(2025, 5, 15)), Defect.JUMP, _LEAP, 1.8),
    _daily("crypto", "SYNSTABLE", _days(date(2025, 4, 10), date(2025, 4, 21)), Defect.STALE, _FLAT),
    _daily("crypto", "SYNCHAIN", _days(date(2025, 6, 18)), Defect.VOLUME_SPIKE, _LOUD, 150),
    _daily("crypto", "SYNGAS", _days(date(2025, 5, 10), date(2025, 5, 14)), Defect.GAP, _HOLE),
    _daily("crypto", "SYNCENT", _days(date(2025, 6, 5)), Defect.BAD_ROW, _IMPOSSIBLE),
    _daily("crypto", "SYNCENT", _days(date(2025, 6, 11)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _daily("crypto", "SYNCHAIN", _days(date(2025, 6, 20)), Defect.DUPLICATE, _TWICE, 1.01),
    _daily("crypto", "SYNCOIN", _days(date(2025, 6, 14), date(2025, 6, 16)), Defect.CORRECTION, _LATE, 1.02),
    _missing_day("crypto", "SYNGAS", _H1, date(2025, 5, 21)),
    _intraday("crypto", "SYNCENT", (_H1, utc(2025, 6, 6, 10)), Defect.BAD_ROW, _IMPOSSIBLE),
    _intraday("crypto", "SYNCOIN", (_H1, utc(2025, 6, 7, 23)), Defect.MISMATCH, _UNLIKE_DAY, 1.03),
    _missing_day("crypto", "SYNCHAIN", _M1, date(2025, 6, 19)),
    _intraday("crypto", "SYNCENT", (_M1, utc(2025, 6, 6, 10, 10)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _intraday("crypto", "SYNCOIN", (_M1, utc(2025, 6, 16, 3, 30)), Defect.DUPLICATE, _TWICE, 1.01),
    _intraday("crypto", "SYNMETA", (_M1, utc(2025, 6, 24, 2, 30)), Defect.OFF_GRID, _STAMPED),
    _daily("us", "SYNCORP", _days(date(2025, 6, 9)), Defect.SPLIT, "2:1, announced in splits", 2.0),
    _daily("us", "SYNOIL", _days(date(2025, 5, 15)), Defect.DIVIDEND, "paid in cash, in dividends", 0.015),
    _daily("us", "SYNBIO", _days(date(2025, 5, 20)), Defect.JUMP, _LEAP, 1.7),
    _daily("us", "SYNOIL", _days(date(2025, 4, 1), date(2025, 4, 16)), Defect.STALE, _FLAT),
    _daily("us", "SYNFUND", _days(date(2025, 6, 17)), Defect.VOLUME_SPIKE, _LOUD, 150),
    _daily("us", "SYNFUND", _days(date(2025, 5, 5), date(2025, 5, 9)), Defect.GAP, _HOLE),
    _daily("us", "SYNCHIP", _days(date(2025, 6, 4)), Defect.BAD_ROW, _IMPOSSIBLE),
    _daily("us", "SYNCHIP", _days(date(2025, 6, 12)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _daily("us", "SYNBIO", _days(date(2025, 6, 18)), Defect.DUPLICATE, _TWICE, 1.01),
    _daily("us", "SYNCORP", _days(date(2025, 6, 11), date(2025, 6, 13)), Defect.CORRECTION, _LATE, 1.02),
    _missing_day("us", "SYNFUND", _H1, date(2025, 5, 22)),
    _intraday("us", "SYNCHIP", (_H1, utc(2025, 6, 5, 15, 30)), Defect.BAD_ROW, _IMPOSSIBLE),
    _intraday("us", "SYNOIL", (_H1, utc(2025, 6, 6, 19, 30)), Defect.MISMATCH, _UNLIKE_DAY, 1.03),
    _missing_day("us", "SYNFUND", _M1, date(2025, 6, 18)),
    _intraday("us", "SYNCHIP", (_M1, utc(2025, 6, 5, 15, 10)), Defect.NEGATIVE_VOLUME, _BELOW_ZERO),
    _intraday("us", "SYNCORP", (_M1, utc(2025, 6, 16, 15, 30)), Defect.DUPLICATE, _TWICE, 1.01),
    _intraday("us", "SYNBIO", (_M1, utc(2025, 6, 24, 15, 30)), Defect.OFF_GRID, _STAMPED),
)
"""Every planted defect, so that a demonstration can check that the reports find each of them."""
