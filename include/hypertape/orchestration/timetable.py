"""When the bar DAGs run, and which span of time a run is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable
from croniter import croniter

from hypertape.model import STORED_INTERVALS, Interval, Market

_SOME_MONDAY = datetime(2024, 1, 8, tzinfo=UTC)

HEAL_AFTER = timedelta(hours=3)
"""Late enough for a vendor to have caught up, early enough for the evening."""

_BETWEEN_INTERVALS = timedelta(minutes=20)


def timetable(market: Market, interval: Interval) -> CronTriggerTimetable:
    """Build the timetable of a market's DAG: its cron, each run with the data interval `[tick − span, tick)`.

    A first unpausing waits for the next tick; after a pause the missed tick runs at once.
    """
    return CronTriggerTimetable(
        market.schedule[interval],
        timezone="UTC",
        interval=data_span(market, interval),
        run_immediately=timedelta(0),
    )


def heal_schedule(market: Market, interval: Interval) -> str:
    """When gaps are healed: daily, some hours after the market's daily run, one interval after the other."""
    tick = croniter(market.schedule[Interval.D1], _SOME_MONDAY).get_next(datetime)
    start = tick + HEAL_AFTER + list(STORED_INTERVALS).index(interval) * _BETWEEN_INTERVALS
    return f"{start.minute} {start.hour} * * *"


def heal_timetable(market: Market, interval: Interval) -> CronTriggerTimetable:
    """Build the timetable of the DAG that heals a market's gaps."""
    return CronTriggerTimetable(heal_schedule(market, interval), timezone="UTC")


def data_span(market: Market, interval: Interval) -> timedelta:
    """How far a run's data interval reaches back from its tick: to the opening of the first bar that was not
    finished at the tick before.

    So a daily run of an exchange is about `[00:00 UTC of the session, tick)`, and its logical date is the
    session's date. (A `CronDataIntervalTimetable` would say `[previous tick, tick)`: the run for Friday's bar
    would carry Thursday's date, and a backfill from Tuesday to Thursday would load Wednesday to Friday.)
    """
    ticks = croniter(market.schedule[interval], _SOME_MONDAY)
    before, tick = ticks.get_next(datetime), ticks.get_next(datetime)
    finished_on_its_day = interval is Interval.D1 and not market.is_always_open
    width = interval.delta
    assert width is not None  # stored intervals have a fixed width
    start = _floor(tick if finished_on_its_day else before, width)
    span: timedelta = tick - start
    return span


def _floor(instant: datetime, width: timedelta) -> datetime:
    return instant - (instant - _SOME_MONDAY) % width
