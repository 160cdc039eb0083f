"""Retention is off unless a market says otherwise, and follows what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from lab import VN

from hypertape.markets import all_markets
from hypertape.model import Interval
from hypertape.warehouse.schema import apply, tier

MARKETS = tuple(all_markets().values())

_JOBS = {
    "timescaledb": """select hypertable_name, (config ->> 'drop_after')::interval, job_id::text
        from timescaledb_information.jobs where proc_name = 'policy_retention' and hypertable_schema = 'bars'""",
    "plain": """select split_part(relation, '.', 2), (config ->> 'drop_after')::interval, ctid::text
        from shim.policy where kind = 'retention'""",
}


def kept(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(_JOBS[tier(connection)]).fetchall()


def with_minutes_kept(span: timedelta | None) -> tuple[Any, ...]:
    short = replace(VN, retention={Interval.M1: span} if span else {})
    return tuple(short if market.code == "vn" else market for market in MARKETS)


def test_everything_is_kept_by_default(connection: psycopg.Connection[Any]) -> None:
    assert kept(connection) == []


def test_retention_follows_the_market(connection: psycopg.Connection[Any]) -> None:
    apply(connection, with_minutes_kept(timedelta(days=90)))
    (first,) = kept(connection)
    assert first[:2] == ("market_data_1m", timedelta(days=90))
    apply(connection, with_minutes_kept(timedelta(days=90)))
    assert kept(connection) == [first]
    apply(connection, with_minutes_kept(timedelta(days=30)))
    assert [row[1] for row in kept(connection)] == [timedelta(days=30)]
    apply(connection, with_minutes_kept(None))
    assert kept(connection) == []
