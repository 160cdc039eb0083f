"""Pins: a name for an instant of knowledge, whose bars read the same for ever, or not at all.

A pin keeps no bars. `bars_as_of` reads what was known then; the pin keeps the digest of it, by series and in blocks, so
that a read proves the blocks it touches. What retention dropped, what was forgotten or what another program wrote over
is told, never read as if it had been so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape import __version__
from hypertape.digest import SeriesDigest, digest_blocks
from hypertape.errors import BadInput, UnknownTicker
from hypertape.frame import Micros
from hypertape.model import VALUE_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.pg_binary import array_cursor
from hypertape.warehouse.publication import known_now
from hypertape.warehouse.read import stored_tickers

Connection = psycopg.Connection[Any]

BEGINNING = "-infinity"


@dataclass(frozen=True, slots=True)
class Pin:
    """A pin: `digest` covers every bar of it; `tickers` are its universe, sorted; instants in UTC."""

    name: str
    market: str
    intervals: tuple[str, ...]
    known_at: datetime
    code_version: str
    created_at: datetime
    tickers: tuple[str, ...]
    bars: int
    digest: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A part of a pinned series, from an instant on, that no longer reads as it did: bars then, and bars now."""

    interval: str
    ticker: str
    starts_at: datetime
    bars_pinned: int
    bars_now: int


def create_pin(
    connection: Connection,
    name: str,
    market: Market,
    intervals: Sequence[Interval] = (),
    tickers: Sequence[str] | None = None,
) -> Pin:
    """Pin what is known now of some tickers (None: all that have bars) and stored intervals (empty: all). Commits.

    Final bars only: one that is still open is not part of it. Raises BadInput for a name that is taken or odd, for a
    rolled-up interval and where there is no bar; UnknownTicker for tickers without bars.
    """
    widths = tuple(intervals) or tuple(market.intervals)
    if rolled := [width.value for width in widths if not width.is_stored]:
        raise BadInput(f"{rolled[0]} is rolled up, not stored", next_step="Pin the interval it is made of.")
    instant = known_now(connection)
    stored = {width: stored_tickers(connection, market, width) for width in widths}
    known = sorted({ticker for each in stored.values() for ticker in each})
    if missing := sorted(set(tickers or ()) - set(known)):
        raise UnknownTicker.among(market.code, missing, known)
    with connection.transaction():
        _keep(connection, name, market, widths, instant)
        for width in widths:
            chosen = [ticker for ticker in stored[width] if tickers is None or ticker in tickers]
            parameters = {
                "name": name,
                "market": market.code,
                "interval": width.value,
                "known_at": instant,
            }
            connection.execute(query("pin_keep_blocks"), {**parameters, "tickers": chosen})
        made = find_pin(connection, name)
        if not made.bars:
            raise BadInput(f"There is no bar to pin in {market.code}", next_step="Load some first.")
    connection.commit()
    return made


def pins(connection: Connection, name: str | None = None) -> list[Pin]:
    """All pins, or the one of a name, oldest first."""
    rows = connection.execute(query("pin_list"), {"name": name}).fetchall()
    return [
        Pin(each, market, tuple(widths), known_at, version, created, tuple(tickers), bars, digest)
        for each, market, widths, known_at, version, created, tickers, bars, digest in rows
    ]


def find_pin(connection: Connection, name: str) -> Pin:
    """The pin of a name. Raises BadInput with the names there are."""
    if found := pins(connection, name):
        return found[0]
    names = (
        ", ".join(pin.name for pin in pins(connection)) or "none yet; make one with `hypertape pin create`"
    )
    raise BadInput(f"There is no pin {name}", next_step=f"Pins: {names}.")


def lost_of(connection: Connection, name: str) -> list[Lost]:
    """The parts of a pin that no longer read as they did; none when all of it does. Raises BadInput as find_pin."""
    find_pin(connection, name)
    return [Lost(*row) for row in connection.execute(query("pin_lost"), {"name": name}).fetchall()]


def drop_pin(connection: Connection, name: str) -> Pin:
    """Remove a pin and return what it was. Commits. Raises BadInput as find_pin."""
    found = find_pin(connection, name)
    connection.execute(query("pin_drop"), {"name": name})
    connection.commit()
    return found


def pinned_series(connection: Connection, name: str) -> list[tuple[Interval, str]]:
    """The series of a pin: interval and ticker."""
    rows = connection.execute(query("pin_series"), {"name": name}).fetchall()
    return [(Interval(width), ticker) for width, ticker, _ in rows]


def pinned_bars(
    connection: Connection, name: str, interval: Interval, ticker: str, *, start: datetime | None = None
) -> tuple[Micros, dict[str, Any]] | None:
    """One pinned series from `start` on: times and the six values (NaN for null); None when it has no bar there.

    Raises PinBroken when a part of it no longer reads as it did.
    """
    parameters = {"name": name, "interval": interval.value, "ticker": ticker, "start": start or BEGINNING}
    with translate_errors(), array_cursor(connection) as cursor:  # its messages reach the API's clients
        row = cursor.execute(query("pin_bars"), parameters).fetchone()
    if row is None or row[0] is None:
        return None
    return row[0], dict(zip(VALUE_COLUMNS, row[1:], strict=True))


def pinned_digests(
    connection: Connection, name: str, interval: Interval, tickers: Sequence[str] | None = None
) -> Iterator[SeriesDigest]:
    """Yield the digest of each series of a pin, as `digests` does for what is stored. Raises PinBroken."""
    find_pin(connection, name)
    for width, ticker in pinned_series(connection, name):
        if width is interval and (tickers is None or ticker in tickers):
            found = pinned_bars(connection, name, interval, ticker)
            blocks = [] if found is None else [(found[0], list(found[1].values())[:5])]
            yield digest_blocks(ticker, blocks)


def _keep(
    connection: Connection, name: str, market: Market, widths: Sequence[Interval], instant: datetime
) -> None:
    parameters = {
        "name": name,
        "market": market.code,
        "intervals": [width.value for width in widths],
        "known_at": instant,
        "code_version": __version__,
    }
    try:
        made = connection.execute(query("pin_create"), parameters).fetchone()
    except psycopg.errors.CheckViolation as error:
        raise BadInput(
            f"{name!r} is no name for a pin", next_step="Use letters, digits, dots, hyphens and underscores."
        ) from error
    if made is None:
        raise BadInput(
            f"There is a pin {name} already",
            next_step=f"Choose another name, or `hypertape pin drop {name}`.",
        )
