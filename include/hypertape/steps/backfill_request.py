"""What a backfill is asked for, and what that means: every ticker by name, the window with both ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.errors import BadInput
from hypertape.model import MODES, Interval, Market, Window, asked_window, midnight
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.plan import SourceWish, choose_tickers, require_spelled, resolve_source
from hypertape.warehouse.ledger import database_now, series_starts
from hypertape.warehouse.symbology import present_names

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What was asked for. Nothing named means all: the source's tickers, the market's history, up to now (UTC).

    Mode `missing` asks only for the (ticker, window) pairs that miss bars and keeps what is stored; `overwrite` reads
    everything in `[start, end)` again; `restate` reads the whole history of the tickers again, at any scale, and needs
    a reason. `tickers` and the tickers of `groups` (of the market's file) add up.
    """

    mode: str = "missing"
    tickers: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    start: datetime | None = None
    end: datetime | None = None
    source: SourceWish | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedBackfill:
    """What a backfill is asked for, resolved: every ticker by name, the window with both ends."""

    market: Market
    interval: Interval
    mode: str
    tickers: tuple[str, ...]
    window: Window
    source: SourceConfig
    reason: str | None
    fingerprint: str


def resolve(
    connection: Connection,
    market: Market,
    interval: Interval,
    request: BackfillRequest,
    now: datetime,
    settings: Settings,
) -> ResolvedBackfill:
    """Resolve and check what was asked for. Raises BadInput for what contradicts itself."""
    _check(market, request)
    require_spelled(connection, market, request.tickers or ())
    config = resolve_source(market, request.source, settings)
    named = dict.fromkeys(request.tickers or ())
    named |= dict.fromkeys(entry.ticker for entry in market.tickers if entry.group in (request.groups or ()))
    wanted = present_names(
        connection, market, choose_tickers(market, interval, config, tuple(named), settings)
    )
    earliest, present = midnight(market.history_start[interval]), min(now, database_now(connection))
    window = asked_window(request.start, request.end, earliest=earliest, now=present)
    if request.mode == "restate":
        starts = series_starts(connection, market, interval, wanted).values()
        window = Window(min([window.start, *starts]), window.end)
    # Without an end the wish is about today: tomorrow's reaches further and plans anew.
    between = [str(request.start), str(request.end or now.date())]
    # So is another reason: what is loaded under it must not be told of under the one before.
    reason = request.reason or None
    words = [market.code, interval.value, request.mode, sorted(named), between, config.to_json(), reason]
    fingerprint = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    return ResolvedBackfill(market, interval, request.mode, wanted, window, config, reason, fingerprint)


def _check(market: Market, request: BackfillRequest) -> None:
    if request.mode not in MODES:
        raise BadInput(f"There is no mode {request.mode!r}", next_step=f"Modes: {', '.join(MODES)}.")
    unknown = sorted(set(request.groups or ()) - set(market.groups))
    if unknown:
        raise BadInput(
            f"{market.code} has no group {', '.join(unknown)}",
            next_step=f"Groups: {', '.join(market.groups)}.",
        )
    if request.mode == "restate" and not request.reason:
        raise BadInput("A restatement needs a reason", next_step="Say why the whole history is read again.")
    if request.mode == "restate" and (request.start or request.end):
        raise BadInput(
            "A restatement reads the whole history",
            next_step="Leave start and end empty, or use mode overwrite.",
        )
