"""Names of mapped tasks."""

from __future__ import annotations

import jinja2
import pytest

from hypertape.orchestration.labels import BATCH_LABEL, batch_label, tickers_label


@pytest.mark.parametrize(
    ("tickers", "label", "reason"),
    [
        (["VIC"], "VIC", "one"),
        (["ACB", "BID", "VIC"], "ACB, BID, VIC", "as many as are shown"),
        (["ACB", "BID", "CTG", "VIC"], "ACB, BID … VIC (4)", "more: the ends and the count"),
    ],
)
def test_tickers_label(tickers: list[str], label: str, reason: str) -> None:
    assert tickers_label(tickers) == label, reason


def test_a_batch_and_a_reference_to_it_have_the_same_name() -> None:
    batch = {"index": 3, "tickers": ["VIC", "VNM"]}
    assert batch_label(batch) == batch_label({"batch": batch, "landing": "file:///x"}) == "VIC, VNM"


def test_the_template_takes_the_task_s_first_argument() -> None:
    task = type("Task", (), {"op_args": ({"tickers": ["VIC"]},)})()
    assert jinja2.Template(BATCH_LABEL).render(task=task, batch_label=batch_label) == "VIC"
