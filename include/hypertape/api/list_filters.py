"""What lists are asked with: the parameters that several routes take, how they are read, and the page that answers.

Such a list answers `{NAME: [row, …], "next": cursor or null}`; `after=cursor` leads to the following rows.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from hypertape import model
from hypertape.api.bar_query import ALL, read_date, read_mode, read_symbols, read_width
from hypertape.api.respond import json_response, listed
from hypertape.api.state import State
from hypertape.errors import BadInput

Mode = Annotated[str | None, Query(description="A market, one of its other names, or all (default).")]
OneMarket = Annotated[str | None, Query(description="One market.")]
Interval = Annotated[str | None, Query(description="1D, 1H or 1m; default all.")]
Symbol = Annotated[list[str] | None, Query(description="A ticker; may be repeated.")]
Contains = Annotated[str | None, Query(description="A part of the ticker, in any case.")]
Limit = Annotated[str | None, Query(description="Rows; default 100, at most 5000.")]
After = Annotated[str | None, Query(description="`next` of the answer before.")]
Run = Annotated[str | None, Query(description="Only of this run.")]
FirstBar = Annotated[str | None, Query(description="Bars from this UTC date or instant.")]
LastBar = Annotated[str | None, Query(description="Bars up to this one; a date includes its day.")]


def wanted(mode: str | None, interval: str | None, symbol: list[str] | None) -> dict[str, Any]:
    """Which series are meant; null for all."""
    stored = read_stored(interval)
    return {
        "markets": [market.code for market in read_mode(mode, ALL)],
        "interval": stored.value if stored else None,
        "tickers": read_symbols(symbol),
    }


def between(start_date: str | None, end_date: str | None) -> dict[str, Any]:
    """Which time is meant: all of it where nothing is given; a date at the end includes its day."""
    return {
        "start": read_date("start_date", start_date) or "-infinity",
        "end": read_date("end_date", end_date, include_day=True) or "infinity",
    }


def read_stored(text: str | None) -> model.Interval | None:
    """Read an interval that is loaded; None when it was not given. Raises BadInput."""
    width = read_width(text) if text else None
    if width is not None and not width.is_stored:
        raise BadInput(f"{width.spelling} bars are not loaded", next_step="The ledgers know 1D, 1H and 1m.")
    return width.interval if width else None


def read_choice(name: str, text: str | None, valid: tuple[str, ...]) -> str | None:
    """Read one of some words; None when it was not given. Raises BadInput."""
    if text and text not in valid:
        raise BadInput(f"{name}={text!r} is not known", next_step=f"Valid: {', '.join(valid)}.")
    return text or None


def read_name(text: str | None) -> str | None:
    """A name (or a part of one) to compare with; one with a NUL is nobody's, and PostgreSQL would refuse it."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if text else None


def page(
    state: State,
    name: str,
    statement: str,
    filters: dict[str, Any],
    key: tuple[str, ...],
    limit: str | None,
    after: str | None,
) -> Response:
    """One page of a list; see `respond.listed`."""
    found = listed(state.warehouse, statement, filters, key=key, limit=limit, after=after)
    return json_response({name: found["rows"], "next": found["next"]})
