"""What mends a failed check: the command with its arguments, by what the check says of the bars.

Checking again mends nothing: no entry names a verb that only looks. The last command of each ends with a run of the
checks over its bars, so that the finding closes by itself when they are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypertape.markets import all_markets
from hypertape.quality.results import QualityResult
from hypertape.quality.rules import RULES
from hypertape.warehouse.findings.observer import MOST_TICKERS, options, tickers_option

COMPLETENESS = ("sessions_complete", "sessions_covered", "sessions_whole", "sessions_after_last", "fresh")
"""Checks of what is missing: the gap ledger and the calendar know it too, by ticker, and know when it is over."""

ROLLUP_CHECK = "rollup_equals_bars"

SO_IT_IS = "where the source says the same again it is so: acknowledge it"


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed check: where, which, of which tickers, and from when until when (UTC, `end` not included)."""

    market: str
    interval: str
    check: str
    tickers: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    target: str = ""

    @classmethod
    def of(cls, result: QualityResult) -> Failed:
        """What one result says: the tickers and times of its keys where it lists all, else its window."""
        named = result.details.get("tickers")
        listed = (result.unexpected or 0) <= len(result.sample)
        keys = [str(key["ticker"]) for key in result.sample if key.get("ticker")]
        tickers = named if isinstance(named, list) else keys if listed else ()
        start, end = _span(result) if listed else (result.window.start, result.window.end)
        return cls(
            result.market, result.interval, result.expectation, tuple(sorted(set(tickers))), start, end, result.target
        )  # fmt: skip

    @property
    def named(self) -> str:
        """`--tickers …`, or nothing where they are many or not known."""
        return tickers_option(self.tickers)

    @property
    def days(self) -> str:
        """`--start-date … --end-date …`: whole days of UTC, the last one included."""
        if self.start is None or self.end is None:
            return ""
        last = self.end - timedelta(microseconds=1)
        return f" --start-date {self.start:%Y-%m-%d} --end-date {last + timedelta(days=1):%Y-%m-%d}"

    @property
    def place(self) -> str:
        """The options of market, interval and tickers."""
        return options(self.market, self.interval, self.tickers)


def _span(result: QualityResult) -> tuple[datetime, datetime]:
    """From the first key's time to just after the last one's; the window where a key has none."""
    try:
        times = [datetime.fromisoformat(str(key["time"])) for key in result.sample]
        whole = [time if time.tzinfo else time.replace(tzinfo=result.window.start.tzinfo) for time in times]
        return min(whole), max(whole) + timedelta(microseconds=1)
    except (KeyError, ValueError):
        return result.window.start, result.window.end


def _read_again(failed: Failed) -> str:
    """The vendor's bars of these days once more; former values stay in `bar_revision`."""
    what = f"{failed.market} {failed.interval}{failed.named}{failed.days}"
    return f"hypertape backfill {what} --mode overwrite --no-dry-run"


def _read_again_or_so_it_is(failed: Failed) -> str:
    return f"{_read_again(failed)}; {SO_IT_IS}"


def _heal(failed: Failed) -> str:
    return f"hypertape gaps heal {failed.place}"


def _sync(failed: Failed) -> str:
    return f"hypertape sync {failed.place}"


def _recompute(failed: Failed) -> str:
    return f"hypertape reindicate {failed.market} {failed.interval}; then {_sync(failed)}{failed.days}"


def _refresh(failed: Failed) -> str:
    level = failed.target.rsplit("_", 1)[-1] if "_" in failed.target else failed.interval
    since = f" --since {failed.start:%Y-%m-%d}" if failed.start else ""
    return f"hypertape rollups verify -m {failed.market} -i {level}{since} --repair"


def _actions_first(failed: Failed) -> str:
    """A split or dividend that nobody knows of looks like a jump: ask for these, then for the bars."""
    market = all_markets().get(failed.market)
    if market is not None and market.is_always_open:
        return _read_again_or_so_it_is(failed)
    since = f" --start-date {failed.start:%Y-%m-%d}" if failed.start else ""
    asked = f"hypertape actions sync -m {failed.market}{failed.named}{since}"
    return f"{asked}; then {_read_again_or_so_it_is(failed)}"


def _start_over(failed: Failed) -> str:
    """A load replaces bars and removes none: what should not be there at all goes with its series."""
    tickers = ",".join(failed.tickers[:MOST_TICKERS]) or "TICKERS"
    place = f"{failed.market} {failed.interval} --tickers {tickers}"
    away = f"hypertape forget {place} --no-dry-run (without it: what would go)"
    if len(failed.tickers) > MOST_TICKERS:
        away = f"These are the first {MOST_TICKERS} of {len(failed.tickers)} tickers, name the others too: {away}"
    return f"{away}; then hypertape backfill {place} --no-dry-run"


def _open_or_not(failed: Failed) -> str:
    again = f"hypertape sync {failed.place}{failed.days}"
    return (
        f"The exchange was open then: a line in the project's calendars/{failed.market}.csv, then {again}. "
        f"It was not: {_start_over(failed)}"
    )


def _who_is_right(failed: Failed) -> str:
    """After a comparison with another source, which is the result's target: take its bars, or keep ours."""
    source = f" --source {failed.target}" if failed.target else ""
    taken = _read_again(failed).replace(" --mode", f"{source} --mode")
    return f"{failed.target or 'The other source'} is right: {taken}. What is stored is right: acknowledge it"


_IMPOSSIBLE = (
    "ticker_not_null", "open_not_null", "high_not_null", "low_not_null", "close_not_null", "volume_not_null",
    "volume_not_negative", "values_finite", "prices_positive", "high_not_below_low",
)  # fmt: skip
_DOUBTFUL = (
    "adjusted_close_positive", "ohlc_order", "not_stale", "volume_outlier", "volume_not_zero", "day_holds_1h",
    "day_holds_1m",
)  # fmt: skip
_COMPARED = tuple(f"{name}_agrees" for name in ("open", "high", "low", "close", "volume"))

MENDS: dict[str, Callable[[Failed], str]] = {
    **dict.fromkeys(_IMPOSSIBLE, _read_again),
    **dict.fromkeys(_DOUBTFUL, _read_again_or_so_it_is),
    **dict.fromkeys(COMPLETENESS, _heal),
    **dict.fromkeys(("sessions_after_last", "fresh"), _sync),
    **dict.fromkeys(("averages", "previous_bar"), _recompute),
    **dict.fromkeys(("key_unique", "time_on_grid", "time_not_future"), _start_over),
    **dict.fromkeys(("date_is_session", "time_in_session"), _open_or_not),
    **dict.fromkeys(("close_jump", "adjustment_steps", "actions_applied", "adjusted_close_reproduced"), _actions_first),
    **dict.fromkeys((*_COMPARED, "same_bars"), _who_is_right),
    ROLLUP_CHECK: _refresh,
}  # fmt: skip
"""What mends each check. A rule of the user's project is not here: its bars are read again."""


def check_mend(failed: Failed) -> str:
    """What mends a failed check, commands first where one alone may do."""
    return MENDS.get(failed.check, _read_again_or_so_it_is)(failed)


def not_run_mend(market: str, interval: str, *, ended: bool, check: str) -> str:
    """What makes a check run that did not: more time, a mended file, or a word to who wrote the rule."""
    again = f"hypertape validate {options(market, interval)}"
    if ended:
        return f"Raise HYPERTAPE_RULE_SECONDS; then {again}"
    if any(rule.name == check for rule in RULES):
        return f"A defect of the rule: report it with its error. After an upgrade {again}"
    return f"hypertape config check; then {again}"
