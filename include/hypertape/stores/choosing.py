"""Which series of a store are meant, and what to say when there is none: nothing found is no success."""

from __future__ import annotations

from collections import Counter

from hypertape.errors import BadInput, HypertapeError
from hypertape.model import format_instant
from hypertape.stores import Selection, SeriesInfo, Store, TellsRest

_NAMED = 5


def chosen(store: Store, selection: Selection) -> list[SeriesInfo]:
    """The selected series. Raises BadInput with what the store has when there is none."""
    found = list(store.series(selection))
    if not found:
        raise BadInput(
            f"{store.address} has no bars{_wanted(selection)}",
            next_step=" ".join(filter(None, (_holdings(store), rest_of(store)))),
        )
    return found


def rest_of(store: Store) -> str:
    """A sentence about what lies at the store's place and is in no series; empty where there is nothing."""
    rest = store.rest() if isinstance(store, TellsRest) else []
    more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
    return f"Not taken: {', '.join(rest[:_NAMED])}{more}." if rest else ""


def _wanted(selection: Selection) -> str:
    words = [", ".join(selection.tickers), " and ".join(selection.markets)]
    words.append(" and ".join(interval.value for interval in selection.intervals))
    named = " in ".join(filter(None, (words[0], " ".join(filter(None, words[1:])))))
    since = f" from {format_instant(selection.start)} on" if selection.start else ""
    return f"{' of ' if named else ''}{named}{since}"


def _holdings(store: Store) -> str:
    try:
        counted = Counter((info.series.market, info.series.interval) for info in store.series(Selection()))
    except HypertapeError as error:
        return str(error)
    if not counted:
        return "It has no series at all."
    parts = (f"{market} {interval.value} ({count} series)" for (market, interval), count in counted.items())
    return f"It has {', '.join(parts)}."
