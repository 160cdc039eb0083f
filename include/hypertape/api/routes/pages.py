"""GET /pages/…: the pages that Airflow shows in its frames, and the files they are made of.

A page is a static document; what it shows it asks of the other routes. Files are served by routes and not as a mounted
directory, because a mounted directory has no login. What may be served is listed once from the package's own files,
so no path of a request ever reaches the file system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

reading = APIRouter(tags=["pages"])

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

_DIRECTORY = Path(__file__).parents[1] / "pages"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served."""

    content: bytes
    media_type: str
    etag: str


@reading.get("/pages/{name}", summary="A page for a browser: markets, ticker, quality, run", response_class=Response)
def page(request: Request, name: str) -> Response:
    """Answer the document, or 404 with the pages there are."""
    return _answer(request, f"{name}.html", {"Content-Security-Policy": POLICY})


@reading.get("/pages/files/{name}", summary="A script, style or picture of the pages", response_class=Response)
def file(request: Request, name: str) -> Response:
    """Answer the file, 304 when the browser has it, or 404."""
    if name.endswith(".html"):
        raise _unknown()
    return _answer(request, name, {})


def _answer(request: Request, name: str, headers: Mapping[str, str]) -> Response:
    found = files().get(name)
    if found is None:
        raise _unknown()
    told = {**headers, "ETag": found.etag, "Cache-Control": "private, no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if found.etag.removeprefix("W/") in known:
        return Response(status_code=304, headers=told)
    return Response(found.content, headers=told, media_type=found.media_type)


@cache
def files() -> Mapping[str, File]:
    """Every file that may be served, by its name."""
    names = (path for path in _DIRECTORY.rglob("*") if path.is_file() and path.suffix in _TYPES)
    return MappingProxyType({path.name: _read(path) for path in names})


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(content, _TYPES[path.suffix], f'W/"{blake2b(content, digest_size=12).hexdigest()}"')


def _unknown() -> HTTPException:
    pages = sorted(name.removesuffix(".html") for name in files() if name.endswith(".html"))
    return HTTPException(404, f"There is no such page or file. Pages: {', '.join(pages)}.")
