"""The OpenAPI description: what it promises, and that rows of every ledger keep the promise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from api_lab import NOW, client_of, let_in, open_app
from starlette.testclient import TestClient

from hypertape.api import create_app
from hypertape.api.schemas import ANSWERS
from hypertape.model import utc
from hypertape.settings import Settings, load_settings
from hypertape.sources.sample import CORRECTED_AT
from hypertape.steps.sync import sync
from hypertape.warehouse.claims import Worker
from hypertape.warehouse.connect import connect

APP = create_app(Settings(), authorize=let_in, clock=lambda: NOW, dsn=lambda: "")
UNMADE = APP.openapi_schema
DOCUMENT = APP.openapi()
OPERATIONS = [(path, *each) for path, methods in DOCUMENT["paths"].items() for each in methods.items()]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


def test_it_is_made_once_when_it_is_asked_for() -> None:
    assert UNMADE is None, "an app that nobody asks costs nothing"
    assert APP.openapi() is DOCUMENT


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[" ".join(o[:2]) for o in OPERATIONS]
)
def test_every_route_says_how_it_may_fail(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = set(operation["responses"])
    assert "422" not in statuses, "a bad parameter is 400"
    assert statuses >= {"200", "401", "403", "429", "500", "503"}
    assert ("400" in statuses) == bool(operation.get("parameters"))
    assert ("404" in statuses) == ("{" in path)
    assert ("304" in statuses) == (path in ("/tickers", "/pages/{name}"))
    for status, response in operation["responses"].items():
        if status >= "400":
            found = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
            assert found["content"] == {
                "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
            }
    assert operation["responses"]["200"]["content"]


def test_the_logins_are_told() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["key"]["in"], schemes["key"]["name"]) == ("header", "X-API-Key")
    assert DOCUMENT["security"] == [{"bearer": []}, {"key": []}], "either of them"


def test_bars_come_as_json_csv_or_arrow() -> None:
    content = DOCUMENT["paths"]["/tickers"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv", "application/vnd.apache.arrow.stream"}
    assert content["application/json"]["schema"]["additionalProperties"]["items"]["$ref"].endswith("/Bar")
    bar = DOCUMENT["components"]["schemas"]["Bar"]
    assert bar["required"] == ["time", "open", "high", "low", "close", "volume", "symbol"]
    assert len(bar["properties"]) == 7 + 13 + 1, "what always is there, indicators, the mark"


def test_nothing_is_described_that_is_not_there() -> None:
    assert set(ANSWERS) <= set(DOCUMENT["paths"])
    used = str(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in used, name


@pytest.fixture(scope="module")
def lived(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a warehouse in which something of everything has happened: the sample's planted defects."""
    settings = load_settings(state_dir=tmp_path_factory.mktemp("state"))
    before = CORRECTED_AT - timedelta(days=1)
    with new_warehouse() as dsn:
        for at in (before, utc(2025, 7, 1)):
            sync(dsn, "vn", "1d", now=at, end=at, source={"name": "sample"}, settings=settings)
        with connect(dsn) as connection:
            connection.execute(
                "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, error, "
                "code_version) values ('lab', 'vn', '1d', 'SYNBANK', 'lab', now(), now(), 'failed', 'away', '0')"
            )
            Worker("worker").beat(connection)
        with client_of(open_app(dsn)) as client:
            yield client


LISTS = [
    ("/tickers", {"symbol": "SYNBANK", "ema": "12"}, "SYNBANK"),
    ("/tickers", {"symbol": "SYNBANK", "interval": "1W"}, "SYNBANK"),
    ("/coverage", {}, "tickers"),
    ("/series", {}, "series"),
    ("/gaps", {"open": "false"}, "gaps"),
    ("/quality", {}, "results"),
    ("/loads", {}, "loads"),
    ("/revisions", {}, "revisions"),
    ("/quarantine", {}, "quarantine"),
    ("/actions", {}, "actions"),
    ("/origin", {"symbol": "SYNBANK", "time": "2025-06-02"}, "loads"),
    ("/overview", {}, "failing"),
    ("/runs", {}, "runs"),
    ("/workers", {}, "workers"),
    ("/quality/trend", {}, "latest"),
    ("/quality/trend", {"days": "730"}, "offenders"),
    ("/api/v1/symbols", {}, "symbols"),
    ("/health", {}, "markets"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "asked", "filled"), LISTS, ids=[f"{row[0]} {row[2]}" for row in LISTS])
def test_rows_are_as_described(lived: TestClient, path: str, asked: dict[str, str], filled: str) -> None:
    response = lived.get(path, params=asked)
    assert response.json()[filled], "an empty list would prove nothing"
    SCHEMA[path]["GET"].validate_response(response)


def test_a_breach_of_the_description_would_be_seen(lived: TestClient) -> None:
    response = lived.get("/loads", params={"limit": "1"})
    response._content = response.content.replace(b'"source":', b'"sauce":')
    with pytest.raises(Exception, match="source"):
        SCHEMA["/loads"]["GET"].validate_response(response)
