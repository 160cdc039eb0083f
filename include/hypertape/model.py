"""The words of the domain: market, interval, window, series, and the columns of a bar.

All instants are timezone-aware UTC. A bar's `time` is its opening instant; intervals and windows are
half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property

from hypertape.errors import BadInput, UnknownInterval

ALWAYS_OPEN = "24/7"
"""The calendar of what never closes."""

AVERAGES = (10, 20, 50, 100, 200)
"""Windows of the moving averages, in bars."""

LONGEST_LOOKBACK = max(AVERAGES)
"""Bars before a window that the longest indicator needs, the window's own first bar included."""

PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume", "adjusted_close")
"""What a source delivers beside the key, all float64; adjusted_close may be NULL (NaN)."""

AVERAGE_COLUMNS = tuple(f"ma{n}" for n in AVERAGES)
SCORE_COLUMNS = tuple(f"ma{n}_score" for n in AVERAGES)
CHANGE_COLUMNS = ("close_changed", "volume_changed", "total_money_changed")
INDICATOR_COLUMNS = (*AVERAGE_COLUMNS, *SCORE_COLUMNS, *CHANGE_COLUMNS)
"""The documents' 13 indicator columns, in the documents' order."""

PREVIOUS_COLUMNS = ("previous_close", "previous_volume")
STORED_INDICATOR_COLUMNS = (*AVERAGE_COLUMNS, *PREVIOUS_COLUMNS)
"""What a stored bar carries; the other eight indicators are expressions over these in the public view."""

BAR_COLUMNS = ("ticker", "time", *VALUE_COLUMNS)
PUBLIC_COLUMNS = (*BAR_COLUMNS, *INDICATOR_COLUMNS)
"""What every reader of a stored interval sees."""

MODES = ("missing", "overwrite", "restate")
"""How a backfill's bars meet those that are stored: kept, overwritten where they differ, replaced at any scale."""

EXPLAINED = ("holiday", "not listed", "delisted", "halted")
"""Reasons for which a missing bar is no defect."""

HEALABLE = ("unknown", "fetch failed", "provider empty", "holiday", "halted")
"""What healing asks for when nobody says otherwise. What may be a listing is `provider empty` until a second answer."""

HEAL_ATTEMPTS = 3
"""After so many answers without the bars a gap rests until somebody reopens it; failed requests do not count."""

CRITICAL, WARNING = "critical", "warning"
SEVERITIES = (CRITICAL, WARNING)
"""How bad a failed check is: a critical one holds the watermark."""

NOTE = "note"
FINDING_SEVERITIES = (CRITICAL, WARNING, NOTE)
"""How bad a finding is, the worst first."""

FINDING_KINDS: Mapping[str, str | None] = {
    "source": CRITICAL,
    "source_paused": NOTE,
    "loads": WARNING,
    "check": None,
    "check_not_run": None,
    "unchecked": WARNING,
    "late": WARNING,
    "gaps": WARNING,
    "spans": CRITICAL,
    "watermarks": CRITICAL,
    "rollups_wait": CRITICAL,
    "rollups_differ": CRITICAL,
    "indicators_differ": CRITICAL,
    "mirror": WARNING,
    "worker": WARNING,
    "letters": WARNING,
    "feed_stale": WARNING,
    "feed_lag": WARNING,
    "feed_gap": WARNING,
    "spool": WARNING,
    "candles_wait": CRITICAL,
    "quarantine": NOTE,
    "flags": NOTE,
    "restatements": NOTE,
    "notify": WARNING,
    "backup": WARNING,
    "listing": NOTE,
}
"""Every kind of finding with its severity; None: that of the check. docs/runbook.md has a paragraph for each."""

STREAM_KINDS = ("feed_stale", "feed_lag", "feed_gap", "letters", "spool", "candles_wait")
"""Those that speak of ticks and their feeds."""


class Interval(StrEnum):
    """The width of a bar. The value is the relation's suffix: `market_data_1d`."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    D1 = "1d"
    W1 = "1w"
    W2 = "2w"
    MO1 = "1mo"

    @property
    def is_stored(self) -> bool:
        """True when bars of this width are loaded; False when they are rolled up."""
        return self in STORED_INTERVALS

    @property
    def delta(self) -> timedelta | None:
        """Fixed width, or None for the calendar month."""
        return _DELTAS[self]

    @property
    def base(self) -> Interval:
        """The stored interval this one is derived from (itself when stored)."""
        if self.is_stored:
            return self
        return Interval.M1 if self in (Interval.M5, Interval.M15, Interval.M30) else Interval.D1

    @property
    def spelling(self) -> str:
        """The documents' spelling: 1D 1H 1m 5m 15m 30m 1W 2W 1M."""
        return _SPELLINGS[self]

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read either spelling. Case matters where it must: `1M` is a month, `1m` a minute.

        Raises UnknownInterval with the valid spellings.
        """
        known = _BY_SPELLING.get(text)
        if known is None:
            raise UnknownInterval(
                f"There is no interval {text!r}",
                next_step=f"Intervals: {', '.join(cls)} (or {', '.join(_SPELLINGS.values())}).",
            )
        return known


_DELTAS: dict[Interval, timedelta | None] = {
    Interval.M1: timedelta(minutes=1),
    Interval.M5: timedelta(minutes=5),
    Interval.M15: timedelta(minutes=15),
    Interval.M30: timedelta(minutes=30),
    Interval.H1: timedelta(hours=1),
    Interval.D1: timedelta(days=1),
    Interval.W1: timedelta(weeks=1),
    Interval.W2: timedelta(weeks=2),
    Interval.MO1: None,
}
_SPELLINGS: dict[Interval, str] = {
    Interval.M1: "1m",
    Interval.M5: "5m",
    Interval.M15: "15m",
    Interval.M30: "30m",
    Interval.H1: "1H",
    Interval.D1: "1D",
    Interval.W1: "1W",
    Interval.W2: "2W",
    Interval.MO1: "1M",
}
_BY_SPELLING: dict[str, Interval] = {
    **{interval.value: interval for interval in Interval},
    **{spelling: interval for interval, spelling in _SPELLINGS.items()},
}
STORED_INTERVALS = (Interval.D1, Interval.H1, Interval.M1)

TIMEFRAMES: dict[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
"""The documents' levels of candles, each built from the one before it and the first from ticks."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time `[start, end)` in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for instant in (self.start, self.end):
            if instant.tzinfo is None:
                raise BadInput(f"{instant} has no time zone", next_step="Pass UTC instants.")
        if self.start > self.end:
            raise BadInput(
                f"The window starts at {self.start} after its end {self.end}", next_step="Swap them."
            )

    def __str__(self) -> str:
        return f"[{format_instant(self.start)}, {format_instant(self.end)})"

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def is_empty(self) -> bool:
        """True when no instant lies in it."""
        return self.start == self.end

    def to_json(self) -> list[str]:
        """Return ISO 8601 start and end, for XCom and ledgers."""
        return [self.start.isoformat(), self.end.isoformat()]

    @classmethod
    def from_json(cls, pair: Iterable[str]) -> Window:
        """Read what `to_json` wrote."""
        start, end = pair
        return cls(datetime.fromisoformat(start), datetime.fromisoformat(end))


def asked_window(
    start: datetime | None, end: datetime | None, *, earliest: datetime, now: datetime
) -> Window:
    """The window somebody asked for; an edge that was not given is `earliest` or `now`. It never ends after `now`.

    Raises BadInput for a start in the future, a window that ends where it starts or before, and an end at or before
    `earliest` where no start was given.
    """
    if start is not None and start >= now:
        raise BadInput(
            f"The window starts at {format_instant(start)}, which is in the future",
            next_step=f"It is {format_instant(now)} (UTC) now: name an earlier start.",
        )
    if start is not None and end is not None and start >= end:
        raise BadInput(
            f"The window ends at {format_instant(end)}, not after its start {format_instant(start)}",
            next_step="Swap them." if start > end else "The end is not included: name a later one.",
        )
    if start is None and end is not None and end <= earliest:
        raise BadInput(
            f"The window ends at {format_instant(end)}, before the first bar that would be asked for",
            next_step=f"Name an end after {format_instant(earliest)}, or an earlier start.",
        )
    until = now if end is None else min(end, now)
    return Window(start if start is not None else min(earliest, until), until)


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """One ticker of one market at one interval."""

    market: str
    ticker: str
    interval: Interval

    def __str__(self) -> str:
        return f"{self.market}/{self.interval}/{self.ticker}"


@dataclass(frozen=True, slots=True)
class Ticker:
    """One line of a market's ticker file. `kind` is one of stock, index, etf, crypto."""

    ticker: str
    name: str
    group: str
    kind: str


@dataclass(frozen=True, slots=True)
class SessionException:
    """A date on which a market trades otherwise than its calendar says: in these hours (its own zone), or never."""

    date: date
    hours: tuple[time, time] | None
    why: str


@dataclass(frozen=True)
class Market:
    """A venue or family with one calendar. One file in `hypertape/markets` builds one of these.

    `history_start` is the first session worth asking a source for; `sources` are tried in order;
    `daily_move_limit` is the largest believable close-to-close change of a daily bar, as a fraction;
    `file_scale` multiplies legacy CSV prices when asked (indices excepted); `hour_mark` is where in the hour
    hourly bars open (00:30 where the exchange opens at half past). `retention` says how long bars of an interval are
    kept; empty, the default, keeps them all. `modes` are the read API's other names of the market; `is_usual` marks
    the one that it means when it is told none. `gate_actions` says what the gate does about a rule (`refuse`, `flag`,
    `fail`) where that is not the rule's default (`quality.gate_rules`). `plausible_prices` says per kind between which
    closes the median of an answer must lie, lest it be in another unit; a kind that is not named is not judged.
    `symbols` are what a source calls a ticker, by source; a suffix there is written after every other ticker.
    `exceptions` are dates that the calendar has wrong.
    """

    code: str
    table: str
    title: str
    timezone: str
    calendar: str
    price_unit: str
    sources: tuple[str, ...]
    history_start: Mapping[Interval, date]
    schedule: Mapping[Interval, str]
    daily_move_limit: float
    suffixes: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    file_scale: float = 1.0
    positive_prices: bool = True
    freshness_sessions: int = 2
    hour_mark: timedelta = timedelta(0)
    retention: Mapping[Interval, timedelta] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    is_usual: bool = False
    gate_actions: Mapping[str, str] = field(default_factory=dict)
    plausible_prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    tickers: tuple[Ticker, ...] = ()
    exceptions: tuple[SessionException, ...] = ()

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The intervals that are fetched and stored."""
        return STORED_INTERVALS

    def relation(self, interval: Interval) -> str:
        """Name of the relation, in schema `public` (what readers see) and in `bars` (what is stored)."""
        return f"{self.table}_{interval.value}"

    @cached_property
    def by_ticker(self) -> dict[str, Ticker]:
        """The ticker file by ticker."""
        return {entry.ticker: entry for entry in self.tickers}

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups in the ticker file, sorted."""
        return tuple(sorted({entry.group for entry in self.tickers}))

    def symbol_at(self, source: str, ticker: str) -> str:
        """What a source calls the ticker: its entry in `symbols`, else the ticker and the source's suffix."""
        return self.symbols.get(source, {}).get(ticker, ticker + self.suffixes.get(source, ""))

    def ticker_at(self, source: str, symbol: str) -> str:
        """The ticker that a source calls so."""
        known = self.symbols.get(source, {}).items()
        ticker = next((ticker for ticker, spelling in known if spelling == symbol), None)
        return symbol.removesuffix(self.suffixes.get(source, "")) if ticker is None else ticker

    @property
    def is_always_open(self) -> bool:
        """Whether it has no sessions: what is traded there is no share, is never split and pays nothing."""
        return self.calendar == ALWAYS_OPEN

    def kind_of(self, ticker: str) -> str:
        """The kind that the ticker file says; of a ticker that is not in it, what most of the market's are."""
        entry = self.by_ticker.get(ticker)
        return entry.kind if entry else "crypto" if self.is_always_open else "stock"

    def is_index(self, ticker: str) -> bool:
        """True when the ticker file says the ticker is an index (quoted in points, never scaled)."""
        return self.kind_of(ticker) == "index"


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> datetime:
    """Build a UTC instant."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def midnight(day: date) -> datetime:
    """The instant 00:00 UTC of a date: where a daily bar sits."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """Read an ISO date or instant; without a zone it is UTC. Raises BadInput."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{text!r} is not a date", next_step="Write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS."
        ) from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """Write an instant for people and files: a plain date at midnight, else seconds, always UTC."""
    instant = instant.astimezone(UTC)
    return instant.strftime("%Y-%m-%d" if instant.time() == datetime.min.time() else "%Y-%m-%dT%H:%M:%S")
