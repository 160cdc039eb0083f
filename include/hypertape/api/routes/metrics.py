"""GET /metrics: the warehouse's ledgers, this process and its requests in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from hypertape.api.state import OfApp
from hypertape.meters import FORMAT, METRICS
from hypertape.monitoring.registry import page

read_router = APIRouter(tags=["health"])


@read_router.get(METRICS, summary="Figures for Prometheus", response_class=Response)
def metrics(state: OfApp) -> Response:
    """Answer the figures; those of the warehouse are at most ten seconds old. `hypertape_up` is 0 while it is away."""
    return Response(page(state.registry), media_type=FORMAT)
