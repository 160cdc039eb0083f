"""What follows a copy into the warehouse: the one tail, for every market and interval of which series came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypertape.model import Interval, Series, Window
from hypertape.quality.results import Summary
from hypertape.settings import Settings
from hypertape.steps.after_load import AGAIN, AfterLoad, after_load, specs_of
from hypertape.steps.checks import validate
from hypertape.steps.refresh import NONE_REFRESHED, Rollups, refresh
from hypertape.steps.run_spec import Json, OnStep, RunSpec, loaded_spec, silent

Scope = tuple[str, Interval]
"""A market's code and an interval."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A series that was copied into the warehouse, the source its loads name, and its span where it is known.

    `equal`: it was there already, so that this run has no load of it.
    """

    series: Series
    source: str
    first: datetime | None = None
    last: datetime | None = None
    equal: bool = False

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "market": self.series.market,
            "ticker": self.series.ticker,
            "interval": self.series.interval.value,
            "source": self.source,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "equal": self.equal,
        }

    @classmethod
    def from_json(cls, value: Json) -> Loaded:
        """Read what `to_json` wrote."""
        first, last = (
            datetime.fromisoformat(value[name]) if value[name] else None for name in ("first", "last")
        )
        series = Series(value["market"], value["ticker"], Interval(value["interval"]))
        return cls(series, value["source"], first, last, value["equal"])


@dataclass(frozen=True, slots=True)
class Early:
    """What of the tail was done before its turn, beside something else, of each market and interval."""

    refreshed: Mapping[Scope, Rollups] = field(default_factory=dict)
    checked: Mapping[Scope, Summary] = field(default_factory=dict)


NOTHING_EARLY = Early()


def after_loads(
    dsn: str,
    run_id: str,
    loaded: Iterable[Loaded],
    *,
    now: datetime,
    settings: Settings,
    on_step: OnStep = silent,
    again: str = AGAIN,
    early: Early = NOTHING_EARLY,
) -> list[AfterLoad]:
    """Do what follows a load for every market and interval that a run loaded, or found to be loaded already.

    What is looked at is the span of what came. Where a run loaded some series and found others equal (it goes on where
    one was killed), all there is of them is. `early` is what `refresh_early` and `check_early` have done.
    """
    return [
        after_load(
            dsn, each.spec, now=now, settings=settings, on_step=on_step, again=again, tickers=each.tickers,
            refreshed=early.refreshed.get(each.scope, NONE_REFRESHED), checked=early.checked.get(each.scope),
        )
        for each in _looked_at(dsn, run_id, loaded, now)
    ]  # fmt: skip


def refresh_early(dsn: str, run_id: str, *, now: datetime) -> dict[Scope, Rollups]:
    """Refresh the rollups of all that a run loaded, while something else goes on; `after_loads` does the rest."""
    return {(spec.market.code, spec.interval): refresh(dsn, spec) for spec in specs_of(dsn, run_id, now=now)}


def check_early(
    dsn: str, run_id: str, loaded: Iterable[Loaded], *, now: datetime, settings: Settings
) -> dict[Scope, Summary]:
    """Look for gaps and run the suites over all that a run loaded, while something else goes on."""
    return {
        each.scope: validate(dsn, each.spec, now=now, settings=settings, tickers=each.tickers)
        for each in _looked_at(dsn, run_id, loaded, now)
    }


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """What the tail looks at of one market and interval; `tickers` None means those that were loaded."""

    scope: Scope
    spec: RunSpec
    tickers: list[str] | None


def _looked_at(dsn: str, run_id: str, loaded: Iterable[Loaded], now: datetime) -> list[_LookedAt]:
    specs = {(spec.market.code, spec.interval): spec for spec in specs_of(dsn, run_id, now=now)}
    found: dict[Scope, list[Loaded]] = {}
    for each in loaded:
        found.setdefault((each.series.market, each.series.interval), []).append(each)
    mixed = {key for key in specs if any(each.equal for each in found.get(key, ()))}
    for key in found.keys() - specs.keys():
        if (window := _span(found[key], now)) is not None:
            specs[key] = loaded_spec(run_id, key[0], key[1].value, found[key][0].source, window)
    return [
        _LookedAt(key, spec, sorted({each.series.ticker for each in found[key]}) if key in mixed else None)
        for key, spec in sorted(specs.items())
    ]


def _span(loaded: Iterable[Loaded], now: datetime) -> Window | None:
    moments = [
        min(moment, now) for each in loaded for moment in (each.first, each.last) if moment is not None
    ]
    if not moments:
        return None
    return Window(min(moments), min(max(moments) + timedelta(microseconds=1), now))
