"""What the vendors' lists of symbols said and say: `listing`, one row a ticker, and `listing_event`, what changed.

A list is compared with the one before it of the same vendor. Nothing is removed: a ticker that is gone stays, marked
with when a list last had it, and the gap ledger explains what is missing after that by its word `delisted`. What to do
about a ticker that was renamed is not decided here: it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from hypertape.errors import SourceSchemaChanged
from hypertape.model import Market
from hypertape.queries import query
from hypertape.sources import Listed, Listing

Connection = psycopg.Connection[Any]

MOST_LOST, MOST_LOST_SHARE = 5, 0.1
"""A list that lacks more tickers than this, and more than this part of those it had, is taken for a cut answer."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a ticker from the lists before."""

    ticker: str
    name: str | None
    kind: str
    exchange: str | None
    last_seen: datetime
    delisted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListingEvent:
    """One change. `event` is listed, relisted, renamed (`former` is the ticker before), delisted, other name, other
    exchange (`former` and `present`)."""

    ticker: str
    event: str
    former: str | None = None
    present: str | None = None


def keep_listing(
    connection: Connection,
    market: Market,
    source: str,
    listing: Listing,
    *,
    now: datetime,
    run_id: str,
    accept: bool = False,
) -> tuple[list[ListingEvent], bool]:
    """Keep a list and return what changed since the one before it, and whether it is the first: nothing changed then.

    Raises SourceSchemaChanged, and keeps nothing, where so many tickers are gone at once that the answer is more likely
    cut, unless the caller accepts that.
    """
    named = {"market": market.code, "source": source}
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        rows = cursor.execute(query("listing_known"), named).fetchall()
    known = {row.ticker: row for row in rows}
    gone = lost(known, listing)
    if not accept:
        _refuse_cut(source, known, gone)
    events = changes(known, listing) if known else []
    _write(connection, named, listing, gone, events, now=now)
    parts = [[getattr(each, name) for each in events] for name in ("ticker", "event", "former", "present")]
    columns = dict(zip(("tickers", "events", "formers", "presents"), parts, strict=True))
    connection.execute(query("listing_note"), {**named, "now": now, "run_id": run_id, **columns})
    return events, not known


def _write(
    connection: Connection,
    named: Mapping[str, Any],
    listing: Listing,
    gone: Sequence[str],
    events: Iterable[ListingEvent],
    *,
    now: datetime,
) -> None:
    became = {each.former: each.present for each in events if each.event == "renamed"}
    columns = {
        "tickers": [each.ticker for each in listing.tickers],
        "names": [each.name for each in listing.tickers],
        "kinds": [each.kind for each in listing.tickers],
        "exchanges": [each.exchange for each in listing.tickers],
        "delisted": [each.delisted for each in listing.tickers],
    }
    connection.execute(query("listing_keep"), {**named, "now": now, **columns})
    marked = sorted({*gone, *(former for former in became if former)})
    names = {"tickers": marked, "became": [became.get(ticker) for ticker in marked]}
    connection.execute(query("listing_mark"), {**named, **names})


def lost(known: Mapping[str, Known], listing: Listing) -> list[str]:
    """Tickers that were listed and that this list does not have, of the kinds that it is whole for; sorted."""
    there = {each.ticker for each in listing.tickers}
    return sorted(
        ticker
        for ticker, row in known.items()
        if row.delisted_at is None and row.kind in listing.kinds and ticker not in there
    )


def _refuse_cut(source: str, known: Mapping[str, Known], gone: Sequence[str]) -> None:
    before = sum(row.delisted_at is None for row in known.values())
    if len(gone) > max(MOST_LOST, MOST_LOST_SHARE * before):
        raise SourceSchemaChanged(
            f"The list of {source} lacks {len(gone)} of the {before} tickers that it had: {', '.join(gone[:5])}, …",
            next_step="It is taken for a cut answer and nothing was kept. Where it is right: "
            "`hypertape symbols sync --accept`.",
        )


def changes(known: Mapping[str, Known], listing: Listing) -> list[ListingEvent]:
    """What a list changes of what is known, sorted by ticker.

    A ticker that went in the list in which another came with the same name was renamed, where nobody else has that
    name.
    """
    gone = {
        *lost(known, listing),
        *(e.ticker for e in listing.tickers if e.delisted and _is_listed(known.get(e.ticker))),
    }
    came = {e.ticker: e for e in listing.tickers if not e.delisted and not _is_listed(known.get(e.ticker))}
    renamed = _renamed(known, gone, came)
    events = [ListingEvent(new, "renamed", old, new) for old, new in renamed.items()]
    events += [ListingEvent(ticker, "delisted") for ticker in gone - set(renamed)]
    events += [
        ListingEvent(ticker, "relisted" if ticker in known else "listed")
        for ticker in set(came) - set(renamed.values())
    ]
    for each in listing.tickers:
        events += _changed(known.get(each.ticker), each)
    return sorted(events, key=lambda event: (event.ticker, event.event))


def _is_listed(row: Known | None) -> bool:
    return row is not None and row.delisted_at is None


def _renamed(known: Mapping[str, Known], gone: Iterable[str], came: Mapping[str, Listed]) -> dict[str, str]:
    """New tickers by their old ones."""
    new = Counter(each.name for each in came.values() if each.name)
    old = Counter(known[ticker].name for ticker in gone if known[ticker].name)
    by_name = {each.name: ticker for ticker, each in came.items()}
    return {
        ticker: by_name[name]
        for ticker in gone
        if (name := known[ticker].name) and new[name] == old[name] == 1
    }


def _changed(row: Known | None, each: Listed) -> list[ListingEvent]:
    if row is None:
        return []
    pairs = (("other name", row.name, each.name), ("other exchange", row.exchange, each.exchange))
    return [
        ListingEvent(each.ticker, event, former, present)
        for event, former, present in pairs
        if former and present and former != present
    ]


def listings(
    connection: Connection,
    *,
    market: str | None = None,
    source: str | None = None,
    state: str | None = None,
    tickers: Sequence[str] | None = None,
    ours: bool = False,
) -> list[dict[str, Any]]:
    """What the lists say, those that are gone first; `ours`: only tickers that were ever asked for."""
    named = {
        "market": market,
        "source": source,
        "state": state,
        "tickers": tickers and list(tickers),
        "ours": ours,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("listings"), named).fetchall()


def listing_events(
    connection: Connection,
    *,
    market: str | None = None,
    source: str | None = None,
    since: datetime | None = None,
    tickers: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """What changed in the lists, the newest first."""
    named = {"market": market, "source": source, "since": since, "tickers": tickers and list(tickers)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("listing_events"), named).fetchall()
