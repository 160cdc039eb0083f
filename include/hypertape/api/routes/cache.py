"""POST /cache/clear: let this process look at the warehouse, the stores and the keys as they are now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from hypertape.api.respond import json_response
from hypertape.api.state import OfApp

write_router = APIRouter(tags=["operation"])


@write_router.post("/cache/clear", summary="Forget what is kept for some seconds", response_class=Response)
def clear(state: OfApp) -> Response:
    """Forget counts, the standing cut-over, keys, and which stores were resting after failures.

    After `hypertape keys revoke` and a cut-over: both are noticed within ten seconds anyway.
    """
    state.clear()
    return json_response({"cleared": True})
