"""The dashboards: what Grafana would ask is asked of a Prometheus that scraped a real run, and answered."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from monitors import DEPLOY, RECORDED, SAMPLES, until
from scene import Scene

GRAFANA = DEPLOY / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}
PANELS = [(board, panel) for board, content in BOARDS.items() for panel in content["panels"]]
EMPTY = {
    "Airflow: tasks by state": "no OpenTelemetry collector could be had: never seen with data",
    "Failed tries": "nothing fails in the scene",
    "Rollups that wait": "nothing waits in the scene",
}
"""Panels without data after the run, and why."""


def queries(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def settled(scene: Scene) -> Scene:
    """The scene when two scrapes saw ticks, rounds and requests."""
    for n in range(4):
        scene.send_ticks(20, 1 + 100 * n)
        time.sleep(2)
    for query in (
        'sum(rate(timescale_write_total{status="success"}[5m])) > 0',
        "sum(rate(hypertape_worker_rounds_total[5m])) > 0",
        "hypertape:load_seconds:mean_1h",
        "hypertape:api_errors:ratio_5m",
        "pg_stat_database_xact_commit",
    ):
        until(lambda query=query: scene.prometheus.ask(query), query)
    time.sleep(3)  # the recorded series follow
    return scene


@pytest.mark.thorough  # in every run: test_panels_ask_for_what_is_measured
@pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=lambda it: it if isinstance(it, str) else it["title"]
)
def test_every_query_of_a_panel_answers(settled: Scene, board: str, panel: dict[str, Any]) -> None:
    if panel["title"] in EMPTY:
        assert [settled.prometheus.ask(query) for query in queries(panel)]  # an error would have failed it
        return
    for query in queries(panel):  # a scrape may be late on a busy machine: then its series rest for a moment
        until(lambda query=query: settled.prometheus.ask(query), query, 20)


@pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=lambda it: it if isinstance(it, str) else it["title"]
)
def test_panels_ask_for_what_is_measured(board: str, panel: dict[str, Any]) -> None:
    for query in queries(panel):
        assert set(re.findall(r"\b(?:hypertape|timescale)_\w+", query)) <= SAMPLES
        assert set(re.findall(r"\bhypertape:\w+(?::\w+)?", query)) <= RECORDED


def test_what_is_said_to_be_empty_is_there() -> None:
    assert {panel["title"] for _, panel in PANELS} >= EMPTY.keys()


def unknown(given: Any, understood: Any, path: str = "") -> list[str]:
    """What Grafana's model of a dashboard does not give back."""
    if isinstance(given, dict):
        return [
            each
            for key, value in given.items()
            for each in (
                unknown(value, understood[key], f"{path}/{key}") if key in understood else [f"{path}/{key}"]
            )
        ]
    if isinstance(given, list):
        pairs = enumerate(zip(given, understood, strict=True))
        return [each for n, (one, other) in pairs for each in unknown(one, other, f"{path}/{n}")]
    return [] if given == understood else [path]


def understood_by_grafana(content: dict[str, Any]) -> Any:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(content)))


@pytest.mark.parametrize("board", BOARDS)
def test_grafanas_own_model_knows_every_key(board: str) -> None:
    assert unknown(BOARDS[board], understood_by_grafana(BOARDS[board])) == []


def test_the_model_refuses_a_misspelt_key() -> None:
    spoiled = {**BOARDS["hypertape-api"], "refersh": "30s"}
    assert unknown(spoiled, understood_by_grafana(spoiled)) == ["/refersh"]


@pytest.mark.parametrize("board", BOARDS)
def test_panels_do_not_overlap_and_have_ids_of_their_own(board: str) -> None:
    panels = BOARDS[board]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("board", BOARDS)
def test_the_provisioned_datasource_is_asked(board: str) -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    named = {
        (each["datasource"]["type"], each["datasource"]["uid"])
        for panel in BOARDS[board]["panels"]
        for each in (panel, *panel["targets"])
    }
    assert named == {(source["type"], source["uid"])}


def test_the_dashboards_are_those_of_the_plan() -> None:
    assert set(BOARDS) == {f"hypertape-{name}" for name in ("warehouse", "pipeline", "stream", "api")}
    assert {board["uid"] for board in BOARDS.values()} == set(BOARDS)
    providers = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "hypertape.yml").read_text())
    compose = yaml.safe_load(Path(DEPLOY.parent / "docker-compose.yaml").read_text())
    mounts = [mount.split(":")[1] for mount in compose["services"]["grafana"]["volumes"]]
    assert providers["providers"][0]["options"]["path"] in mounts
