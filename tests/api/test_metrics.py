"""GET /metrics: what it tells is declared and true, it is bounded, and a dead warehouse is told, not an error."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from api_lab import NOW, client_of, let_in, open_app
from fastapi import FastAPI
from starlette.testclient import TestClient

from hypertape.api import create_app
from hypertape.api.server import server_app
from hypertape.markets import get_market
from hypertape.model import utc
from hypertape.monitoring.collector import WarehouseCollector
from hypertape.monitoring.process_figures import memory
from hypertape.settings import Settings
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from scrape import undeclared, values


def app_at(dsn: str, now: datetime) -> FastAPI:
    return create_app(Settings(), authorize=let_in, clock=lambda: now, dsn=lambda: dsn)


def test_what_is_told_is_declared_and_what_is_declared_is_told(client: TestClient) -> None:
    client.get("/api/v1/symbols/1")
    text = client.get("/metrics").text
    assert undeclared(text, "every", "warehouse", "api") == (set(), set())
    assert values(text, "hypertape_up") == [1]
    assert set(values(text, "hypertape_collect_success")) == {1}, "every part was read"
    assert values(text, "hypertape_bars", market="us", interval="1d") == [50]
    assert values(text, "hypertape_load_rows_total", market="us", outcome="inserted") == [50]
    assert values(text, "hypertape_load_seconds_count", market="us") == [1]


@pytest.mark.parametrize(
    ("now", "behind", "trading"),
    [
        (utc(2024, 3, 29, 3), 0, 1),  # the Friday of the newest bar, in the morning
        (utc(2024, 3, 31, 3), 0, 0),  # the Sunday after
        (utc(2024, 4, 2, 12), 2, 0),  # Monday and Tuesday have closed
        (utc(2024, 4, 18, 12), 13, 0),  # Hung Kings' day, a holiday, adds nothing to the day before
    ],
)
def test_staleness_counts_sessions(filled, now: datetime, behind: int, trading: int) -> None:
    with client_of(app_at(filled, now)) as client:
        text = client.get("/metrics").text
    assert values(text, "hypertape_staleness_sessions", market="vn", interval="1d") == [behind]
    assert values(text, "hypertape_market_open", market="vn") == [trading]
    allowed = get_market("vn").freshness_sessions
    assert values(text, "hypertape_staleness_allowed_sessions", market="vn") == [allowed]


def test_findings_are_those_of_the_table_and_no_other(warehouse) -> None:
    with connect(warehouse) as connection:
        connection.execute(
            "insert into finding (cause, kind, market, interval, severity, title, fingerprint, opened_at, opened_by, "
            "last_seen_at) values ('late/vn/1d', 'late', 'vn', '1d', 'critical', 't', 'f', %(now)s, 'r', %(now)s)",
            {"now": NOW},
        )
    with client_of(open_app(warehouse)) as client:
        text = client.get("/metrics").text
    assert values(text, "hypertape_findings") == [1]
    assert values(text, "hypertape_findings", market="vn", kind="late", severity="critical") == [1]


def test_work_sources_and_streams_are_told(warehouse) -> None:
    with connect(warehouse) as connection:
        connection.execute(
            "insert into worker_heartbeat (worker_id, worker_type, hostname, last_heartbeat, gone_at) values "
            "('a', 'worker', 'h', now(), null), ('b', 'worker', 'h', now() - interval '1 hour', null), "
            "('c', 'worker', 'h', now(), null), ('ended', 'worker', 'h', now(), now()), "
            "('ended long ago', 'worker', 'h', now() - interval '1 day', now() - interval '1 day')"
        )
        connection.execute(
            "insert into claim (kind, unit, worker_id, token, state, tries, taken_at) values "
            "('series', 'u1', 'a', 1, 'running', 1, now()), ('series', 'u2', 'b', 2, 'running', 1, now()), "
            "('series', 'u3', 'b', 3, 'done', 1, now())"
        )
        connection.execute(
            "insert into source_state (source, state, failures) values ('vci', 'open', 7), ('yahoo', 'closed', 0)"
        )
        connection.execute(
            "insert into stream_worker (name, host, pid, started_at, beat_at) values "
            "('s', 'h', 1, now(), now()), ('t', 'h', 2, now(), now() - interval '1 minute')"
        )
    with client_of(open_app(warehouse)) as client:
        text = client.get("/metrics").text
    for kind, state in (("worker", "working"), ("worker", "idle"), ("worker", "dead")):
        assert values(text, "hypertape_workers", kind=kind, state=state) == [1], state
    assert values(text, "hypertape_workers", kind="stream", state="alive") == [1]
    assert values(text, "hypertape_workers", kind="stream", state="dead") == [1]
    assert values(text, "hypertape_claims", kind="series", state="held") == [1]
    assert values(text, "hypertape_claims", kind="series", state="expired") == [1]
    assert values(text, "hypertape_source_paused", source="vci") == [1]
    assert values(text, "hypertape_source_paused", source="yahoo") == [0]
    assert values(text, "hypertape_source_failures", source="vci") == [7]


def test_the_newest_backup_and_the_newest_whole_one_are_told(warehouse) -> None:
    with connect(warehouse) as connection:
        for name, day, verdict, removed in (
            ("a", 1, "whole", None), ("b", 2, "broken", None), ("c", 3, "whole", NOW),
        ):  # fmt: skip
            connection.execute(
                "insert into backup (name, place, made_at, seconds, bytes, rows, sha256, run_id, fresh_for, "
                "checked_at, verified_at, verdict, removed_at) values (%(name)s, 'p', %(at)s, %(day)s, %(day)s * 100, "
                "1, 's', 'r', interval '30 hours', %(at)s, %(at)s, %(verdict)s, %(removed)s)",
                {"name": name, "at": utc(2024, 1, day), "day": day, "verdict": verdict, "removed": removed},
            )
    with client_of(open_app(warehouse)) as client:
        text = client.get("/metrics").text
    assert values(text, "hypertape_backup_made_timestamp_seconds") == [utc(2024, 1, 2).timestamp()]
    assert values(text, "hypertape_backup_verified_timestamp_seconds") == [utc(2024, 1, 1).timestamp()]
    assert values(text, "hypertape_backup_bytes") == [200]
    assert values(text, "hypertape_backup_seconds") == [2]


def test_a_dead_warehouse_is_told_and_is_no_error() -> None:
    with client_of(open_app("postgresql://nobody@127.0.0.1:1/none")) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert values(answer.text, "hypertape_up") == [0]
    assert set(values(answer.text, "hypertape_collect_success")) == {0}
    assert values(answer.text, "hypertape_bars") == []
    assert values(answer.text, "hypertape_memory_limit_bytes")[0] > 0, "the machine is told all the same"


def test_a_locked_table_costs_its_part_and_no_other(filled) -> None:
    with psycopg.connect(filled) as blocker, client_of(open_app(filled)) as client:
        blocker.execute("lock table finding in access exclusive mode")
        begun = time.monotonic()
        text = client.get("/metrics").text
        took = time.monotonic() - begun
    assert took < 6, "a scrape is bounded"
    assert values(text, "hypertape_up") == [1]
    assert values(text, "hypertape_collect_success", part="findings") == [0]
    assert values(text, "hypertape_collect_success", part="series") == [1]


def test_several_scrapes_are_one_reading(filled) -> None:
    asked: list[int] = []

    def part(connection: object, ask: object) -> Iterable[object]:
        asked.append(1)
        return []

    collector = WarehouseCollector(
        lambda: filled, clock=lambda: NOW, lease=timedelta(minutes=5), pause=60, parts={"one": part}
    )  # type: ignore[dict-item]
    for _ in range(5):
        list(collector.collect())
    assert len(asked) == 1
    collector.forget()
    list(collector.collect())
    assert len(asked) == 2


def test_a_monitor_is_told_of_an_outage_though_its_key_cannot_be_checked(
    server_dsn, warehouse, monkeypatch
) -> None:
    monkeypatch.setattr("hypertape.api.keys.KEPT_SECONDS", 0.0)
    with connect(warehouse) as connection:
        key = api_keys.create(connection, "prometheus", "read", now=NOW, expires_at=None)
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
    app = server_app(Settings(), clock=lambda: NOW, dsn=lambda: warehouse)
    headers = {"Authorization": f"Bearer {key}"}
    with client_of(app) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=headers).status_code == 200
        with psycopg.connect(server_dsn, autocommit=True) as server:
            server.execute(f'alter database "{name}" allow_connections false')
            server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )
        app.state.hypertape.forget[0]()
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert values(answer.text, "hypertape_up") == [0]
        assert client.get("/health", headers=headers).status_code >= 500, "nothing else is answered"
        wrong = {"Authorization": f"Bearer {key[:-1]}{'a' if key[-1] != 'a' else 'b'}"}
        assert client.get("/metrics", headers=wrong).status_code == 401


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 5\ninactive_file 200\n"},
            (500, 1000),
        ),
        ({"memory.max": "1000", "memory.current": "700"}, (700, 1000)),
    ],
    ids=["a container; what is only cached is free", "a kernel that says no more"],
)
def test_memory_of_a_container(tmp_path: Path, files: dict[str, str], expected: tuple[int, int]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert memory(tmp_path) == expected


@pytest.mark.parametrize("limit", ["max", None], ids=["no limit", "no container"])
def test_memory_of_a_machine(tmp_path: Path, limit: str | None) -> None:
    if limit:
        (tmp_path / "memory.max").write_text(limit)
    used, there_is = memory(tmp_path)
    assert 0 < used < there_is
