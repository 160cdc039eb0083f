"""The plot of the simulated year: what happens to which ticker, and from when on a pipeline can know of it.

Every ticker is named after what befalls it. Moments are drawn from a seed, within bounds that keep the events apart;
they are counted in sessions of the year. Nothing here knows the product, but for the calendar it should believe in.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from script import YEAR, Script

from hypertape.calendars import sessions
from hypertape.markets import get_market
from hypertape.model import Interval

VN = get_market("vn")
SEED = int(os.environ.get("SIMULATION_SEED", "2024"))
"""Another year is simulated with another seed."""

HISTORY, FIRST, LAST = date(2023, 1, 3), date(2024, 1, 2), date(2024, 12, 31)
"""Where the vendor's history begins, and the first and last session of the year."""

OPENS, CLOSES = time(2, tzinfo=UTC), time(8, tzinfo=UTC)
HOURS = (2, 3, 4, 6, 7)
"""The hours, UTC, in which Vietnam trades."""
NOON, EVENING, LATER = time(4, 40, tzinfo=UTC), time(8, 35, tzinfo=UTC), time(12, tzinfo=UTC)
"""UTC: when the exchange trades, and when runs start."""

NEVER = datetime.max.replace(tzinfo=UTC)

CUT = 100
"""More than a run compares when a restatement is suspected, less than any history."""


@dataclass(frozen=True)
class Split:
    """From the opening of `ex` on the vendor states all earlier bars on the new footing: prices × `factor`.

    `volumes` is what it makes of the volumes: 2 for a two-for-one split, 1 for a cash dividend.
    """

    ex: date
    factor: float
    volumes: float = 1.0

    @property
    def at(self) -> datetime:
        """When the vendor's history changes."""
        return datetime.combine(self.ex, OPENS)


@dataclass(frozen=True)
class Correction:
    """A final bar that is stated wrongly until `at`.

    `column` names what is wrong; `refused` means that it is so wrong that it cannot be a bar. `seen` is when a pipeline
    that reads its overlap every day, and what it is told to read, first can know better.
    """

    session: date
    column: str
    at: datetime
    seen: datetime
    refused: bool = False


@dataclass(frozen=True)
class Hole:
    """Sessions whose bars the vendor does not have until `at`; `seen` as in Correction.

    With `hours` only the bars of these hours (UTC) are missing: a hole inside the session.
    """

    sessions: tuple[date, ...]
    at: datetime = NEVER
    seen: datetime = NEVER
    hours: tuple[int, ...] = ()


@dataclass(frozen=True)
class Story:
    """What befalls one ticker.

    On the days `stood_in` the vendor's answer cannot be read, and another vendor is asked. On the days `cut` it answers
    the newest CUT bars only, whatever it is asked for. On the days `slips` it answers in thousands.
    Until the day `renamed` it is called `formerly`; before that day's run an operator renames it.
    """

    ticker: str
    splits: tuple[Split, ...] = ()
    corrections: tuple[Correction, ...] = ()
    holes: tuple[Hole, ...] = ()
    halted: tuple[date, ...] = ()
    asked: date = HISTORY
    listed: date = HISTORY
    delisted: date = date.max
    fails: tuple[date, ...] = ()
    stood_in: tuple[date, ...] = ()
    cut: tuple[date, ...] = ()
    slips: tuple[date, ...] = ()
    messy: bool = False
    formerly: str = ""
    renamed: date = date.min

    def name(self, day: date) -> str:
        """What it is called on a day."""
        return self.formerly if day < self.renamed else self.ticker


@dataclass(frozen=True)
class Plot:
    """The year: its sessions by the calendar, who is in it, and what befalls everybody.

    `history` is where the vendor's bars begin. `closed` is a session of the calendar on which the exchange does not
    trade. In the `pages` among the days of the `outage` the vendor answers everything with a web page. Where runs go
    wrong, those of the days `stranded` die before their refresh. On the evening of the first date of `mend` an operator
    reads the sessions from the second to the third again.
    """

    seed: int
    interval: Interval
    history: date
    days: tuple[date, ...]
    stories: tuple[Story, ...]
    closed: date | None = None
    outage: tuple[date, ...] = ()
    pages: tuple[date, ...] = ()
    stranded: tuple[date, ...] = ()
    noons: tuple[date, ...] = ()
    heals: tuple[date, ...] = ()
    mend: tuple[date, date, date] | None = None

    @property
    def tickers(self) -> tuple[str, ...]:
        return tuple(story.ticker for story in self.stories)

    def asked(self, now: datetime) -> tuple[str, ...]:
        """The tickers a run of that moment asks for: a new one is expected some days before it is there."""
        return tuple(story.name(now.date()) for story in self.stories if story.asked <= now.date())

    def listed(self, now: datetime) -> tuple[str, ...]:
        """The tickers as lists name them, which are late to learn of a new name."""
        late = now.date() - timedelta(days=30)
        return tuple(story.name(late) for story in self.stories if story.asked <= now.date())

    def stood_in(self, now: datetime) -> tuple[str, ...]:
        """The tickers another vendor serves that day."""
        return tuple(story.ticker for story in self.stories if now.date() in story.stood_in)

    def of(self, ticker: str) -> Story:
        return next(story for story in self.stories if ticker in (story.ticker, story.formerly))


def calendar_days(first: date, last: date) -> tuple[date, ...]:
    """The sessions the calendar promises, both ends included."""
    return tuple(session.date for session in sessions(VN, first, last + timedelta(days=1)))


def evening(day: date) -> datetime:
    """When the daily run of a session starts."""
    return datetime.combine(day, EVENING)


def mending(day: date) -> datetime:
    """When an operator reads something again, after the daily run."""
    return evening(day) + timedelta(minutes=10)


def healing(day: date) -> datetime:
    """When gaps are healed, after that."""
    return evening(day) + timedelta(minutes=20)


def write_plot(seed: int = SEED, *, script: Script = YEAR, renames: bool = False) -> Plot:
    """Draw the events of a year, or of another script; with `renames` also a ticker that gets another name."""
    days = calendar_days(FIRST, LAST)[: script.sessions]
    pick = random.Random(seed)
    heals = tuple(days[at] for at in range(19, len(days), 20))
    deep = Split(days[pick.randint(*script.deep)], 0.5, 2.0)
    mended = pick.randint(*script.mistaken_before_a_mend)
    mend = (days[script.mend], days[mended - 3], days[mended + 3])
    told = evening(days[script.told])

    def span(at: int, length: int) -> tuple[date, ...]:
        return days[at : at + length]

    def late(at: int, delay: int, column: str, refused: bool = False) -> Correction:
        moment = datetime.combine(days[at + delay], OPENS)
        return Correction(days[at], column, moment, moment, refused)

    stories = (
        Story("CALM"),
        Story(
            "SPLIT",
            (Split(days[pick.randint(*script.split)], 0.5, 2.0),),
            (late(script.volume, 3, "volume"),),
        ),
        Story("REVERSE", (Split(days[pick.randint(*script.reverse)], 5.0, 0.2),)),
        Story("PAYER", tuple(_dividends(days, pick, script))),
        Story(
            "TWICE",
            (Split(days[script.twice[0]], 0.5, 2.0), Split(days[pick.randint(*script.twice[1])], 2 / 3, 1.5)),
        ),
        Story("LATE", corrections=tuple(late(at, pick.randint(1, 8), column) for at, column in script.late)),
        Story("DEEP", (deep,), (Correction(days[pick.randint(*script.mistaken)], "close", told, deep.at),)),
        Story("MENDED", corrections=(Correction(days[mended], "close", told, mending(mend[0])),)),
        Story("HALT", halted=span(pick.randint(*script.halt), 8)),
        Story("HOLE", holes=tuple(_holes(days, heals, pick, script))),
        Story("REFUSED", corrections=(late(pick.randint(*script.refused), 3, "high", refused=True),)),
        Story("NEWCO", asked=days[script.asked], listed=days[pick.randint(*script.listed)]),
        Story("GONE", delisted=days[pick.randint(*script.delisted)]),
        Story("FLAKY", fails=span(pick.randint(*script.flaky), 2)),
        Story("PARTED", (Split(days[script.stood_in], 0.5, 2.0),), stood_in=span(script.stood_in, 1)),
        Story("CUT", (Split(days[script.cut], 0.5, 2.0),), cut=span(script.cut, 1)),
        Story("MESSY", corrections=(late(script.messy, 2, "open"),), messy=True),
        Story("SLIP", slips=span(0, 1)),
        Story("BRIEF", holes=(_cut(days, heals),)),
    )
    if renames:
        close, volume, hole, renamed, split = script.fresh
        stories += (
            Story(
                "FRESH", (Split(days[split], 0.5, 2.0),), (late(close, 3, "close"), late(volume, 4, "volume")),
                holes=(Hole((days[hole],)),), formerly="STALE", renamed=days[renamed],
            ),
        )  # fmt: skip
    pages, away = (span(*outage) for outage in script.outages)
    first, at_noon = stories[1].splits[0].ex, tuple(days[at] for at in script.noons)
    return Plot(
        seed,
        Interval.D1,
        HISTORY,
        days,
        stories,
        closed=days[script.closed],
        outage=pages + away,
        pages=pages,
        stranded=span(script.stranded, 5),
        noons=tuple(sorted({first, days[script.twice[0]], *at_noon})),
        heals=heals,
        mend=mend,
    )


def write_hours(seed: int = SEED) -> Plot:
    """Two weeks of hourly bars, read several times a day."""
    days = calendar_days(date(2024, 3, 4), date(2024, 3, 15))
    corrected = datetime.combine(days[3], OPENS)
    filled = datetime.combine(days[6], OPENS)
    stories = (
        Story("HOURLY", corrections=(Correction(days[2], "close", corrected, corrected),)),
        Story("HOLED", holes=(Hole(days[3:4], filled, healing(days[8]), hours=(3, 4)),)),
        Story("HALVED", (Split(days[5], 0.5, 2.0),), holes=(Hole(days[5:6], filled, filled),)),
    )
    return Plot(seed, Interval.H1, date(2023, 12, 1), days, stories, outage=days[7:8], heals=days[8:9])


def _dividends(days: tuple[date, ...], pick: random.Random, script: Script) -> Iterable[Split]:
    """A vendor that adjusts prices for cash takes a few percent off everything before; volumes stay."""
    cash, shares = script.dividends
    yield Split(days[pick.randint(*cash)], 0.97)
    yield Split(days[pick.randint(*shares)], 1 / 1.1, 1.1)


def _cut(days: tuple[date, ...], heals: tuple[date, ...]) -> Hole:
    """The first answer holds the newest bars only, later ones are whole: healing asks for the rest."""
    older = calendar_days(HISTORY, days[0] - timedelta(days=1))[:-12]
    return Hole(older, datetime.combine(days[1], OPENS), healing(heals[0]))


def _holes(
    days: tuple[date, ...], heals: tuple[date, ...], pick: random.Random, script: Script
) -> Iterable[Hole]:
    """One the vendor fills while the overlap still sees it, one that only healing can bring, one that stays."""
    soon_filled, long_missing, for_good = script.holes
    at = pick.randint(*soon_filled)
    soon = datetime.combine(days[at + 5], OPENS)
    yield Hole(days[at : at + 2], soon, soon)
    at = pick.randint(*long_missing)
    filled = datetime.combine(days[at + 25], OPENS)
    healed = next(healing(day) for day in heals if day >= days[at + 25])
    yield Hole(days[at : at + 3], filled, healed)
    at = pick.randint(*for_good)
    yield Hole(days[at : at + 1])
