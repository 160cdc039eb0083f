"""The reference page of the metrics is what the code declares, and the names follow Prometheus' conventions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypertape.meters import CATALOG, Metric

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
HEADINGS = {
    "Of every process": "every",
    "Of the warehouse": "warehouse",
    "Of the read API": "api",
    "Of a stream": "stream",
    "Of a worker": "worker",
}
THE_DOCUMENTS = "timescale_write_"
"""Names that a document prescribes."""


def written() -> list[Metric]:
    found = []
    for part in PAGE.split("\n## ")[1:]:
        where = HEADINGS[part.splitlines()[0]]
        for name, kind, labels, text in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", part, re.M):
            found.append(Metric(name, kind, text, tuple(re.findall(r"`(\w+)`", labels)), where))
    return found


def test_the_page_is_what_the_code_declares() -> None:
    assert written() == list(CATALOG)


def test_names_are_unique() -> None:
    assert len({metric.name for metric in CATALOG}) == len(CATALOG)


@pytest.mark.parametrize("metric", CATALOG, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert metric.name.startswith(("hypertape_", THE_DOCUMENTS))
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert not re.search(r"(_ms|_millis|_minutes|_hours|_mb|_kb|_percent)(_|$)", metric.name), "base units"
    assert metric.help.endswith(".")
    assert not set(metric.labels) & {"le", "quantile", "job", "instance", "ticker"}
