"""What `GET /tickers` was asked, read from its parameters.

| parameter | default | meaning |
|---|---|---|
| symbol | all of the market | a ticker; may be repeated, at most 1000 times. With several markets also `us:VNM` |
| interval | 1D | 1D 1H 1m 5m 15m 30m 4h 1W 2W 1M; `1M` is a month and `1m` a minute |
| start_date, end_date | none | UTC date or instant; a date as the end includes its day |
| limit | 252 newest; with start_date all | with start_date the oldest from there, else the newest; at most 100000 |
| mode | the usual market | a market, one of its other names, or `all` |
| format | json | json, csv or arrow |
| legacy | false | prices as the old files had them: thousands, but for indices |
| ma | true | false leaves out averages and scores, and keeps the changes |
| ema | false | true adds ema10 … ema200; lengths such as `12,26` add those |
| indicators | none | those at read time, by name: `rsi14,ema26`; a project adds its own |
| state | any | published: only bars that checks have passed, as the schema `published` has them |
| provisional | json true, else false | marks bars that may still change: by a key, in a last column |
| pin | none | the name of a pin: its bars, in the stored intervals and 4h |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from hypertape.api.read_time import read_indicators
from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import AVERAGES, Interval, Market, parse_instant

USUAL_LIMIT = 252
MOST_SYMBOLS = 1_000
MOST_BARS_EACH = 100_000
MOST_BARS = 20_000_000
LONGEST_EMA = 1_000
MOST_EMAS = 10

FORMATS = ("json", "csv", "arrow")
STATES = ("any", "published")
"""What is read: all that is stored, or what checks have passed."""

ALL = "all"
EVER = (datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_TRUE, _FALSE = ("", "true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Width:
    """The width of the bars that are asked for: an interval, or several hours made of its bars at read time."""

    spelling: str
    interval: Interval
    hours: int = 0

    @property
    def is_stored(self) -> bool:
        """True when the bars are read as they were loaded, indicators included."""
        return self.interval.is_stored and not self.hours

    @property
    def is_daily(self) -> bool:
        """True for a day and wider: times are written as dates."""
        return self.interval in (Interval.D1, Interval.W1, Interval.W2, Interval.MO1)

    @property
    def step(self) -> timedelta:
        """The shortest time between two bars."""
        return timedelta(hours=self.hours) if self.hours else self.interval.delta or timedelta(days=28)


FOUR_HOURS = Width("4h", Interval.H1, 4)
"""Made from hourly bars; its bars open at 00:00, 04:00, … UTC."""

SPELLINGS = ("1D", "1H", "1m", "5m", "15m", "30m", "4h", "1W", "2W", "1M")


@dataclass(frozen=True, slots=True)
class BarQuery:
    """A query that can be answered. `start` and `end` are a half-open window in UTC; None is open."""

    symbols: tuple[str, ...] | None
    width: Width
    start: datetime | None
    end: datetime | None
    limit: int | None
    markets: tuple[Market, ...]
    format: str = FORMATS[0]
    legacy: bool = False
    averages: bool = True
    emas: tuple[int, ...] = ()
    indicators: tuple[str, ...] = ()
    state: str = STATES[0]
    pin: str | None = None
    provisional: bool = False

    @property
    def schema(self) -> str:
        """The schema whose relations are read."""
        return "public" if self.state == STATES[0] else self.state

    @property
    def is_of_whole_series(self) -> bool:
        """True when something asked for may depend on every bar of a series before."""
        return bool(self.emas or self.indicators)

    @property
    def newest(self) -> bool:
        """True when the newest bars are wanted, False when all from a start on, or the oldest of them."""
        return self.start is None

    def tickers(self, market: Market) -> list[str] | None:
        """The tickers asked of one market; None for all of it."""
        if self.symbols is None:
            return None
        own = f"{market.code}:"
        if len(self.markets) == 1:
            return list(self.symbols)
        named = (s.removeprefix(own) for s in self.symbols if ":" not in s or s.startswith(own))
        return list(dict.fromkeys(named))

    def slots(self, first: datetime, last: datetime) -> int:
        """At most how many bars a series with bars from `first` to `last` answers with."""
        most = self._between(max(first, self.start or first), last)
        return min(most, self.limit) if self.limit else most

    def steps(self, first: datetime, last: datetime) -> int:
        """At most how many bars are read for that: an EMA is computed from the first bar of its series on."""
        return self._between(first, last) if self.is_of_whole_series else self.slots(first, last)

    def _between(self, low: datetime, last: datetime) -> int:
        high = min(last, self.end or last)
        return int((high - low) / self.width.step) + 2 if high >= low else 0


def refuse_too_many(query: BarQuery, spans: Iterable[tuple[datetime, datetime]]) -> None:
    """Raise BadInput when series of these spans could need more than MOST_BARS bars to be read."""
    most = sum(query.steps(first, last) for first, last in spans)
    if most > MOST_BARS:
        raise BadInput(
            f"{most:,} bars could be needed for the answer, more than {MOST_BARS:,}",
            next_step="Name fewer symbols, a shorter window or a limit, or use `hypertape export`.",
        )


def read_query(
    *,
    symbol: Sequence[str] = (),
    interval: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    limit: str | None = None,
    mode: str | None = None,
    format: str | None = None,
    legacy: str | None = None,
    ma: str | None = None,
    ema: str | None = None,
    indicators: str | None = None,
    state: str | None = None,
    pin: str | None = None,
    provisional: str | None = None,
) -> BarQuery:
    """Read the parameters as they came. Raises BadInput with the valid values."""
    start, end = read_date("start_date", start_date), read_date("end_date", end_date, include_day=True)
    if start and end and start >= end:
        raise BadInput(f"start_date={start_date} is after end_date={end_date}", next_step="Swap them.")
    if pin and state not in (None, "", STATES[0]):
        raise BadInput(f"pin={pin} and state={state} exclude each other", next_step="Choose one.")
    asked = read_number("limit", limit, MOST_BARS_EACH, "Leave it out and give a start_date: it streams.")
    return BarQuery(
        symbols=None if (named := read_symbols(symbol)) is None else tuple(named),
        width=read_width(interval or "1D"),
        start=start,
        end=end,
        limit=asked or (None if start else USUAL_LIMIT),
        markets=read_mode(mode),
        format=_choice("format", format or FORMATS[0], FORMATS),
        legacy=read_flag("legacy", legacy, False),
        averages=read_flag("ma", ma, True),
        emas=_emas(ema),
        indicators=read_indicators(indicators),
        state=_choice("state", state or STATES[0], STATES),
        pin=pin or None,
        provisional=read_flag("provisional", provisional, format in (None, "", FORMATS[0])),
    )


def read_width(text: str) -> Width:
    """Read an interval in any spelling of the documents; case matters. Raises BadInput."""
    if text in ("4h", "4H"):
        return FOUR_HOURS
    try:
        interval = Interval.parse(text)
    except BadInput as error:
        raise BadInput(
            f"There is no interval {text!r}",
            next_step=f"Intervals: {', '.join(SPELLINGS)} (1M is a month, 1m a minute).",
        ) from error
    return Width(interval.spelling, interval)


def read_mode(text: str | None, usual: str | None = None) -> tuple[Market, ...]:
    """Read a mode: a market's code or other name, or `all`; none means `usual`, else the usual market.

    Markets come with the usual one first. Raises BadInput.
    """
    known = sorted(all_markets().values(), key=lambda market: (not market.is_usual, market.code))
    text = text or usual
    if text == ALL or (text is None and not known[0].is_usual):
        return tuple(known)
    if text is None:
        return (known[0],)
    found = [market for market in known if text in (market.code, *market.modes)]
    if not found:
        names = [f"{m.code} (or {', '.join(m.modes)})" if m.modes else m.code for m in known]
        raise BadInput(f"There is no mode {text!r}", next_step=f"Modes: {', '.join([*names, ALL])}.")
    return tuple(found)


def read_date(name: str, text: str | None, *, include_day: bool = False) -> datetime | None:
    """Read a UTC date or instant; as an end it is included, a date with its whole day. Raises BadInput."""
    if not text:
        return None
    try:
        instant = parse_instant(text)
    except (BadInput, OverflowError) as error:
        plus = " A + is written %2B in an address." if " " in text else ""
        raise BadInput(
            f"{name}={text!r} is not a date",
            next_step=f"Write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS (UTC).{plus}",
        ) from error
    if not include_day:
        return instant
    try:
        return instant + (timedelta(days=1) if _is_date(text) else timedelta(microseconds=1))
    except OverflowError:
        return EVER[1]


def read_number(name: str, text: str | None, most: int, otherwise: str = "") -> int | None:
    """Read a count from 1 to `most`; None when it was not given. Raises BadInput."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) > 0):
        raise BadInput(f"{name}={text!r} is not a count", next_step=f"Write a whole number from 1 to {most}.")
    if int(text) > most:
        raise BadInput(f"{name}={text} is more than {most}", next_step=otherwise or "Ask for fewer.")
    return int(text)


def read_flag(name: str, text: str | None, usual: bool) -> bool:
    """Read a flag; a name without a value means true. Raises BadInput."""
    if text is None:
        return usual
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise BadInput(f"{name}={text!r} is neither true nor false", next_step="Write true or false.")


def read_symbols(given: Sequence[str] | None) -> list[str] | None:
    """Read the tickers that are named, each once; None when there are none. Raises BadInput for too many."""
    named = list(dict.fromkeys(text for text in given or () if text))
    if len(named) > MOST_SYMBOLS:
        raise BadInput(
            f"{len(named)} symbols are more than {MOST_SYMBOLS}",
            next_step="Ask for some at a time, or for the whole market by naming none.",
        )
    # PostgreSQL text holds no NUL, so no ticker does: such a symbol is as unknown as any other
    return [text for text in named if "\x00" not in text] if named else None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _choice(name: str, text: str, valid: Mapping[str, object] | Sequence[str]) -> str:
    if text not in valid:
        raise BadInput(f"{name}={text!r} is not known", next_step=f"Valid: {', '.join(valid)}.")
    return text


def _emas(text: str | None) -> tuple[int, ...]:
    if text is None or text.lower() in _FALSE:
        return ()
    if text.lower() in _TRUE:
        return AVERAGES
    lengths = sorted({read_number("ema", part.strip(), LONGEST_EMA) or 0 for part in text.split(",")})
    if 0 in lengths or len(lengths) > MOST_EMAS:
        raise BadInput(
            f"ema={text!r} is no list of lengths",
            next_step=f"Write true, or up to {MOST_EMAS} lengths such as 12,26.",
        )
    return tuple(lengths)
