"""The plot of the simulated year: what happens to which ticker, and from when on a pipeline can know of it.

Every ticker is named after what befalls it. Moments are drawn from a seed, within bounds that keep the events apart;
they are counted in sessions of the year. Nothing here knows the product, but for the calendar it should believe in.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

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


def write_plot(seed: int = SEED, *, renames: bool = False) -> Plot:
    """Draw the year's events, with `renames` also a ticker that gets another name."""
    days = calendar_days(FIRST, LAST)
    pick = random.Random(seed)
    heals = tuple(days[at] for at in range(19, len(days), 20))
    deep = Split(days[pick.randint(178, 184)], 0.5, 2.0)
    mended = pick.randint(118, 122)
    mend = (days[160], days[mended - 3], days[mended + 3])

    def span(at: int, length: int) -> tuple[date, ...]:
        return days[at : at + length]

    def late(at: int, delay: int, column: str, refused: bool = False) -> Correction:
        moment = datetime.combine(days[at + delay], OPENS)
        return Correction(days[at], column, moment, moment, refused)

    stories = (
        Story("CALM"),
        Story("SPLIT", (Split(days[pick.randint(60, 68)], 0.5, 2.0),), (late(100, 3, "volume"),)),
        Story("REVERSE", (Split(days[pick.randint(120, 130)], 5.0, 0.2),)),
        Story("PAYER", tuple(_dividends(days, pick))),
        Story("TWICE", (Split(days[86], 0.5, 2.0), Split(days[pick.randint(93, 96)], 2 / 3, 1.5))),
        Story("LATE", corrections=tuple(_corrections(late, pick))),
        Story(
            "DEEP", (deep,),
            (Correction(days[pick.randint(95, 105)], "close", evening(days[150]), deep.at),),
        ),
        Story(
            "MENDED",
            corrections=(Correction(days[mended], "close", evening(days[150]), mending(mend[0])),),
        ),
        Story("HALT", halted=span(pick.randint(38, 42), 8)),
        Story("HOLE", holes=tuple(_holes(days, heals, pick))),
        Story("REFUSED", corrections=(late(pick.randint(72, 78), 3, "high", refused=True),)),
        Story("NEWCO", asked=days[104], listed=days[pick.randint(108, 112)]),
        Story("GONE", delisted=days[pick.randint(138, 142)]),
        Story("FLAKY", fails=span(pick.randint(28, 32), 2)),
        Story("PARTED", (Split(days[145], 0.5, 2.0),), stood_in=span(145, 1)),
        Story("CUT", (Split(days[214], 0.5, 2.0),), cut=span(214, 1)),
        Story("MESSY", corrections=(late(131, 2, "open"),), messy=True),
        Story("SLIP", slips=span(0, 1)),
        Story("BRIEF", holes=(_cut(days, heals),)),
    )  # fmt: skip
    if renames:
        stories += (
            Story(
                "FRESH", (Split(days[165], 0.5, 2.0),), (late(100, 3, "close"), late(123, 4, "volume")),
                holes=(Hole(days[60:61]),), formerly="STALE", renamed=days[125],
            ),
        )  # fmt: skip
    return Plot(
        seed,
        Interval.D1,
        HISTORY,
        days,
        stories,
        closed=days[155],
        outage=span(85, 3) + span(228, 5),
        pages=span(85, 3),
        stranded=span(22, 5),
        noons=tuple(sorted({days[20], stories[1].splits[0].ex, days[86], days[150], days[225]})),
        heals=heals,
        mend=mend,
    )


def until(plot: Plot, sessions: int) -> Plot:
    """The plot's first sessions: the year ends there, and what would befall later never does."""
    days = plot.days[:sessions]
    kept = {name: tuple(day for day in getattr(plot, name) if day <= days[-1]) for name in _DAYS}
    mend = plot.mend if plot.mend and plot.mend[0] <= days[-1] else None
    return replace(plot, days=days, mend=mend, **kept)


_DAYS = ("outage", "pages", "stranded", "noons", "heals")
"""What of a plot is days on which something befalls everybody."""


def write_hours(seed: int = SEED) -> Plot:
    """Three weeks of hourly bars, read several times a day."""
    days = calendar_days(date(2024, 3, 4), date(2024, 3, 22))
    corrected = datetime.combine(days[6], OPENS)
    filled = datetime.combine(days[9], OPENS)
    stories = (
        Story("HOURLY", corrections=(Correction(days[5], "close", corrected, corrected),)),
        Story("HOLED", holes=(Hole(days[6:7], filled, healing(days[12]), hours=(3, 4)),)),
        Story("HALVED", (Split(days[8], 0.5, 2.0),), holes=(Hole(days[8:9], filled, filled),)),
    )
    return Plot(seed, Interval.H1, date(2023, 12, 1), days, stories, outage=days[11:12], heals=days[12:13])


def _dividends(days: tuple[date, ...], pick: random.Random) -> Iterable[Split]:
    """A vendor that adjusts prices for cash takes a few percent off everything before; volumes stay."""
    yield Split(days[pick.randint(70, 74)], 0.97)
    yield Split(days[pick.randint(200, 210)], 1 / 1.1, 1.1)


def _corrections(late: object, pick: random.Random) -> Iterable[Correction]:
    assert callable(late)
    for at, column in (
        (15, "close"),
        (52, "volume"),
        (53, "high"),
        (110, "low"),
        (111, "open"),
        (190, "every"),
    ):
        yield late(at, pick.randint(1, 8), column)


def _cut(days: tuple[date, ...], heals: tuple[date, ...]) -> Hole:
    """The first answer holds the newest bars only, later ones are whole: healing asks for the rest."""
    older = calendar_days(HISTORY, days[0] - timedelta(days=1))[:-12]
    return Hole(older, datetime.combine(days[1], OPENS), healing(heals[0]))


def _holes(days: tuple[date, ...], heals: tuple[date, ...], pick: random.Random) -> Iterable[Hole]:
    """One the vendor fills while the overlap still sees it, one that only healing can bring, one that stays."""
    at = pick.randint(48, 52)
    soon = datetime.combine(days[at + 5], OPENS)
    yield Hole(days[at : at + 2], soon, soon)
    at = pick.randint(100, 104)
    filled = datetime.combine(days[at + 25], OPENS)
    healed = next(healing(day) for day in heals if day >= days[at + 25])
    yield Hole(days[at : at + 3], filled, healed)
    at = pick.randint(168, 172)
    yield Hole(days[at : at + 1])
