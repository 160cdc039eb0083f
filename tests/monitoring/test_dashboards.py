"""The dashboards: what Grafana would ask is asked of a Prometheus that scraped a real run, and answered.

No renderer could be had, so what each panel would show is a table, docs/reference/dashboards.md. It is written anew by
HYPERTAPE_DASHBOARDS_PAGE=docs/reference/dashboards.md pytest --thorough tests/monitoring/test_dashboards.py
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from itertools import count
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
}
"""Panels without data after the run, and why."""


def queries(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def settled(scene: Scene) -> Scene:
    """The scene when two scrapes saw ticks, rounds and requests."""
    first = count(1, 100)

    def ticks_are_seen() -> bool:
        """Prometheus finds its targets when it likes: what was sent before its first scrape moves no counter."""
        scene.send_ticks(20, next(first))
        time.sleep(1)
        return bool(scene.prometheus.ask('sum(rate(timescale_write_total{status="success"}[5m])) > 0'))

    until(ticks_are_seen, "no ticks are counted")
    for query in (
        "sum(rate(hypertape_worker_rounds_total[5m])) > 0",
        "hypertape:load_seconds:mean_1h",
        "hypertape:api_errors:ratio_5m",
        "pg_stat_database_xact_commit",
    ):
        until(lambda query=query: scene.prometheus.ask(query), query)
    time.sleep(3)  # the recorded series follow
    return scene


PAGE = DEPLOY.parent / "docs" / "reference" / "dashboards.md"
HEAD = """# Dashboards

What each panel of the four dashboards (`deploy/grafana/dashboards`) asks of Prometheus, and what it was answered after
a minute of a real run: the read API, a stream, a worker and a database, scraped by a real Prometheus with the shipped
rules. Grafana itself was not run. One series of each answer is shown. Made by `tests/monitoring/test_dashboards.py`
with `--thorough`.
"""


def shown(found: list[dict[str, Any]]) -> str:
    """One of the series of an answer, without what differs from run to run."""
    if not found:
        return ""
    labels = {name: value for name, value in found[0]["metric"].items() if name != "__name__"}
    text = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    text = re.sub(r"hypertape_test_\w+", "hypertape", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text))
    return f"{text or 'no label'}: {float(found[0]['value'][1]):.4g}"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


@pytest.fixture(scope="module")
def answers() -> Iterator[list[tuple[str, str, str, str, str]]]:
    """What was asked and answered; at the end it becomes the page, where one is named."""
    rows: list[tuple[str, str, str, str, str]] = []
    yield rows
    if named := os.environ.get("HYPERTAPE_DASHBOARDS_PAGE"):
        lines = [HEAD]
        for board, content in BOARDS.items():
            lines += [
                f"## {content['title']}",
                "",
                "| panel | asks | series | one of them |",
                "|---|---|---|---|",
            ]
            mine = [row for row in rows if row[0] == board]
            lines += [f"| {title} | `{asked}` | {count} | {one} |" for _, title, asked, count, one in mine]
            lines.append("")
        Path(named).write_text("\n".join(lines), encoding="utf-8")


def test_the_page_shows_every_panel() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [
        (panel["title"], query)
        for _, panel in PANELS
        for query in queries(panel)
        if f"| {panel['title']} | `{cell(query)}` |" not in text
    ]
    assert missing == []


@pytest.mark.thorough  # in every run: test_panels_ask_for_what_is_measured
@pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=lambda it: it if isinstance(it, str) else it["title"]
)
def test_every_query_of_a_panel_answers(
    settled: Scene, board: str, panel: dict[str, Any], answers: list[tuple[str, str, str, str, str]]
) -> None:
    for query in queries(panel):
        found = settled.prometheus.ask(query)  # an error of the query fails it
        if not found and panel["title"] not in EMPTY:
            # a scrape may be late on a busy machine: then its series rest for a moment
            found = until(lambda query=query: settled.prometheus.ask(query), query, 20)
        one = shown(found) or EMPTY.get(panel["title"], "")
        answers.append((board, panel["title"], cell(query), str(len(found)), one))


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
