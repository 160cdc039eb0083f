"""The Origin check, row by row."""

from __future__ import annotations

import pytest
from fastapi import HTTPException, Request

from hypertape.api.access import same_origin
from hypertape.settings import Settings


def request(headers: dict[str, str]) -> Request:
    told = {"host": "tape.example:8600", **headers}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    return Request(
        {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw, "scheme": "http"}
    )


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": "http://tape.example:8600"}, "our own page"),
        ({"origin": "https://tape.example:8600"}, "behind a proxy that ends TLS"),
        ({"sec-fetch-site": "same-origin", "origin": "http://tape.example:8600"}, "as browsers say it"),
        ({"sec-fetch-site": "none"}, "typed by its user"),
        ({"authorization": "Bearer x"}, "no page can make a browser send this"),
        ({"x-api-key": "x"}, "nor this"),
    ],
)
def test_who_may_write(headers: dict[str, str], reason: str) -> None:
    same_origin()(request(headers))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": "http://evil.example"}, "another site"),
        ({"origin": "http://tape.example"}, "another port is another origin"),
        ({"origin": "null"}, "a sandboxed page"),
        ({"origin": "http://["}, "no address at all"),
        ({"origin": "http://tape.example:8600.evil.example"}, "ours at the front only"),
        (
            {"origin": "http://evil.example", "authorization": "Bearer x"},
            "whoever it is, it is another site's page",
        ),
        ({"sec-fetch-site": "cross-site"}, "a browser says so"),
        (
            {"sec-fetch-site": "same-site", "origin": "http://tape.example:8600"},
            "a neighbour under the same domain",
        ),
        ({}, "a cookie alone"),
    ],
)
def test_who_may_not(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(HTTPException) as raised:
        same_origin()(request(headers))
    assert raised.value.status_code == 403, reason


def test_origins_of_the_settings_may_write() -> None:
    others = Settings(api_origins="https://airflow.example, https://b.example/").writing_origins
    told = {"origin": "https://airflow.example", "sec-fetch-site": "cross-site"}
    same_origin(others)(request(told))
    with pytest.raises(HTTPException):
        same_origin(others)(request({"origin": "https://airflow.example.evil.example"}))
