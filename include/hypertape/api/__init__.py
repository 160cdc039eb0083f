"""The read API: one FastAPI app, run inside Airflow's API server by the plugin or alone by `hypertape serve`."""

from __future__ import annotations

from hypertape.api.access import Access, Authorize
from hypertape.api.app import create_app

__all__ = ["Access", "Authorize", "create_app"]
