"""The description of the API as OpenAPI: what the framework reads off the routes, and what only we know of them.

The framework would promise 422 for a bad parameter, which is 400 here, and nothing about logins, limits and failures,
which are everywhere the same. Completed once, when it is first asked for.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from hypertape.api.schemas import ANSWERS, SCHEMAS, TEXT, Schema, reference
from hypertape.reader.ipc import MEDIA_TYPE

_JSON = "application/json"
_SAFE = "get"

OTHER_TYPES = {
    "/metrics": "text/plain",
    "/docs": "text/html",
    "/pages/{name}": "text/html",
    "/bars": MEDIA_TYPE,
}
"""Routes whose answer is not JSON."""

CONDITIONAL = ("/tickers", "/pages/{name}")
"""Routes that give their answer a version, and 304 to who has it."""

SECURITY: dict[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Alone: a key of `hypertape keys create` (ht_…). Inside Airflow: Airflow's own token; its "
        "cookie does as well.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "Alone: the same key. Not inside Airflow.",
    },
}
"""How a caller says who they are. Only a description: the app's `authorize` decides."""

_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_VERSION = {
    "ETag": {"description": "The answer's version, for If-None-Match.", "schema": TEXT},
    "Last-Modified": {"description": "When it last changed, for If-Modified-Since.", "schema": TEXT},
}
_STORE = {"X-Hypertape-Store": {"description": "Who served the bars, in order.", "schema": TEXT}}


def _failure(description: str, headers: Schema | None = None) -> Schema:
    content = {_JSON: {"schema": reference("Error")}}
    return {"description": description, "content": content, **({"headers": headers} if headers else {})}


FAILURES: dict[str, Schema] = {
    "400": _failure("A parameter is not understood; the text names the valid values."),
    "401": _failure("No login, or one that is not known."),
    "403": _failure("The login may not do this, or a page of another site asked."),
    "404": _failure("It is not there; the text says where to look."),
    "409": _failure(
        "Every bar was asked for, and some are not there; `missing` has them with their reasons."
    ),
    "410": _failure("A part of the pin no longer reads as it did."),
    "429": _failure("Too many requests of this key or address.", _RETRY),
    "500": _failure("A defect of the server; its log says which."),
    "503": _failure("The warehouse does not answer now.", _RETRY),
}
"""What a route answers instead, by status."""


def describe(app: FastAPI) -> None:
    """Let the app describe itself with its logins, failures and answers. Nothing is made before it is asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(FastAPI.openapi(app))
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to replace it


def complete(document: Schema) -> None:
    """Add to a document, in place, what the framework cannot know."""
    document["components"] = {
        "schemas": SCHEMAS,
        "responses": {f"Failure{status}": failure for status, failure in FAILURES.items()},
        "securitySchemes": SECURITY,
    }
    document["security"] = [{name: []} for name in SECURITY]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["responses"] = _responses(path, method, operation)


def _responses(path: str, method: str, operation: Schema) -> Schema:
    statuses = ["401", "403", "429", "500", "503"]
    if operation.get("parameters"):
        statuses.append("400")
    if "{" in path:
        statuses.append("404")
    if path == "/bars":
        statuses += ["409", "410"]
    found = {status: {"$ref": f"#/components/responses/Failure{status}"} for status in sorted(statuses)}
    known = {"304": _known(path)} if method == _SAFE and path in CONDITIONAL else {}
    return {"200": _success(path), **known, **found}


def _success(path: str) -> Schema:
    kind = OTHER_TYPES.get(path, _JSON)
    content = {kind: {"schema": TEXT if path in OTHER_TYPES else ANSWERS[path]}}
    if path == "/tickers":
        content["text/csv"] = content[MEDIA_TYPE] = {"schema": TEXT}
    return {"description": "The answer.", "content": content, **_headers(path)}


def _known(path: str) -> Schema:
    return {"description": "The caller has this version already; no body.", **_headers(path)}


def _headers(path: str) -> Schema:
    if path not in CONDITIONAL:
        return {}
    return {"headers": {**_VERSION, **(_STORE if path == "/tickers" else {})}}
