"""Who may listen to the stream: a holder of an API key, or whoever Airflow lets read.

Keys are those of `hypertape keys`, in a header (`Authorization: Bearer ht_…` or `X-API-Key`), never in the
address. A login of Airflow comes as its cookie or token, which Airflow itself is asked about; a page may bring
the cookie only where it is Airflow's own (Origin), because browsers send cookies along to whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime

import httpx
import psycopg

from hypertape.errors import HypertapeError
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect

KEPT_SECONDS = 10.0
"""How long an answer is believed: a revoked key is refused after that at the latest."""

_BELIEVED_SECONDS = 3600.0
"""How long one that was good is believed while the warehouse, or Airflow, does not answer."""

_MOST_WRONG, _WRONG_SECONDS = 20, 60.0
_MOST_KEPT = 10_000


class NotAdmitted(Exception):
    """The caller may not listen: an HTTP status and what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


Admit = Callable[[Mapping[str, str], str], Awaitable[str]]
"""Gets a request's headers and the caller's address, and returns the caller's name. Raises NotAdmitted."""


class Admission:
    """Admits callers. `airflow_url` is where Airflow answers, None where its logins do not count."""

    def __init__(
        self,
        dsn: str,
        clock: Callable[[], datetime],
        *,
        airflow_url: str | None = None,
        origins: Collection[str] = (),
    ) -> None:
        self._dsn, self._clock = dsn, clock
        self._airflow = airflow_url.rstrip("/") if airflow_url else None
        self._origins = {*origins, *([_origin(self._airflow)] if self._airflow else [])}
        self._kept: dict[tuple[str, ...], tuple[float, str | None]] = {}
        self._wrong: dict[str, tuple[float, int]] = {}

    async def __call__(self, headers: Mapping[str, str], address: str) -> str:
        """Return the caller's name. Raises NotAdmitted: 401 unknown, 403 another site's page, 429 too many
        wrong ones.
        """
        self._not_too_many(address)
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        key = api_keys.split_key(bearer or headers.get("X-API-Key", ""))
        name = None
        if key is not None:
            name = await self._kept_or(("key", *key), lambda: asyncio.to_thread(self._key_name, *key))
        elif self._airflow and (bearer or headers.get("Cookie")):
            name = await self._by_airflow(headers, bearer)
        if name is None:
            self._count_wrong(address)
            raise NotAdmitted(
                401, "An API key is needed: Authorization: Bearer ht_… Make one with `hypertape keys create`."
            )
        return name

    async def _by_airflow(self, headers: Mapping[str, str], bearer: str) -> str | None:
        if not bearer and headers.get("Origin", "").rstrip("/") not in self._origins:
            raise NotAdmitted(403, "A page of another site may not listen with Airflow's cookie.")
        sent = {"Authorization": f"Bearer {bearer}"} if bearer else {"Cookie": headers["Cookie"]}
        return await self._kept_or(("airflow", *sent.values()), lambda: self._airflow_lets(sent))

    async def _airflow_lets(self, headers: dict[str, str]) -> str | None:
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(
                    f"{self._airflow}/hypertape/api/v1/symbols?limit=1", headers=headers
                )
        except httpx.HTTPError as error:
            raise NotAdmitted(503, "Airflow does not answer, so its login cannot be checked.") from error
        return "airflow" if answer.status_code == 200 else None

    def _key_name(self, key_id: str, secret: str) -> str | None:
        try:
            with connect(self._dsn, autocommit=True) as connection:
                found = api_keys.find(connection, key_id)
        except (HypertapeError, psycopg.Error) as error:
            raise NotAdmitted(503, "The warehouse does not answer, so keys cannot be checked.") from error
        good = api_keys.fits(found, secret) and found is not None and found.state(self._clock()) == "open"
        return f"{found.name} ({found.key_id})" if good and found else None

    async def _kept_or(self, which: tuple[str, ...], ask: Callable[[], Awaitable[str | None]]) -> str | None:
        now = time.monotonic()
        asked, name = self._kept.get(which, (0.0, None))
        if name is not None and now - asked < KEPT_SECONDS:
            return name
        try:
            name = await ask()
        except NotAdmitted:
            if name is None or now - asked >= _BELIEVED_SECONDS:
                raise
            return (
                name  # it was good, and nobody can say now that it is no more: monitors and listeners go on
            )
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[which] = now, name
        return name

    def _not_too_many(self, address: str) -> None:
        since, count = self._wrong.get(address, (0.0, 0))
        if count >= _MOST_WRONG and time.monotonic() - since < _WRONG_SECONDS:
            raise NotAdmitted(429, "Too many wrong logins from your address. Try again in a minute.")

    def _count_wrong(self, address: str) -> None:
        now = time.monotonic()
        since, count = self._wrong.get(address, (now, 0))
        if len(self._wrong) >= _MOST_KEPT:
            self._wrong.clear()
        self._wrong[address] = (now, 1) if now - since >= _WRONG_SECONDS else (since, count + 1)


def _origin(url: str) -> str:
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"
