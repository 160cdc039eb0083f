"""Advisory locks that end with their transaction, so that they are safe behind a transaction pooler."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import psycopg

from hypertape.queries import query


def lock_series(
    connection: psycopg.Connection[Any], market: str, interval: str, tickers: Iterable[str]
) -> None:
    """Wait for and take the lock of each series, in sorted order so that two workers never wait for each other."""
    names = [f"{market}/{interval}/{ticker}" for ticker in sorted(tickers)]
    connection.execute(query("lock_names"), (names,))


def lock_name(connection: psycopg.Connection[Any], name: str) -> None:
    """Wait for and take one named lock, such as the rollups of a relation."""
    connection.execute(query("lock_names"), ([name],))


def let_go(connection: psycopg.Connection[Any], lease: timedelta) -> None:
    """Bound the locks of the transaction at hand by its client's life, also behind a pooler.

    A client that is frozen within it is cut off after `lease`; one that has died while a statement of its own ran, or
    waited for a lock, after a second. Without this the server notices neither before the statement ends, and whoever
    needs the rows waits.
    """
    connection.execute(query("let_go"), {"silent": f"{1000 * lease.total_seconds():.0f}"})
