"""What a program asks of `Tape.read`, read from its arguments or from the parameters of `GET /bars`.

| argument | default | meaning |
|---|---|---|
| market, interval | | `vn`, `1d`; intervals in any spelling of the documents, 4h excepted |
| tickers | all that have bars | one, or several |
| start, end | none | a window [start, end) in UTC: date, instant, or their ISO text. The end is not included |
| columns | open, high, low, close, volume | after ticker and time, which always come; also adjusted_close and the 13 |
| indicators | none | further columns: the 13, and what is computed at read time: ema12, the project's |
| adjusted | false | prices times the factor of later splits and cash (`bars_adjusted`), indicators from those |
| as_of | none | final bars as they were known at an instant, which is not to come |
| pin | none | bars of a pin |
| state | any | published: only what checks have passed |
| complete | false | raise Incomplete where a bar is missing that nothing explains |
| newest | none | only so many of the newest bars of each ticker |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from hypertape.errors import BadInput
from hypertape.indicators import columns_at_read
from hypertape.markets import get_market
from hypertape.model import (
    INDICATOR_COLUMNS,
    PRICE_COLUMNS,
    VALUE_COLUMNS,
    Interval,
    Market,
    midnight,
    parse_instant,
)

USUAL_COLUMNS = (*PRICE_COLUMNS, "volume")
STATES = ("any", "published")
KEY = ("ticker", "time")
_WIDER_THAN_A_DAY = (Interval.W1, Interval.W2, Interval.MO1)

Instant = str | date | np.datetime64 | None
"""A date, an instant, or the ISO text of one; without a zone it is UTC."""


@dataclass(frozen=True, slots=True)
class BarRequest:
    """A request that can be answered. `columns` come after ticker and time, then those of the `indicators` that are
    computed at read time; instants in UTC; None is open."""

    market: Market
    interval: Interval
    tickers: tuple[str, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None
    columns: tuple[str, ...] = USUAL_COLUMNS
    indicators: tuple[str, ...] = ()
    adjusted: bool = False
    as_of: datetime | None = None
    pin: str | None = None
    state: str = STATES[0]
    complete: bool = False
    newest: int | None = None

    @property
    def values(self) -> tuple[str, ...]:
        """The asked columns that a source delivers."""
        return tuple(name for name in self.columns if name in VALUE_COLUMNS)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns after ticker and time. Raises BadInput for an indicator that nobody knows here."""
        return tuple(dict.fromkeys((*self.columns, *columns_at_read(self.indicators))))

    @property
    def is_known_then(self) -> bool:
        """True when bars are read as they were known at an instant."""
        return self.as_of is not None or self.pin is not None

    @property
    def is_computed(self) -> bool:
        """True when a column is computed while reading, from the first bar of each series on."""
        indicators = any(name not in VALUE_COLUMNS for name in self.columns)
        stored = self.interval.is_stored and not self.is_known_then and not self.adjusted
        return bool(self.indicators) or (indicators and not stored)


def read_request(
    market: str,
    interval: str,
    tickers: str | Iterable[str] | None = None,
    *,
    start: Instant = None,
    end: Instant = None,
    columns: Iterable[str] | None = None,
    indicators: Iterable[str] = (),
    adjusted: bool = False,
    as_of: Instant = None,
    pin: str | None = None,
    state: str = STATES[0],
    complete: bool = False,
    newest: int | None = None,
) -> BarRequest:
    """Read the arguments. Raises BadInput with the valid values, UnknownMarket, UnknownInterval."""
    _require_kinds(market=(market, str), interval=(interval, str), state=(state, str), pin=(pin, str | None),
                   adjusted=(adjusted, bool), complete=(complete, bool), newest=(newest, int | None))  # fmt: skip
    width = Interval.parse(interval)
    request = BarRequest(
        get_market(market),
        width,
        _tickers(tickers),
        read_instant("start", start),
        read_instant("end", end),
        _columns(width, columns, indicators),
        tuple(name for name in _listed("indicators", indicators) if name not in INDICATOR_COLUMNS),
        adjusted,
        read_instant("as_of", as_of),
        pin or None,
        state,
        complete,
        newest,
    )
    _require_one_meaning(request)
    return request


def read_instant(name: str, given: Instant) -> datetime | None:
    """A date, an instant or their text as an instant in UTC. Raises BadInput."""
    if isinstance(given, np.datetime64):
        given = given.astype("datetime64[us]").item() or "NaT"
    if given is None or given == "":
        return None
    wrong = BadInput(f"{name}={given!r} is no date", next_step="Pass a date, an instant or their ISO text.")
    if given != given:
        raise wrong
    try:
        if isinstance(given, str):
            return parse_instant(given)
        if isinstance(given, datetime):
            return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        if isinstance(given, date):
            return midnight(given)
    except OverflowError as error:
        raise wrong from error
    raise wrong


def _tickers(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = _listed("tickers", given)
    advice = "Name tickers, or leave them out for all of the market."
    if not names:
        raise BadInput("There is no ticker", next_step=advice)
    for name in names:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise BadInput(f"{name!r} is no ticker", next_step=advice)
    return tuple(dict.fromkeys(map(str, names)))


def _columns(interval: Interval, given: Iterable[str] | None, indicators: Iterable[str]) -> tuple[str, ...]:
    named = USUAL_COLUMNS if given is None else _listed("columns", given)
    stored = (name for name in _listed("indicators", indicators) if name in INDICATOR_COLUMNS)
    wanted = tuple(dict.fromkeys(name for name in (*named, *stored) if name not in KEY))
    prices = VALUE_COLUMNS if interval.is_stored else USUAL_COLUMNS  # a rollup has no adjusted close
    valid = (*prices, *INDICATOR_COLUMNS)
    for name in wanted:
        if name not in valid:
            raise BadInput(
                f"{interval} bars have no column {name!r}",
                next_step=f"Columns: {', '.join(valid)}. What is computed at read time is asked for by indicators=.",
            )
    return wanted


def _listed(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """One text, or several; Arrow's are read as Python's."""
    if isinstance(given, str):
        return (given,)
    try:
        return tuple(one.as_py() if hasattr(one, "as_py") else one for one in given)
    except TypeError as error:
        raise BadInput(
            f"{name}={given!r} is no list of names", next_step="Pass one text, or several."
        ) from error


def _require_kinds(**given: tuple[object, Any]) -> None:
    """Raise BadInput for an argument of another kind than it has."""
    for name, (value, kind) in given.items():
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = {bool: "True or False", str: "a text"}.get(
                kind, "a whole number" if name == "newest" else "a text"
            )
            raise BadInput(f"{name}={value!r} cannot be used", next_step=f"Pass {wanted}.")


def _require_one_meaning(request: BarRequest) -> None:
    """Raise BadInput for arguments that exclude each other."""
    if request.state not in STATES:
        raise BadInput(f"state={request.state!r} is not known", next_step=f"Valid: {', '.join(STATES)}.")
    if request.start and request.end and request.start >= request.end:
        raise BadInput(
            f"start {request.start} is not before end {request.end}", next_step="The end is not included."
        )
    if request.newest is not None and request.newest < 1:
        raise BadInput(f"{request.newest} bars are none", next_step="Ask for one or more.")
    exclusive = {
        "as_of": request.as_of is not None,
        "pin": request.pin is not None,
        "state='published'": request.state != STATES[0],
        "adjusted": request.adjusted and request.is_known_then,
    }
    if len(both := [name for name, given in exclusive.items() if given]) > 1:
        raise BadInput(f"{' and '.join(both)} exclude each other", next_step="Choose one.")
    if request.is_known_then and not request.interval.is_stored:
        raise BadInput(
            f"{request.interval} bars are rolled up: what they were before is not kept",
            next_step="With as_of or pin read 1m, 1h or 1d.",
        )
    if request.adjusted and request.interval in _WIDER_THAN_A_DAY:
        raise BadInput(
            f"A bar of {request.interval} holds days of different factors",
            next_step="Read adjusted days and make wider bars of them.",
        )
