"""The app: every route behind the caller's login, and nothing that is served without one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from threading import BoundedSemaphore

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware

from hypertape import __version__
from hypertape.api import openapi, routes
from hypertape.api.access import Access, Authorize, same_origin
from hypertape.api.errors import handle_errors
from hypertape.api.middleware import RequestMiddleware
from hypertape.api.parameters import known_parameters, parameters_of
from hypertape.api.pool import Warehouse
from hypertape.api.request_metrics import Meter
from hypertape.api.state import State
from hypertape.api.store_router import StoreRouter
from hypertape.monitoring.registry import registry_of
from hypertape.settings import Settings
from hypertape.warehouse.connect import resolve_dsn, resolve_reader_dsn

DESCRIPTION = """Bars, and how far they can be trusted. Times are UTC; a bar's time is its opening.

Errors are `{"error": "what happened. What to do next."}`. A request beyond these numbers is answered with 400 and what
to do instead: 1000 symbols, a limit of 100000 bars each, 20 million bars in all, 5000 rows of a list."""


def create_app(
    settings: Settings,
    *,
    authorize: Authorize,
    clock: Callable[[], datetime],
    dsn: Callable[[], str] | None = None,
    reader: Callable[[], str] | None = None,
    one_process: bool = True,
) -> FastAPI:
    """Make the app.

    `authorize` gives the dependency that admits a caller for reading or for writing; it is on every route, the
    description's included. `clock` gives the instant (UTC). `dsn` finds the warehouse when it is first needed, `reader`
    the same with what may only read; without them the settings name both. Nothing is connected before a request.
    `one_process` False: other processes answer at the same address, so /metrics leaves out what each counts for itself.
    """
    app = FastAPI(
        title="hypertape",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        dependencies=[Depends(authorize(Access.READ)), Depends(known_parameters)],
    )
    address = dsn or (lambda: resolve_dsn(settings))
    reading = reader or (address if dsn else lambda: resolve_reader_dsn(settings))
    seconds = settings.api_statement_seconds
    warehouse = Warehouse(reading, size=settings.api_connections, statement_seconds=seconds)
    registry, figures = registry_of(settings, reading, clock=clock, one_process=one_process)
    app.state.hypertape = State(
        warehouse,
        Warehouse(address, size=1, statement_seconds=seconds),  # opened by the first who writes
        StoreRouter(settings, warehouse),
        clock,
        clock(),
        streams=BoundedSemaphore(settings.api_streams),
        worker_lease=timedelta(seconds=settings.worker_lease),
        registry=registry,
        meter=Meter(registry if one_process else CollectorRegistry()),
        forget=[figures.forget] if figures else [],
    )
    for module in _modules():
        if hasattr(module, "read_router"):
            app.include_router(module.read_router)
        if hasattr(module, "write_router"):
            writing = [Depends(authorize(Access.WRITE)), Depends(same_origin(settings.writing_origins))]
            app.include_router(module.write_router, dependencies=writing)
    app.include_router(_nowhere)
    app.state.parameters = parameters_of(app)
    handle_errors(app)
    openapi.describe(app)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)
    app.add_middleware(RequestMiddleware, meter=app.state.hypertape.meter)
    return app


NOWHERE = "/{path:path}"
_nowhere = APIRouter(include_in_schema=False)


@_nowhere.api_route(NOWHERE, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def nowhere(path: str) -> None:
    """Answer 404, to those who may read: what there is is not told to others."""
    raise HTTPException(404)


def _modules() -> list[object]:
    names = sorted(module.name for module in pkgutil.iter_modules(routes.__path__))
    return [importlib.import_module(f"{routes.__name__}.{name}") for name in names]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.hypertape.close()
