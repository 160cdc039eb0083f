"""GET /caller: who is asking, and whether they may write; a page offers what its reader may do."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from hypertape.api.access import may_write
from hypertape.api.respond import json_response

read_router = APIRouter(tags=["operation"])


@read_router.get("/caller", summary="Who is asking, and whether they may write", response_class=Response)
def caller(request: Request) -> Response:
    """Answer `{name, may_write}`. What is refused to a reader is refused by the route itself; this only tells."""
    name = str(getattr(request.state, "caller", "-"))
    return json_response({"name": name, "may_write": may_write(request)})
