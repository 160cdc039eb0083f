"""The rules and the configuration of Prometheus and Alertmanager, judged by their own programs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitors import RECORDED, RULES, SAMPLES

from services import find_monitor

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
TESTS: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "tests" / "alerts_test.yml").read_text())["tests"]


def run(program: str, *words: str | Path) -> str:
    done = subprocess.run(
        [find_monitor(program), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_alert_fires_and_is_silent_as_its_test_says() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", PROMETHEUS / "tests" / "alerts_test.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_fired_by_a_test(alert: str) -> None:
    asked = [each for test in TESTS for each in test["alert_rule_test"] if each["alertname"] == alert]
    assert any(each.get("exp_alerts") for each in asked), "fired by nothing"


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_paragraph_in_a_runbook(alert: str) -> None:
    path, _, anchor = ALERTS[alert]["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.M)
    assert anchor == alert.lower()
    assert alert in headings


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_severity_and_a_summary(alert: str) -> None:
    assert ALERTS[alert]["labels"]["severity"] in ("critical", "warning")
    assert ALERTS[alert]["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_measured(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\b(?:hypertape|timescale)_\w+", rule["expr"]))
    assert used <= SAMPLES
    assert set(re.findall(r"\bhypertape:\w+(?::\w+)?", rule["expr"])) <= RECORDED


def test_the_configuration_of_prometheus_is_one() -> None:
    run("promtool", "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


def test_every_job_has_its_file_of_targets() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    named = [
        each["files"]
        for job in [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
        for each in job["file_sd_configs"]
    ]
    files = {name for names in named for name in names}
    assert files == {f"targets/{path.name}" for path in (PROMETHEUS / "targets").iterdir()}


def test_the_configuration_of_alertmanager_is_one() -> None:
    run("amtool", "check-config", ROOT / "deploy" / "alertmanager" / "alertmanager.yml")


def test_inhibited_alerts_exist() -> None:
    config = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()
    for alternatives in re.findall(r"Hypertape\(([\w|]+)\)", config):
        assert {f"Hypertape{name}" for name in alternatives.split("|")} <= ALERTS.keys()
    named = re.findall(r"alertname = (\w+)", config)
    assert named
    assert set(named) <= ALERTS.keys()
