"""Every route asked with whatever its description allows, and more: no server error, always an answer as described."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from api_lab import let_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertape.api import create_app
from hypertape.model import utc
from hypertape.settings import Settings
from thorough import examples

NOTHING = create_app(Settings(), authorize=let_in, clock=lambda: utc(2026, 1, 1), dsn=lambda: "")
"""Only its description is used: which routes there are and what they take."""

TICKER = st.sampled_from(
    ["VCB", "VNM", "us:VNM", "NOPE", "", "\x00", "'; drop table load; --", "%", "É", "\U0001f600" * 50]
)
DATE = st.sampled_from(
    ["", "2024-03-28", "20240328", "2024-W13-4", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999999", "1677-09-21",
     "2262-04-12", "-infinity", "2024-03-28T03:00:00-23:59", "2024-03-28 03:00", "today", "2024-03-28T24:00"]
)  # fmt: skip
COUNT = st.sampled_from(
    ["", "1", "2", "5000", "5001", "100000", "0", "-1", "1e3", "９", "9" * 19, "9" * 400, "\x00"]
)
WORDS: dict[str, Any] = {
    "symbol": st.lists(TICKER, max_size=4),
    "interval": st.sampled_from(["", "1D", "1d", "1M", "1m", "1mo", "4h", "2W", "1H", "x", "\x00"]),
    "mode": st.sampled_from(["", "vn", "stock", "all", "us", "crypto", "x", "\x00"]),
    "limit": COUNT,
    "load_id": COUNT,
    "after": st.sampled_from(["", "WzFd", "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDBd", "W251bGxd", "e30", "!", "é"])
    | st.text(max_size=9),
    "start_date": DATE,
    "end_date": DATE,
}
"""By name what a parameter may be told: what is meant, the edges of it, and what somebody will try."""

FLAG = st.sampled_from(
    ["", "true", "0", "month", "day", "json", "csv", "12,26", "1000", "failed", "unknown", "\x00", "\n"]
)
ROUTES = {
    path: [
        parameter["name"] for parameter in methods["get"].get("parameters", ()) if parameter["in"] == "query"
    ]
    for path, methods in NOTHING.openapi()["paths"].items()
    if "get" in methods and "{" not in path
}

SCHEMA = schemathesis.openapi.from_dict(NOTHING.openapi())

TAG = st.sampled_from(["", "*", '""', 'W/"0"', '"a", W/"b"', "W/", '"', "x" * 9_000, ",,,"])
WHEN = st.sampled_from(
    [
        "",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "2024-03-28",
        "Thu, 01 Jan 1970",
        "0",
        "-",
    ]
)
HEADERS = st.fixed_dictionaries(
    {"Authorization": st.sampled_from(["-", "Bearer x", "Basic é"]).map(lambda text: text.encode())},
    optional={
        "If-None-Match": TAG,
        "If-Modified-Since": WHEN,
        "Accept-Encoding": st.sampled_from(["", "gzip", "identity", "br;q=1", "gzip;q=0", "*", "gzip;q=x"]),
        "Origin": st.sampled_from(["http://testserver", "https://evil.example", "null", "", "http://[", "//"]),
    },
)  # fmt: skip
"""What a caller's headers may say; the tests' app lets everybody in, the real logins have tests of their own."""

ANSWERED = (200, 304, 400, 403, 404)


@SCHEMA.parametrize()
@SCHEMA.given(headers=HEADERS)
@settings(max_examples=examples(12, 100), deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_the_description_names(client: Any, case: Any, headers: Any) -> None:
    response = client.request(case.method, case.formatted_path, params=case.query, headers=headers)
    judge(response, SCHEMA[case.operation.path][case.method])


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_so_is_that_to_any_combination_of_edges(client: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path, names in ROUTES.items() if names)))
    told = data.draw(st.fixed_dictionaries({}, optional={n: WORDS.get(n, FLAG) for n in ROUTES[path]}))
    response = client.get(path, params=told, headers=data.draw(HEADERS))
    judge(response, SCHEMA[path]["GET"])
    if "etag" in response.headers:
        known = client.get(path, params=told, headers={"If-None-Match": response.headers["etag"]})
        assert known.status_code == 304
        judge(known, SCHEMA[path]["GET"])


def judge(response: Any, operation: Any) -> None:
    """Hold an answer to its description: status, type and schema, and no number that is none."""
    assert response.status_code in ANSWERED, response.text
    assert str(response.status_code) in operation.definition.raw["responses"], response.status_code
    operation.validate_response(response)
    if response.status_code >= 400:
        assert list(response.json()) == ["error"]
        assert response.json()["error"].endswith(".")
    elif response.content and response.headers["content-type"] == "application/json":
        json.loads(response.text, parse_constant=_refused)


def _refused(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")
