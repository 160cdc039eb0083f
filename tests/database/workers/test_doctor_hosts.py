"""What `doctor` says where tasks run on several hosts."""

from __future__ import annotations

import pytest

from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse.doctor import Finding, examine
from hypertape.warehouse.ledger import database_now


@pytest.mark.parametrize(
    ("executor", "landing", "parallelism", "levels"),
    [
        ("LocalExecutor", None, "8", {}),
        ("CeleryExecutor", None, "8", {"landing": "bad", "connections": "ok"}),
        ("CeleryExecutor", "s3://bucket/landing", "8", {"landing": "ok", "connections": "ok"}),
        ("KubernetesExecutor", "s3://bucket/landing", "5000", {"landing": "ok", "connections": "note"}),
    ],
)
def test_several_hosts_need_a_shared_landing_area_and_connections(
    common, monkeypatch, tmp_path, executor, landing, parallelism, levels
):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", parallelism)
    settings = load_settings(landing_url=landing, state_dir=tmp_path, database_url=common.info.dsn)
    findings: list[Finding] = examine(
        common, tuple(all_markets().values()), settings, now=database_now(common)
    )
    found = {f.subject: f.level for f in findings if f.subject in ("landing", "connections")}
    assert found == levels
