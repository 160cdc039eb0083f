"""The app as `hypertape serve` runs it: admitted by API keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI

from hypertape import calendars
from hypertape.api.app import create_app
from hypertape.api.keys import KeyGuard
from hypertape.api.pool import Warehouse
from hypertape.markets import all_markets
from hypertape.settings import Settings
from hypertape.warehouse.connect import resolve_reader_dsn


def server_app(
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    dsn: Callable[[], str] | None = None,
    reader: Callable[[], str] | None = None,
) -> FastAPI:
    """Make the app with its key guard; arguments as of `create_app`."""
    reading = reader or dsn or (lambda: resolve_reader_dsn(settings))
    warehouse = Warehouse(reading, size=1)  # of its own, so that a key is checked however busy the others are
    guard = KeyGuard(warehouse, clock, rate=settings.api_rate)
    app = create_app(settings, authorize=guard.authorize, clock=clock, dsn=dsn, reader=reader)
    app.state.hypertape.forget.append(guard.forget)
    app.state.hypertape.at_end.append(warehouse.close)
    return app


def load_calendars(now: datetime) -> None:
    """Compute the markets' calendars, which takes seconds and would otherwise be the first caller's to wait for."""
    for market in all_markets().values():
        calendars.is_open(market, now)
        calendars.last_closed_session(market, now)
