"""What is checked after a load: one entry per rule, with what it costs when it fails.

A rule is a Great Expectations expectation with its arguments, or a statement `sql/queries/quality_<name>.sql` that
returns the offenders (`ticker`, `time`, and what explains them). Such a statement reads `bar`, the window's rows with
every physical column, and may use the placeholders of `scope.names_for`.

Critical: the stored bars contradict themselves, so the watermark stays where it is. Warning: the bars may be right
and someone should look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypertape.model import CRITICAL, STORED_INTERVALS, WARNING, Interval, Market


@dataclass(frozen=True, slots=True)
class Rule:
    """One check. `unit` says what is counted as evaluated: bars, adjusted closes, pairs
    (bars of a ticker that also has the other interval), sessions, tickers or sample.

    With `expectation`, a class of great_expectations.expectations and its `arguments`; without, the statement
    `quality_<statement or name>.sql`. `intervals` are the stored intervals it applies to;
    `narrow` is the one a day is compared with.

    A rule of the user's project (`project_rules`) has its `file` and its `text`, or says why it is `broken`, and may
    name the `markets` it applies to.
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
    narrow: Interval | None = None
    markets: tuple[str, ...] = ()
    file: Path | None = None
    text: str = ""
    broken: str = ""

    @property
    def query_name(self) -> str:
        """File that finds the offenders: of `sql/queries`, or the project's."""
        return self.file.name if self.file else f"quality_{self.statement or self.name}"


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
        unit="adjusted closes",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": "adjusted_close", "min_value": 0, "strict_min": True},
        only_positive_prices=True,
    ),
    Rule("key_unique", "No two bars share ticker and time", CRITICAL, "ticker, time"),
    Rule("values_finite", "Prices and volume are finite numbers", CRITICAL, "open, high, low, close, volume"),
    Rule(
        "prices_positive",
        "Prices are above zero",
        CRITICAL,
        "open, high, low, close",
        only_positive_prices=True,
    ),
    Rule("high_not_below_low", "low ≤ high", CRITICAL, "high, low"),
    Rule(
        "ohlc_order",
        "low ≤ open, close ≤ high, within 1e-9 of the bound (vendors deliver such days, and they are kept)",
        WARNING,
        "open, high, low, close",
    ),
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
        "sessions_whole",
        "No session has a hole: bars missing in a row that the series does not ordinarily leave out (gap ledger)",
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
        "The close moves no more than the market's limit from bar to bar, beside the step of an action between the two",
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
        "adjusted_close / close changes where cash or a split lies between two bars, by its step, and nowhere else",
        WARNING,
        "adjusted_close, close",
        unit="adjusted closes",
        intervals=_DAY,
    ),
    Rule(
        "actions_applied",
        "The closes show every declared split (or their source adjusts for it); no cash paid is as large as the price",
        WARNING,
        "close",
        intervals=_DAY,
    ),
    *(
        Rule(
            f"day_holds_{narrow.value}",
            f"A day's bar contains its {narrow.value} bars (low, high) and ends at their close, where both exist",
            WARNING,
            "high, low, close",
            unit="pairs",
            statement="day_holds_intraday",
            intervals=(Interval.D1, narrow),
            narrow=narrow,
        )
        for narrow in _INTRADAY
    ),
)


def applies(rule: Rule, market: Market, interval: Interval) -> bool:
    """True where a rule belongs to the suite of a market and interval."""
    return (
        interval in rule.intervals
        and (market.positive_prices or not rule.only_positive_prices)
        and (not rule.markets or market.code in rule.markets)
    )
