"""The login of the stand-alone server: an API key in a header, and a limit on requests.

`Authorization: Bearer ht_…` or `X-API-Key: ht_…`; never in the address, where logs and histories keep it. A request
with a good key takes a token of the key, any other one of its address. Wrong keys cost an address ten, so that guessing
and trying out old keys end soon, and a neighbour's mistakes cost a good key nothing.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from hypertape.api.access import MAY_WRITE, Access
from hypertape.api.connection_limits import SLOW_DOWN
from hypertape.api.pool import Warehouse
from hypertape.api.rate_limit import RateLimit
from hypertape.api.ttl_cache import TtlCache
from hypertape.errors import HypertapeError
from hypertape.meters import METRICS
from hypertape.warehouse import api_keys
from hypertape.warehouse.api_keys import ApiKey

KEPT_SECONDS = 10.0
"""How long a key is believed without asking the warehouse: a revoked one is refused after that at the latest."""

_WRONG_KEY_TOKENS = 10.0
_LONGEST_SLOW_DOWN = 2.0
"""Less than what clients wait for an answer (five seconds, httpx): they are to be told 429 again, not to time out."""

_GOOD_SECONDS = 3600.0
"""How long a key that was good is looked up again whatever else its address does."""


class KeyGuard:
    """Admits callers by their keys; give its `authorize` to `create_app`."""

    def __init__(self, warehouse: Warehouse, clock: Callable[[], datetime], *, rate: float) -> None:
        self._warehouse, self._clock = warehouse, clock
        self._cache: TtlCache[ApiKey | None] = TtlCache(KEPT_SECONDS)
        self._good: TtlCache[ApiKey | None] = TtlCache(_GOOD_SECONDS)
        self._limit = RateLimit(rate)

    def authorize(self, access: Access) -> Callable[[Request], Awaitable[None]]:
        """The dependency that raises 401 without a good key, 403 when it may only read, 429 beyond the limit."""

        async def admitted(request: Request) -> None:
            key = await self._key_of(request)
            if access is Access.WRITE and key.role != "write":
                raise HTTPException(
                    403, "This key may only read. Make one with `hypertape keys create --role write`."
                )

        return admitted

    def forget(self) -> None:
        """Ask the warehouse for every key anew."""
        self._cache.clear()
        self._good.clear()

    async def _key_of(self, request: Request) -> ApiKey:
        """The caller's key; checked once per request, however many dependencies ask."""
        known: ApiKey | None = getattr(request.state, "api_key", None)
        if known is None:
            known = await self._checked(request)
            request.state.api_key, request.state.caller = known, f"{known.name} ({known.key_id})"
            writes = known.role == "write"
            setattr(request.state, MAY_WRITE, lambda: writes)
        return known

    async def _checked(self, request: Request) -> ApiKey:
        """A good key pays from its own bucket; whoever has none from the address's, and ten for a wrong one."""
        address = ("address", request.client.host if request.client else "-")
        given = api_keys.split_key(_given(request))
        if given is None or not self._good.has(given[0]):
            self._take(request, address)
        key = await self._find(given[0], request) if given else None
        if (
            not api_keys.fits(key, given[1] if given else "")
            or key is None
            or key.state(self._clock()) != "open"
        ):
            if given is not None and self._good.has(given[0]):
                self._take(request, address)
            self._limit.charge(address, _WRONG_KEY_TOKENS)
            raise HTTPException(
                401,
                "An API key is needed: Authorization: Bearer ht_… Make one with `hypertape keys create`.",
                {"WWW-Authenticate": "Bearer"},
            )
        self._take(request, ("key", key.key_id))
        self._good.get(key.key_id, lambda: key)
        return key

    async def _find(self, key_id: str, request: Request) -> ApiKey | None:
        """The key, as `_known`; to /metrics one that was good is believed while the warehouse is away.

        A monitor is to be told that it is away, and no figure of the warehouse.
        """
        try:
            return await self._known(key_id)
        except HypertapeError:
            if request.scope["path"].endswith(METRICS) and self._good.has(key_id):
                return self._good.get(key_id, lambda: None)
            raise

    async def _known(self, key_id: str) -> ApiKey | None:
        """The key, from what is kept; a thread waits for the warehouse where that is too old."""

        def ask() -> ApiKey | None:
            return self._warehouse.run(lambda connection: api_keys.find(connection, key_id))

        if self._cache.has(key_id):
            return self._cache.get(key_id, ask)
        return await run_in_threadpool(self._cache.get, key_id, ask)

    def _take(self, request: Request, caller: tuple[str, str]) -> None:
        wait = self._limit.take(caller)
        if wait:
            setattr(request.state, SLOW_DOWN, min(wait, _LONGEST_SLOW_DOWN))
            seconds = math.ceil(wait)
            raise HTTPException(
                429, f"Too many requests. Try again in {seconds} s.", {"Retry-After": str(seconds)}
            )


def _given(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
