"""ETag and Last-Modified of an answer, from the loads that its bars came with.

Bars change with loads, and rollups with the refresh that follows a load, so the newest load that changed each series
says whether an answer would be another one. While a rollup waits for a refresh nothing is said: it may change at any
moment. The tags are weak: they stand for the same bars in any encoding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import blake2b

from hypertape import __version__
from hypertape.api.bar_query import STATES, BarQuery
from hypertape.api.bar_statements import Stored

_SETTLED = timedelta(seconds=2)
"""The header tells seconds: a younger load is not told of, because another one may follow in the same second."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which state of the warehouse an answer shows; without a tag it is never the one a client has."""

    etag: str | None
    modified: datetime | None

    @property
    def headers(self) -> dict[str, str]:
        """What the answer carries. A client asks again before it uses a kept answer."""
        told = {"Cache-Control": "private, no-cache"}
        if self.etag is not None:
            told["ETag"] = self.etag
        if self.modified is not None:
            told["Last-Modified"] = format_datetime(self.modified, usegmt=True)
        return told

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """True when the client has this answer already (304). If-None-Match wins over If-Modified-Since."""
        if self.etag is None:
            return False
        tags = headers.get("if-none-match")
        if tags is not None:
            return tags.strip() == "*" or self.etag.removeprefix("W/") in {
                tag.strip().removeprefix("W/") for tag in tags.split(",")
            }
        since = _date(headers.get("if-modified-since"))
        return since is not None and self.modified is not None and self.modified <= since


def is_conditional(headers: Mapping[str, str]) -> bool:
    """True when the client may have the answer already."""
    return "if-none-match" in headers or "if-modified-since" in headers


def version_of(
    query: BarQuery,
    stored: Iterable[Stored],
    now: datetime,
    openings: Mapping[tuple[str, str], datetime] | None = None,
) -> Version:
    """The version of an answer over these series.

    `openings` says which of their bars are marked as provisional: a mark goes by the clock, too, so an answer that has
    one has no date.
    """
    entries = sorted(stored)
    content = blake2b(digest_size=12)
    content.update(repr((__version__, _words(query))).encode())
    if query.state != STATES[0]:
        return Version(None, None)  # what is published changes without a load
    if not query.width.is_stored and any(entry.pending for entry in entries):
        return Version(None, None)
    for entry in entries:
        content.update(repr((entry.market, entry.ticker, entry.load_id)).encode())
    content.update(repr(sorted(openings.items()) if openings else "").encode())
    times = [entry.loaded_at for entry in entries if entry.loaded_at is not None]
    newest = max(times, default=None)
    told = newest is not None and not openings and now - newest > _SETTLED
    return Version(f'W/"{content.hexdigest()}"', _whole_second(newest) if told and newest else None)


def _words(query: BarQuery) -> tuple[object, ...]:
    codes = tuple(market.code for market in query.markets)
    window = (query.start, query.end, query.limit)
    look = (query.format, query.legacy, query.averages, query.emas, query.indicators, query.provisional)
    return (query.symbols, query.width.spelling, *window, codes, *look)


def _whole_second(instant: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(instant.timestamp()), UTC)


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
