"""GET /pages/…: the pages that Airflow shows in its frames, and the files they are made of.

A page is a static document; what it shows it asks of the other routes. No path of a request reaches the file system
for a document: there are those of `PAGES`.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from hypertape.api.static_files import KEPT, files

DIRECTORY = Path(__file__).parents[1] / "pages"
PAGES = tuple(sorted(path.stem for path in DIRECTORY.glob("*.html")))

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""What a page may do: run and ask what this server serves. No inline script or style, nothing from elsewhere."""

_documents = StaticFiles(directory=DIRECTORY)

read_router = APIRouter(tags=["pages"])
read_router.include_router(files(DIRECTORY, "/pages/files"))


@read_router.get("/pages/{name}", summary="A page for a browser", response_class=Response)
async def page(request: Request, name: str) -> Response:
    """Answer the document, 304 when the browser has it, or 404 with the pages there are."""
    if name not in PAGES:
        raise HTTPException(404, f"There is no such page. Pages: {', '.join(PAGES)}.")
    answer = await _documents.get_response(f"{name}.html", request.scope)
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = KEPT
    return answer
