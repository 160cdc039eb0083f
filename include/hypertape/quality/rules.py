"""What is checked after a load: one entry per rule, with what it costs when it fails.

A rule is a Great Expectations expectation with its arguments, or a statement `sql/queries/quality_<name>.sql` that
returns the offenders (`ticker`, `time`, and what explains them). Such a statement reads `bar`, the window's rows with
every physical column, and may use the placeholders of `names_for`.

Critical: the stored bars contradict themselves, so the watermark stays where it is. Warning: the bars may be right
and someone should look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql

from hypertape.model import LONGEST_LOOKBACK, STORED_INTERVALS, Interval, Market, Window
from hypertape.quality.results import CRITICAL, WARNING

SAMPLED_BARS = 1000
"""Bars whose averages are recomputed in one run, beside every ticker's newest."""

AVERAGE_TOLERANCE = 1e-9
"""Relative: a database sum adds in another order than the indicators do."""

STALE_BARS = {Interval.D1: 5, Interval.H1: 12, Interval.M1: 120}
"""Equal closes in a row, with trading, that look like a stuck feed. Minutes of a quiet stock repeat by nature."""

OUTLIER_FACTOR = {Interval.D1: 20.0, Interval.H1: 40.0, Interval.M1: 400.0}
"""Volume against the ticker's median. Minutes are that uneven: the closing auction is one bar."""

OUTLIER_REACH = {
    Interval.D1: timedelta(days=180),
    Interval.H1: timedelta(days=30),
    Interval.M1: timedelta(days=4),
}
"""History before the window that the median is taken over too."""

OUTLIER_BARS = 20
"""Fewer bars than this have no usable median."""

WITHIN_SESSION = {Interval.D1: 1.0, Interval.H1: 0.75, Interval.M1: 0.5}
"""Share of the market's daily limit that a close may move inside one session; from session to session all of it."""

DAY_TOLERANCE = 0.005
"""Relative difference allowed between a day's bar and its hours or minutes: vendors round and adjust differently."""

ADJUSTMENT_TOLERANCE = 0.002
"""Relative change of adjusted/raw from bar to bar that vendors' rounding explains."""


_PLAIN = re.compile(r"[A-Za-z0-9 _./-]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One check. `unit` says what is counted as evaluated: bars, sessions, tickers or sample.

    With `expectation`, a class of great_expectations.expectations and its `arguments`; without, the statement
    `quality_<statement or name>.sql`. `intervals` are the stored intervals it applies to.
    """

    name: str
    description: str
    severity: str
    target: str
    unit: str = "bars"
    expectation: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    statement: str = ""
    intervals: tuple[Interval, ...] = STORED_INTERVALS
    only_positive_prices: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def query_name(self) -> str:
        """File of `sql/queries` that finds the offenders."""
        return f"quality_{self.statement or self.name}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a suite looks at: one relation, one window, all tickers or some, judged as of `now` by run `run_id`."""

    market: Market
    interval: Interval
    window: Window
    run_id: str
    now: datetime
    tickers: tuple[str, ...] | None = None

    @property
    def judged(self) -> datetime:
        """The instant up to which bars are due: the window's end or now, whichever is earlier."""
        return min(self.window.end, self.now)

    @property
    def relation(self) -> str:
        """Name of the stored relation in schema `bars`; the suite is named after it."""
        return self.market.relation(self.interval)


_INTRADAY = (Interval.H1, Interval.M1)
_DAY = (Interval.D1,)
_NOT_NULL = ("ticker", "open", "high", "low", "close", "volume")  # a bar without time lies in no window

RULES: tuple[Rule, ...] = (
    *(
        Rule(
            f"{column}_not_null",
            f"Every bar has its {column}",
            CRITICAL,
            column,
            expectation="ExpectColumnValuesToNotBeNull",
            arguments={"column": column},
        )
        for column in _NOT_NULL
    ),
    Rule(
        "prices_positive",
        "Prices are above zero (low is the smallest)",
        CRITICAL,
        "low",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": "low", "min_value": 0, "strict_min": True},
        only_positive_prices=True,
    ),
    Rule(
        "volume_not_negative",
        "Volume is zero or more",
        CRITICAL,
        "volume",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": "volume", "min_value": 0},
    ),
    Rule(
        "adjusted_close_positive",
        "An adjusted close, where there is one, is above zero",
        WARNING,
        "adjusted_close",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": "adjusted_close", "min_value": 0, "strict_min": True},
        only_positive_prices=True,
    ),
    Rule("key_unique", "No two bars share ticker and time", CRITICAL, "ticker, time"),
    Rule("values_finite", "Prices and volume are finite numbers", CRITICAL, "open, high, low, close, volume"),
    Rule("ohlc_order", "low ≤ open, close ≤ high", CRITICAL, "open, high, low, close"),
    Rule("time_on_grid", "Bars open on the interval's grid", CRITICAL, "time"),
    Rule("time_not_future", "No bar opens after the check ran, in the window or after it", CRITICAL, "time"),
    Rule(
        "previous_bar",
        "previous_close and previous_volume are exactly those of the bar before, in every row",
        CRITICAL,
        "previous_close, previous_volume",
    ),
    Rule(
        "averages",
        "ma10 … ma200 equal a recomputation in SQL (within 1e-9 relative; empty while history is too short), "
        "on every ticker's newest bar and a sample that changes from run to run",
        CRITICAL,
        "ma10, ma20, ma50, ma100, ma200",
        unit="sample",
    ),
    Rule(
        "sessions_complete",
        "Every session between a ticker's first and last bar has a bar, unless the gap ledger explains it",
        WARNING,
        "time",
        unit="sessions",
        intervals=_DAY,
    ),
    Rule(
        "sessions_covered",
        "Every session between a ticker's first and last bar has at least one bar, unless the gap ledger explains it",
        WARNING,
        "time",
        unit="sessions",
        intervals=_INTRADAY,
    ),
    Rule(
        "sessions_after_last",
        "No session has closed since a ticker's last bar, up to the end of the window",
        WARNING,
        "time",
        unit="sessions",
    ),
    Rule(
        "fresh",
        "No ticker is behind by more closed sessions than its market allows (weekends and holidays never count)",
        WARNING,
        "time",
        unit="tickers",
    ),
    Rule(
        "date_is_session",
        "A daily bar's date is a session of the calendar",
        WARNING,
        "time",
        intervals=_DAY,
    ),
    Rule(
        "time_in_session",
        "An intraday bar lies in a session's hours, the break and the instant of the close included",
        WARNING,
        "time",
        intervals=_INTRADAY,
    ),
    Rule(
        "close_jump",
        "The close moves no more than the market's limit from bar to bar, unless a split or dividend lies between",
        WARNING,
        "close, previous_close",
    ),
    Rule("not_stale", "The close does not stay the same for suspiciously many traded bars", WARNING, "close"),
    Rule("volume_outlier", "Volume stays within a multiple of the ticker's median", WARNING, "volume"),
    Rule(
        "volume_not_zero",
        "Every closed session was traded (indices excepted)",
        WARNING,
        "volume",
        intervals=_DAY,
    ),
    Rule(
        "adjustment_steps",
        "adjusted_close / close changes only where a dividend or split lies between two bars",
        WARNING,
        "adjusted_close, close",
        intervals=_DAY,
    ),
    *(
        Rule(
            f"day_holds_{narrow.value}",
            f"A day's bar contains its {narrow.value} bars (low, high) and ends at their close, where both exist",
            WARNING,
            "high, low, close",
            statement="day_holds_intraday",
            intervals=(Interval.D1, narrow),
            extra={"narrow": narrow},
        )
        for narrow in _INTRADAY
    ),
)


def rules_for(market: Market, interval: Interval) -> tuple[Rule, ...]:
    """The rules of one suite, in the order they run."""
    return tuple(
        rule
        for rule in RULES
        if interval in rule.intervals and (market.positive_prices or not rule.only_positive_prices)
    )


def names_for(scope: Scope, rule: Rule | None = None) -> dict[str, sql.Composable]:
    """The placeholders of the quality statements, as identifiers and literals.

    {relation} {day_relation} {narrow_relation}; {market} {interval} {timezone} {run_id}; {start} {end} (the window)
    {now} {judged}; {tickers} (a text[] or null for all); and the limits above.
    """
    market, interval = scope.market, scope.interval
    narrow = (rule.extra if rule else {}).get("narrow", interval)
    width = interval.delta or timedelta(0)
    literals: dict[str, Any] = {
        "market": market.code,
        "interval": interval.value,
        "timezone": market.timezone,
        "run_id": scope.run_id,
        "start": scope.window.start,
        "end": scope.window.end,
        "now": scope.now,
        "judged": scope.judged,
        "width": width,
        "narrow_width": narrow.delta,
        "grid_origin": _grid_origin(market, interval),
        "sampled_bars": SAMPLED_BARS,
        "longest_lookback": LONGEST_LOOKBACK,
        "average_tolerance": AVERAGE_TOLERANCE,
        "freshness_sessions": market.freshness_sessions,
        "move_limit": market.daily_move_limit,
        "move_limit_within": market.daily_move_limit * WITHIN_SESSION[interval],
        "stale_bars": STALE_BARS[interval],
        "outlier_factor": OUTLIER_FACTOR[interval],
        "outlier_reach": OUTLIER_REACH[interval],
        "outlier_bars": OUTLIER_BARS,
        "day_tolerance": DAY_TOLERANCE,
        "adjustment_tolerance": ADJUSTMENT_TOLERANCE,
    }
    return {
        **{
            name: _quoted(value) if isinstance(value, str) else sql.Literal(value)
            for name, value in literals.items()
        },
        "tickers": _text_array(scope.tickers),
        "indices": _text_array([entry.ticker for entry in market.tickers if entry.kind == "index"]),
        "relation": sql.Identifier("bars", scope.relation),
        "day_relation": sql.Identifier("bars", market.relation(Interval.D1)),
        "narrow_relation": sql.Identifier("bars", market.relation(narrow)),
    }


def _text_array(values: Sequence[str] | None) -> sql.Composable:
    if values is None:
        return sql.SQL("null::text[]")
    return sql.SQL("array[{}]::text[]").format(sql.SQL(", ").join(map(_quoted, values)))


def _quoted(text: str) -> sql.Composable:
    """A string literal without any character that a layer on the way to the server might take for its own.

    Great Expectations formats the statement (braces) and SQLAlchemy reads it, more than once (colons, percent signs).
    """
    body = "".join(character if _PLAIN.match(character) else f"\\U{ord(character):08x}" for character in text)
    return sql.SQL(f"E'{body}'")


def _grid_origin(market: Market, interval: Interval) -> datetime:
    offset = market.hour_mark if interval is Interval.H1 else timedelta(0)
    return datetime(2000, 1, 3, tzinfo=UTC) + offset
