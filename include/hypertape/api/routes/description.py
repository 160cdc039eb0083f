"""The description of this API, for those who may read: GET /openapi.json, and GET /docs without any script."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hypertape.api.respond import json_response

read_router = APIRouter(tags=["description"])

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
    "code{font-family:ui-monospace,monospace}h2{font-size:1.05rem;margin:1.5rem 0 0}"
)


@read_router.get("/openapi.json", summary="This API as OpenAPI", response_class=Response)
def openapi(request: Request) -> Response:
    """Answer the OpenAPI document, with the path this app is mounted at as its server."""
    return json_response(
        {**request.app.openapi(), "servers": [{"url": request.scope.get("root_path") or "/"}]}
    )


@read_router.get("/docs", summary="This API as a page", response_class=Response)
def docs(request: Request) -> Response:
    """Answer one page that needs no script and nothing from elsewhere."""
    document = request.app.openapi()
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    ]
    for path, methods in document["paths"].items():
        parts += [_route(method, path, route) for method, route in methods.items()]
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>hypertape API</title><style>{_STYLE}</style>"
    return HTMLResponse(page + "".join(parts), headers={"Content-Security-Policy": _POLICY})


def _route(method: str, path: str, route: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p.get('description', ''))}"
        for p in route.get("parameters", ())
    )
    head = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    return f"{head}<p>{escape(route.get('description', ''))}</p><table>{rows}</table>"
