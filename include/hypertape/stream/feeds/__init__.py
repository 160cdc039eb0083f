"""Where ticks come from. A feed is one module here that defines `build(address, config) -> Feed`; there is no
second list.

An address is `NAME:REST?option=value&…`: `jsonl:ticks.jsonl`, `csv:-`,
`fix:quotes.example:5201?sender=ME&target=THEM`, `amqp:quotes`. The module's `OPTIONS` names the options it
takes, its `EXAMPLE` shows an address. Modules whose name starts with an underscore are parts of feeds. Every
feed takes `calendar`: when it should speak.

A feed hands over batches of events: ticks, records that are no ticks (`Rejected`), gaps it knows of (`FeedGap`,
`GapFilled`) and instruments (`SymbolInfo`). Ticks that come twice are passed on twice: the tables' key makes
them one.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from urllib.parse import parse_qsl

from hypertape.calendars.exchange import open_time
from hypertape.errors import BadInput
from hypertape.frame import instant
from hypertape.markets import all_markets
from hypertape.model import Window
from hypertape.stream.model import Feed

ALWAYS = "24/7"
"""The calendar of a feed that names none."""

COMMON = ("calendar",)
"""Options that every feed takes."""


def now_micros() -> int:
    """The instant by this machine's clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class FeedConfig:
    """What a feed is given beside its address: secrets stay out of addresses, which lists and logs show.

    `clock` gives the instant in microseconds; `first_pause` and `longest_pause` are the seconds between two
    attempts to reconnect, doubled from one to the next.
    """

    rabbitmq_url: str | None = None
    fix_password: str | None = None
    clock: Callable[[], int] = now_micros
    first_pause: float = 1.0
    longest_pause: float = 60.0


@dataclass(frozen=True)
class Address:
    """An address, parsed: the feed's name, what follows the colon, and the options."""

    feed: str
    rest: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.feed}:{self.rest}"

    def number(self, name: str, default: float, *, least: float = 0.0, most: float = 1e9) -> float:
        """An option that is a number. Raises BadInput naming the range."""
        text = self.options.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise BadInput(
                f"{self}: {name}={text!r} cannot be used", next_step=f"A number from {least:g} to {most:g}."
            )
        return value

    def choice(self, name: str, *valid: str) -> str:
        """An option that is one of some words, the first unless it is given. Raises BadInput with the words."""
        text = self.options.get(name, valid[0])
        if text not in valid:
            raise BadInput(
                f"{self}: {name}={text!r} cannot be used", next_step=f"One of: {', '.join(valid)}."
            )
        return text


def feed_names() -> tuple[str, ...]:
    """Every feed's name, sorted."""
    return tuple(
        sorted(part.name for part in pkgutil.iter_modules(__path__) if not part.name.startswith("_"))
    )


def parse_address(text: str) -> Address:
    """Read an address. Raises BadInput with the feeds, or the options of the feed, that there are."""
    name, colon, rest = text.partition(":")
    if not colon or name not in feed_names():
        raise BadInput(f"{text!r} names no feed", next_step=f"Write one of: {', '.join(_examples())}.")
    rest, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise BadInput(
            f"{text!r} has options that cannot be read", next_step="Write ?name=value&name=value."
        ) from error
    options = dict(pairs)
    known = (*_module(name).OPTIONS, *COMMON)
    strange = sorted(set(options) - set(known))
    if strange or len(pairs) != len(options):
        problem = f"has no option {strange[0]!r}" if strange else "names an option twice"
        raise BadInput(f"{name}: {problem}", next_step=f"Options: {', '.join(sorted(known))}.")
    return Address(name, rest, options)


def open_feed(text: str, config: FeedConfig | None = None) -> Feed:
    """Build the feed that an address names; nothing is connected or read yet. Raises BadInput for what cannot
    work.
    """
    address = parse_address(text)
    feed: Feed = _module(address.feed).build(address, config or FeedConfig())
    return feed


def feed_calendar(text: str, now: int) -> str:
    """The calendar by which the feed of an address should speak: a market's, a calendar's own name, or `24/7`.

    `now` is an instant for which it must be known. Raises BadInput for one that nobody knows.
    """
    given = parse_address(text).options.get("calendar", ALWAYS)
    markets = all_markets()
    name = markets[given].calendar if given in markets else given
    open_time(name, Window(instant(now), instant(now)))
    return name


def _examples() -> list[str]:
    return [str(_module(name).EXAMPLE) for name in feed_names()]


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
