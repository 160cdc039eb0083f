"""Files behind the login. A mounted directory would be served to everybody; a route is not."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

KEPT = "private, no-cache"
"""A browser keeps a file and asks before each use whether it is still the same; so an upgrade shows at once."""


def files(directory: Path, prefix: str = "/static") -> APIRouter:
    """A router that serves the files of a directory (and nothing outside of it) with ETag and Last-Modified.

    Include it in a router of `hypertape.api.routes`: its files ask for the same login as every other route.
    """
    static = StaticFiles(directory=directory)
    router = APIRouter(include_in_schema=False)

    @router.get(prefix + "/{path:path}", response_class=Response)
    async def file(request: Request, path: str) -> Response:
        if "\x00" in path:
            raise HTTPException(404)
        answer = await static.get_response(path, request.scope)
        answer.headers["Cache-Control"] = KEPT
        return answer

    return router
