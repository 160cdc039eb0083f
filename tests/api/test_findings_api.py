"""What is wrong is said in the same words by reports, pages, the API and doctor, and may be put away."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from api_lab import D1, NOW, VN, client_of, open_app, put, walk
from starlette.testclient import TestClient
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import SourceUnavailable
from hypertape.model import Window, utc
from hypertape.reports.pages import cumulative_report, run_report
from hypertape.settings import Settings
from hypertape.steps.findings import watch
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import findings
from hypertape.warehouse.loading.load import LoadRequest, record_failures
from scrape import values

TICKERS = [f"T{number:03d}" for number in range(500)]
HEADLINE = "csv_tree does not answer: 500 tickers of vn 1d not loaded"


@pytest.fixture
def out(warehouse: str) -> Iterator[tuple[str, TestClient]]:
    """A warehouse whose vendor has been away for three days, and a client."""
    import pandas as pd

    today = pd.Timestamp(NOW).tz_localize(None).normalize()
    days = list(pd.bdate_range(end=today - pd.Timedelta(days=5), periods=8))
    put(warehouse, VN, D1, {ticker: walk(days, 1) for ticker in TICKERS})
    with connect(warehouse) as connection:
        connection.execute(
            "update load set loaded_at = %s", (days[-1].to_pydatetime().replace(tzinfo=NOW.tzinfo),)
        )
        connection.commit()
    for day in (3, 2, 1):
        at, run = NOW - timedelta(days=day), f"day-{day}"
        request = LoadRequest(VN, D1, run, "csv_tree", Window(utc(2024), at), at)
        with connect(warehouse) as connection:
            record_failures(
                connection, {ticker: SourceUnavailable("no route") for ticker in TICKERS}, request
            )
            connection.commit()
        watch(warehouse, run, now=at, settings=Settings())
    with client_of(open_app(warehouse)) as client:
        yield warehouse, client


def headline_of(page: str) -> str:
    """The words of a report's verdict."""
    found = re.search(r'class="verdict .*?<strong>(.*?)</strong>', page, re.DOTALL)
    assert found is not None
    return html.unescape(found.group(1))


def test_an_outage_is_one_finding_in_the_same_words_everywhere(
    out: tuple[str, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, client = out
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", dsn)
    wanted = f"{HEADLINE}, and 1 other finding"  # that nothing was ever checked
    with connect(dsn) as connection:
        held = findings(connection, NOW, kinds=["source", "late", "gaps", "loads", "check"], closed=True)
        pages = [cumulative_report(connection, now=NOW), run_report(connection, "day-1")]
    assert [(each.title, each.times, len(each.tickers)) for each in held] == [(HEADLINE, 3, 500)]
    assert [headline_of(page) for page in pages] == [wanted, wanted]
    assert client.get("/overview").json()["headline"]["text"] == wanted
    assert (
        client.get("/findings", params={"mode": "vn", "interval": "1D"}).json()["headline"]["text"] == wanted
    )
    assert values(client.get("/metrics").text, "hypertape_findings", kind="source", severity="critical") == [
        1
    ]
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert [row["finding"] for row in told if row["what"] == "data"] == [wanted]
    assert CliRunner().invoke(app, ["findings", "list"]).stdout.splitlines()[0] == wanted


def post(client: TestClient, path: str, **parameters: Any) -> Any:
    return client.post(path, params=parameters, headers={"Origin": "http://testserver"})


def test_a_finding_is_put_away_and_taken_back(out: tuple[str, TestClient]) -> None:
    _, client = out
    found = client.get("/findings", params={"kind": "source"}).json()["findings"]
    (number,) = (each["finding_id"] for each in found)
    away = post(client, f"/findings/{number}/acknowledge", reason="the vendor knows")
    assert (away.status_code, away.json()["state"]) == (200, "acknowledged")
    assert client.get("/overview").json()["headline"]["text"] == "Nothing of vn 1d was ever checked"
    assert 'kind="source"' not in client.get("/overview").text
    assert post(client, f"/findings/{number}/reopen").json()["state"] == "open"
    assert client.get("/overview").json()["headline"]["text"].startswith(HEADLINE)


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("/findings/1/acknowledge", {}, "is not said"),  # no reason
        ("/findings/0/reopen", {}, "is not a count"),
        ("/findings/999/reopen", {}, "There is no finding 999"),
        ("/findings/1/acknowledge", {"reason": "x", "until": "2001-01-01"}, "is over"),
        ("/findings/1/acknowledge", {"reason": "x" * 501}, "501 letters"),
    ],
)
def test_what_cannot_be_put_away_is_refused(
    warehouse: str, path: str, parameters: dict[str, str], says: str
) -> None:
    with client_of(open_app(warehouse)) as client:
        answer = post(client, path, **parameters)
        assert answer.status_code == 400
        assert says in answer.json()["error"]


def test_a_page_of_another_site_may_put_nothing_away(warehouse: str) -> None:
    with client_of(open_app(warehouse)) as client:
        answer = client.post("/findings/1/reopen", headers={"Origin": "http://elsewhere.example"})
        assert answer.status_code == 403
