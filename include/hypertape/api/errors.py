"""Every failure as `{"error": "what happened. What to do next."}`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from hypertape.api.respond import json_response
from hypertape.errors import (
    BadInput,
    DatabaseRefused,
    HypertapeError,
    Incomplete,
    PinBroken,
    SchemaMissing,
    TransientError,
)

log = logging.getLogger("hypertape.api")

RETRY_SECONDS = 5

NAME_HEADER = "X-Hypertape-Error"
"""Which of `hypertape.errors` an answer is, for programs."""


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(HypertapeError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


def _ours(request: Request, error: Exception) -> Response:
    """What the caller did wrong is told whole; what is wrong with us is told in the log, where addresses may stand."""
    named = {NAME_HEADER: type(error).__name__}
    if isinstance(error, BadInput):
        return failure(400, str(error), named)
    if isinstance(error, PinBroken):
        return failure(410, str(error), named)
    if isinstance(error, Incomplete):
        missing = [each._asdict() for each in error.missing]
        return json_response({"error": str(error), "missing": missing}, status=409, headers=named)
    log.warning("%s %s: %s", request.method, request.scope["path"], error)
    if isinstance(error, TransientError):
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return failure(503, "The warehouse cannot answer now. Try again in a moment.", headers)
    if isinstance(error, SchemaMissing):
        return failure(503, "The warehouse's schema is not current. Run `hypertape schema apply`.")
    if isinstance(error, DatabaseRefused):
        return failure(
            503, "The warehouse does not let this server do that. Its log says why; see docs/roles.md."
        )
    return failure(500, "The answer could not be made. The server's log says why.")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = str(error.detail)
    if text == HTTPStatus(error.status_code).phrase:  # the framework's own words
        text = f"{text}: {request.method} {request.scope['path']}. The routes are listed in /docs."
    return failure(error.status_code, text, error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return failure(400, f"{name}: {first['msg']}. See the parameters in /docs.")


def unforeseen(scope: Scope, error: Exception) -> Response:
    """The answer to what no handler knows: the log has the trace, the caller a sentence."""
    log.error("%s %r", scope["method"], scope["path"], exc_info=error)
    return failure(500, "The answer could not be made. The server's log says why.")


def failure(status: int, text: str, headers: Any = None) -> Response:
    """An error answer."""
    return json_response({"error": text}, status=status, headers=headers)
