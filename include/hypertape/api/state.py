"""What the app's routes share: the warehouse, the other stores, what is kept for a moment, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from hypertape.api.pool import Warehouse
from hypertape.api.request_metrics import Meter
from hypertape.api.store_router import StoreRouter
from hypertape.api.ttl_cache import TtlCache

HEALTH_SECONDS = 15.0
"""How old the figures of /health may be: they count ledgers, and monitors ask often."""


@dataclass(slots=True)
class State:
    """One app's state; `clock` gives the current instant in UTC."""

    warehouse: Warehouse
    """With what the reader may: every route but those that write."""
    writer: Warehouse
    """With what the writer may; the same where no reader is named."""
    stores: StoreRouter
    clock: Callable[[], datetime]
    started: datetime
    streams: BoundedSemaphore
    """Long answers that may be written at once: each holds some 25 MB."""
    worker_lease: timedelta
    """After which a silent worker counts as dead."""
    registry: CollectorRegistry
    """What /metrics answers."""
    meter: Meter
    cache: TtlCache[Any] = field(default_factory=lambda: TtlCache(HEALTH_SECONDS))
    forget: list[Callable[[], None]] = field(default_factory=list)
    """What POST /cache/clear runs beside clearing the state's own caches."""
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """What else is closed with the app."""

    def clear(self) -> None:
        """Forget what is kept, so that the next request sees the warehouse as it is."""
        self.cache.clear()
        self.stores.forget()
        for forget in self.forget:
            forget()

    def close(self) -> None:
        """Give back connections and files."""
        self.stores.close()
        self.warehouse.close()
        self.writer.close()
        for close in self.at_end:
            close()


async def state_of(request: Request) -> State:
    """The state of the app that serves a request (async: it needs no thread)."""
    found: State = request.app.state.hypertape
    return found


OfApp = Annotated[State, Depends(state_of)]
"""The parameter of a route that needs the state."""
