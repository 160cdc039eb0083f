"""GET /workers: who works, on what, since when; and the dead."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import read_flag
from hypertape.api.respond import json_response
from hypertape.api.state import OfApp
from hypertape.warehouse.progress import workers

read_router = APIRouter(tags=["trust"])


@read_router.get("/workers", summary="Workers: alive or dead, what they hold", response_class=Response)
def workers_of_all_kinds(
    state: OfApp,
    all: Annotated[str | None, Query(description="true: those that ended well, too.")] = None,
) -> Response:
    """Answer `{now, workers: [worker, …]}`, the newest first: `holds` are the units at work by kind."""
    everyone = read_flag("all", all, False)
    found = state.warehouse.run(
        lambda connection: workers(connection, lease=state.worker_lease, everyone=everyone)
    )
    return json_response({"now": state.clock(), "workers": [asdict(each) for each in found]})
