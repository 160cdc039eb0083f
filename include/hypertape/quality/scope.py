"""What a suite looks at, the limits it judges by, and how both reach the statements of `sql/queries/quality_*.sql`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from hypertape.model import LONGEST_LOOKBACK, Interval, Market, Window, utc
from hypertape.quality.gate_rules import ARITHMETIC
from hypertape.quality.rules import Rule

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

DIVIDEND_TOLERANCE = 0.25
"""Share of a dividend's yield by which the step of adjusted/raw may differ: vendors take another day's close."""

ADJUSTING_SOURCES = ("yahoo", "vci", "stockula")
"""Sources whose closes are adjusted for splits over the whole history; others' show the step."""


GRID_ORIGIN = utc(2000, 1, 3)
"""An instant at which every grid has an opening, before a market's own mark of the hour."""

_PLAIN = re.compile(r"[A-Za-z0-9 _./-]")


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


def names_for(scope: Scope, rule: Rule | None = None) -> dict[str, sql.Composable]:
    """The placeholders of the quality statements, as identifiers and literals.

    {relation} {day_relation} {narrow_relation}; {market} {interval} {timezone} {run_id}; {start} {end} (the window)
    {now} {judged}; {width} {narrow_width} {grid_origin}; {tickers} (a text[], or null for all) {indices}; and the
    limits above in lower case.
    """
    market = scope.market
    narrow = (rule.narrow if rule else None) or scope.interval
    literals = _what(scope) | _limits(market, scope.interval) | {"narrow_width": narrow.delta}
    return {
        **{name: _literal(value) for name, value in literals.items()},
        "tickers": _text_array(scope.tickers),
        "indices": _text_array([entry.ticker for entry in market.tickers if entry.kind == "index"]),
        "adjusting_sources": _text_array(ADJUSTING_SOURCES),
        "relation": sql.Identifier("bars", scope.relation),
        "day_relation": sql.Identifier("bars", market.relation(Interval.D1)),
        "narrow_relation": sql.Identifier("bars", market.relation(narrow)),
    }


def _what(scope: Scope) -> dict[str, Any]:
    offset = scope.market.hour_mark if scope.interval is Interval.H1 else timedelta(0)
    return {
        "market": scope.market.code,
        "interval": scope.interval.value,
        "timezone": scope.market.timezone,
        "run_id": scope.run_id,
        "start": scope.window.start,
        "end": scope.window.end,
        "now": scope.now,
        "judged": scope.judged,
        "width": scope.interval.delta,
        "grid_origin": GRID_ORIGIN + offset,
    }


def _limits(market: Market, interval: Interval) -> dict[str, Any]:
    return {
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
        "dividend_tolerance": DIVIDEND_TOLERANCE,
        "arithmetic": ARITHMETIC,
    }


def _literal(value: Any) -> sql.Composable:
    return _quoted(value) if isinstance(value, str) else sql.Literal(value)


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
