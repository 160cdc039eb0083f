"""The spellings of a database's address that people and Airflow write, brought to one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg
from psycopg import conninfo, pq

from hypertape.errors import BadSetting
from hypertape.secrecy import MASK

_SCHEMES = ("postgres", "postgresql")


def normalise_dsn(dsn: str) -> str:
    """Return `dsn` as a `postgresql://` URI that any PostgreSQL client reads.

    Accepts a URI (`postgres://`, `postgresql://`, `postgresql+driver://`), Airflow's JSON form of a
    connection, and a `host=… dbname=…` string. Parameters libpq does not know (Airflow's own) are dropped;
    those it knows inside Airflow's `__extra__` are kept. Raises BadSetting, which never repeats the text: it
    holds a password.
    """
    text = dsn.strip()
    try:
        if text.startswith("{"):
            return as_uri(_from_airflow_json(json.loads(text)))
        if "://" in text:
            return as_uri(_from_uri(text))
        return as_uri(conninfo.conninfo_to_dict(text))
    except (psycopg.Error, ValueError, TypeError, AttributeError):
        # `from None`: the cause's text may quote the password.
        raise BadSetting(
            "The database address cannot be read",
            next_step="Write HYPERTAPE_DATABASE_URL as postgresql://user:password@host:port/database "
            "(percent-encode special characters of the password).",
        ) from None


def as_uri(parts: Mapping[str, Any]) -> str:
    """Write libpq connection parameters (host, port, user, password, dbname, …) as a `postgresql://` URI."""
    rest = {name: str(value) for name, value in parts.items() if value not in (None, "")}
    if not rest.get("port", "0").replace(",", "").isdecimal():
        raise ValueError("port")  # an unescaped password would otherwise be shown as one
    user, password = rest.pop("user", None), rest.pop("password", None)
    database = quote(rest.pop("dbname", ""), safe="")
    login = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    host = "" if _needs_parameter(rest.get("host", "")) else _bracketed(rest.pop("host", ""))
    port = f":{rest.pop('port')}" if host and "port" in rest else ""
    tail = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"postgresql://{login}{'@' if login else ''}{host}{port}/{database}{tail}"


def place(dsn: str) -> str:
    """Return `host:port/database` of a DSN: what a message may show."""
    parts = conninfo.conninfo_to_dict(normalise_dsn(dsn))
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


class Client(StrEnum):
    """Programs that spell a database's address each in their own way."""

    PSQL = "psql"
    SQLALCHEMY = "sqlalchemy"
    DUCKDB = "duckdb"


READ_ONLY = "-c default_transaction_read_only=on"
"""What a session is started with that must not write."""


def address_for(
    dsn: str, client: Client = Client.PSQL, *, read_only: bool = False, masked: bool = False
) -> str:
    """The address of a DSN as a program takes it.

    `psql`: `postgresql://…`, which every program over libpq reads. `sqlalchemy`: the same with its driver, psycopg.
    `duckdb`: libpq's `host=… dbname=…`, for `attach '…' as tape (type postgres)`. Sessions of a `read_only`
    one refuse to write; a `masked` one shows no password.
    """
    parts: dict[str, Any] = dict(conninfo.conninfo_to_dict(normalise_dsn(dsn)))
    if read_only:
        parts["options"] = " ".join(filter(None, (str(parts.get("options") or ""), READ_ONLY)))
    if masked and parts.get("password"):
        parts["password"] = MASK
    if client is Client.DUCKDB:
        return conninfo.make_conninfo(**parts)
    address = as_uri(parts).replace(f":{quote(MASK, safe='')}@", f":{MASK}@", 1)
    return address if client is Client.PSQL else address.replace("postgresql://", "postgresql+psycopg://", 1)


def _from_uri(text: str) -> dict[str, Any]:
    scheme = text.partition("://")[0].partition("+")[0].lower()
    if scheme not in _SCHEMES:
        raise ValueError(scheme)
    split = urlsplit(text)
    given = dict(parse_qsl(split.query, keep_blank_values=True))
    extra = json.loads(given.get("__extra__") or "{}")
    authority, _, hosts = split.netloc.rpartition("@")
    user, _, password = authority.partition(":")
    address = {
        **conninfo.conninfo_to_dict(f"postgresql://{hosts}/"),
        "user": unquote(user),
        "password": unquote(password),
        "dbname": unquote(split.path.removeprefix("/")),
    }
    return {**address, **_known(extra), **_known(given)}


def _from_airflow_json(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("conn_type", "postgres") not in _SCHEMES:
        raise ValueError(given["conn_type"])
    extra = given.get("extra") or {}
    address = {"host": "host", "port": "port", "user": "login", "password": "password", "dbname": "schema"}
    return {
        **_known(json.loads(extra) if isinstance(extra, str) else extra),
        **{ours: given.get(theirs) for ours, theirs in address.items()},
    }


def _known(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in _libpq_parameters()}


@cache
def _libpq_parameters() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _needs_parameter(host: str) -> bool:
    """Whether a host cannot stand in a URI's authority: a socket directory, or several hosts."""
    return host.startswith(("/", "@")) or "," in host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
