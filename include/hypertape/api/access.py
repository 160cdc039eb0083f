"""Who may do what: the contract between the app and whatever knows the caller (Airflow's login, API keys)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request

SAFE_SITES = ("same-origin", "none")
CREDENTIAL_HEADERS = ("authorization", "x-api-key")


class Access(StrEnum):
    """What a route asks of its caller. WRITE includes READ."""

    READ = "read"
    WRITE = "write"


MAY_WRITE = "may_write"
"""Where the login leaves, in a request's state, a function that says whether the caller may write."""

Authorize = Callable[[Access], Callable[..., Any]]
"""Gives the FastAPI dependency that lets a caller through or raises HTTPException: 401 unknown, 403 not allowed."""


def may_write(request: Request) -> bool:
    """Whether the caller may write; true where the login does not tell readers from writers."""
    told: Callable[[], bool] | None = getattr(request.state, MAY_WRITE, None)
    return True if told is None else told()


def same_origin(others: Collection[str] = ()) -> Callable[[Request], None]:
    """The dependency that refuses (403) a writing request which another site made a browser send.

    A browser names the page's origin with every POST. Without that name only a request that carries its credential in
    a header is believed: no page can make a browser send one elsewhere, but a cookie goes along by itself. Pages of
    `others` may write too: behind a proxy that changes the Host, the server's own origin has another name.
    """

    def checked(request: Request) -> None:
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if origin is not None and origin.rstrip("/") in others:
            return
        if site is not None and site not in SAFE_SITES:
            raise _foreign()
        if origin is not None:
            if _host(origin) != request.headers.get("host"):
                raise _foreign()
        elif site is None and not any(name in request.headers for name in CREDENTIAL_HEADERS):
            raise HTTPException(
                403,
                "A writing request names its Origin or carries its credential in the Authorization header.",
            )

    return checked


def _host(origin: str) -> str | None:
    """The host and port an Origin names; None for what is no address (`http://[`)."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _foreign() -> HTTPException:
    return HTTPException(403, "A page of another site may not write here.")


def with_author(
    admitted: Callable[..., Any], user_of: Callable[..., Any], writing: Callable[..., Any]
) -> Callable[..., None]:
    """The dependency `admitted(request, user)`, which also puts the user's name where the logs read the caller.

    It is there when the user is refused, too. `user_of` is the dependency that gives the user, `get_name()` its name;
    `writing(request, user)` admits those who may write, and is asked only where somebody wants to know.
    """
    whoever = Depends(user_of)

    def known(request: Request, user: Any = whoever) -> None:
        request.state.caller = str(user.get_name()).encode("unicode_escape").decode("ascii")
        setattr(request.state, MAY_WRITE, partial(_lets, writing, request, user))
        admitted(request, user)

    return known


def _lets(admitted: Callable[..., Any], request: Request, user: Any) -> bool:
    try:
        admitted(request, user)
    except HTTPException:
        return False
    return True
