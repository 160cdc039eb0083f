"""The read API inside Airflow's API server, behind Airflow's own login.

Bars are Airflow assets, so who may see assets may read (a viewer), and who may create asset events may write. Neither
is asked with anything the caller can put into the address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/hypertape"
"""Where the app is mounted."""


def airflow_app(dsn: Callable[[], str] | None = None) -> FastAPI:
    """Make the app with Airflow's login; without `dsn` the warehouse is the connection `hypertape_db`'s,
    read with `hypertape_reader`'s where there is one."""
    from hypertape.api import create_app  # noqa: PLC0415  (every task loads the plugin; few need a web server)
    from hypertape.orchestration.connection import reader_dsn, warehouse_dsn  # noqa: PLC0415
    from hypertape.settings import load_settings  # noqa: PLC0415

    return create_app(
        load_settings(),
        authorize=_authorize,
        clock=lambda: datetime.now(UTC),
        dsn=dsn or warehouse_dsn,
        reader=dsn or reader_dsn,
        one_process=False,
    )


class LazyApp:
    """An ASGI app that is made by its first request: every process of Airflow loads plugins, one serves them."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._app: Any = None
        self._lock = Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        app = self._app or await asyncio.to_thread(self._made)
        await app(scope, receive, send)

    def _made(self) -> Any:
        with self._lock:
            if self._app is None:
                self._app = self._make()
        return self._app


def _authorize(access: Any) -> Callable[..., Any]:
    from airflow.api_fastapi.core_api.security import get_user, requires_access_asset  # noqa: PLC0415

    from hypertape.api.access import Access, with_author  # noqa: PLC0415

    reading, writing = requires_access_asset("GET"), requires_access_asset("POST")
    return with_author(writing if access is Access.WRITE else reading, get_user, writing)
