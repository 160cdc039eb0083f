"""What reports are told of the world around: the run's page in Airflow, who minds what, the report before."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypertape.errors import BadInput
from hypertape.model import utc
from hypertape.reports.context import ReportContext, made_at
from hypertape.reports.narrow import name_cells
from hypertape.settings import Settings
from hypertape.warehouse.findings.owners import owner_of, read_owners

URL = "http://localhost:8080/"
RUNS = "http://localhost:8080/dags/bars_vn_1d/runs/"


@pytest.mark.parametrize(
    ("run_id", "page"),
    [
        ("bars_vn_1d__manual__2024-01-05T08:30:00+00:00", f"{RUNS}manual__2024-01-05T08%3A30%3A00%2B00%3A00"),
        ("bars_vn_1d__scheduled__2024-01-05__3", f"{RUNS}scheduled__2024-01-05"),
        ("validate__20240105T083000", None),
        ("sync__vn__20240105", None),
        (None, None),
    ],
    ids=["a run", "one that was cleared", "the command line's", "another", "no run"],
)
def test_a_run_of_airflow_has_a_page(run_id: str | None, page: str | None) -> None:
    assert ReportContext(URL).page_of(run_id) == page
    assert ReportContext("http://ops:secret@localhost:8080").page_of(run_id) == page, (
        "no login stands in a report"
    )
    assert ReportContext().page_of(run_id) is None, "no Airflow is named"


OWNERS = "vn=Data desk, vn 1m = intraday@example.com, backup=ops, *=who else"


@pytest.mark.parametrize(
    ("kind", "market", "interval", "who"),
    [
        ("check", "vn", "1d", "Data desk"),
        ("check", "vn", "1m", "intraday@example.com"),
        ("backup", None, None, "ops"),
        ("source", "us", "1d", "who else"),
    ],
)
def test_the_most_exact_word_says_who(kind: str, market: str | None, interval: str | None, who: str) -> None:
    assert owner_of(read_owners(OWNERS), kind, market, interval) == who
    assert owner_of({}, kind, market, interval) == ""


@pytest.mark.parametrize("text", ["vn", "vn=", "mars=ops", "vn 1w=ops"])
def test_an_owner_of_nothing_is_refused_and_stops_no_report(text: str) -> None:
    with pytest.raises(BadInput, match="who minds what"):
        read_owners(text)
    assert "does not say who minds what" in ReportContext.of(Settings(owners=text)).owner("check", "vn", "1d")


def test_the_report_that_is_replaced_is_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert made_at(file) is None
    file.write_text("<html>another page")
    assert made_at(file) is None
    file.write_text('<head><meta name="as-of" content="2025-07-01T12:00:00+00:00">')
    assert made_at(file) == utc(2025, 7, 1, 12)


def test_a_cell_carries_its_columns_name() -> None:
    head = '<thead><tr><th scope="col">A "b"</th><th scope="col" class="n"><i>C</i></th></tr></thead>'
    html = f'<table>{head}<tbody><tr><th scope="row">1</th><td class="n">2</td></tr><tr><td colspan="2">3</td></tr>'
    named = name_cells(f"{html}</tbody></table>")
    assert '<th scope="row" data-label="A &quot;b&quot;">1</th><td class="n" data-label="C">2</td>' in named
    assert '<td colspan="2" data-label="A &quot;b&quot;">3</td>' in named
    rows = "<tbody><tr><td>1</td></tr></tbody></table>"
    plain = f'<table class="heat">{rows}<table>{rows}'
    assert name_cells(plain) == plain
