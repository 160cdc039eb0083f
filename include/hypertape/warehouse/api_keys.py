"""Keys of the stand-alone read API: made, found, listed, revoked.

A key is `ht_<key id>_<secret>`: twelve hex digits that lists and logs may show, and 256 random bits. Only the SHA-256
of the secret is kept. Slow hashes are for passwords, which can be guessed; of 2^256 equally likely secrets none can,
and a fast hash costs a request nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from hypertape.errors import BadInput
from hypertape.queries import query

Connection = psycopg.Connection[Any]

ROLES = ("read", "write")
_FORM = re.compile(r"ht_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).digest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key; times in UTC, `role` one of ROLES (write includes read)."""

    key_id: str
    digest: bytes
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return `revoked`, `expired` or `open`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "open"


def create(
    connection: Connection, name: str, role: str, *, now: datetime, expires_at: datetime | None = None
) -> str:
    """Make a key and return it; nobody can show it again. Raises BadInput for a name or role that cannot be."""
    if not name.strip() or not name.isprintable():
        raise BadInput(f"{name!r} is no name for a key", next_step="Name who will use it.")
    if role not in ROLES:
        raise BadInput(f"There is no role {role!r}", next_step=f"Roles: {', '.join(ROLES)}.")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    connection.execute(query("api_key_add"), (key_id, _digest(secret), name.strip(), role, now, expires_at))
    return f"ht_{key_id}_{secret}"


def keys(connection: Connection) -> list[ApiKey]:
    """Every key, the newest first."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(query("api_keys")).fetchall()


def revoke(connection: Connection, which: str, *, now: datetime) -> list[ApiKey]:
    """Revoke the keys of an id or a name and return those that were open. Raises BadInput when there is none."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        revoked = cursor.execute(query("api_key_revoke"), {"which": which, "now": now}).fetchall()
    if not revoked:
        raise BadInput(f"No open key has the id or name {which!r}", next_step="See `hypertape keys list`.")
    return revoked


def find(connection: Connection, key_id: str) -> ApiKey | None:
    """The key of a public part."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(query("api_key_find"), (key_id,)).fetchone()


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key as it is written; None for anything else."""
    match = _FORM.fullmatch(text)
    return (match[1], match[2]) if match else None


def fits(key: ApiKey | None, secret: str) -> bool:
    """Compare in constant time; an unknown key takes as long as a known one."""
    return hmac.compare_digest(_digest(secret), key.digest if key else _NOBODY) and key is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
