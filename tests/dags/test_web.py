"""The API as Airflow serves it: Airflow's own login and roles in front of every route."""

from __future__ import annotations

import logging
import runpy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_environment import REPOSITORY
from hypertape.api.app import NOWHERE
from hypertape.model import utc
from hypertape.orchestration.web import PREFIX, LazyApp, airflow_app

SAFE = {"Origin": "http://testserver"}


def nowhere() -> str:
    return "postgresql://nobody@127.0.0.1:1/nothing"


ABSENT = [
    ("GET", "/nope"),
    ("GET", "/tickers/"),
    ("GET", "/cache/clear"),
    ("POST", "/tickers"),
    ("PUT", "/gaps"),
]
"""Paths and methods that there are not."""


@pytest.fixture(scope="module")
def managed() -> Iterator[None]:
    """Airflow's simple auth manager, as its API server makes it."""
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app

    create_auth_manager()
    yield
    purge_cached_app()


@pytest.fixture(scope="module")
def app(managed: None) -> Any:
    return airflow_app(nowhere)


def as_role(app: Any, role: str | None) -> TestClient:
    """A client logged in with a role of the simple auth manager, or not at all."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    app.dependency_overrides = {}
    if role is not None:
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username=role, role=role)
    return TestClient(app, raise_server_exceptions=False)


def walked(app: Any) -> list[tuple[str, str]]:
    """Every route as (method, path), what is mounted included; where there is nothing is last."""
    found = []
    for route in app.routes:
        assert hasattr(route, "methods"), f"{route} is mounted: it is served without a login"
        path = route.path_format.format_map(defaultdict(lambda: "1", name="markets", path="common.js"))
        found += [(method, path) for method in sorted(route.methods) if route.path != NOWHERE]
    assert app.routes[-1].path == NOWHERE
    return found


def test_the_walk_sees_the_routes(app: Any) -> None:
    assert {
        ("GET", "/tickers"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/pages/files/common.js"),
    } < set(walked(app))
    assert len(walked(app)) >= 16


def test_without_a_login_every_route_is_401(app: Any) -> None:
    client = as_role(app, None)
    asked = [*walked(app), *ABSENT]
    answers = {(m, path): client.request(m, path, headers=SAFE).status_code for m, path in asked}
    assert answers == dict.fromkeys(answers, 401)


def test_what_is_not_there_is_told_to_those_who_may_read(app: Any) -> None:
    client = as_role(app, "VIEWER")
    assert {client.request(method, path, headers=SAFE).status_code for method, path in ABSENT} == {404}


def test_a_wrong_token_is_refused(app: Any) -> None:
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN

    for carried in ("Authorization: Bearer x.y.z", f"Cookie: {COOKIE_NAME_JWT_TOKEN}=x.y.z"):
        name, _, value = carried.partition(": ")
        assert as_role(app, None).get("/tickers", headers={name: value}).status_code in (401, 403)


def test_a_viewer_may_read_and_not_write(app: Any) -> None:
    client = as_role(app, "VIEWER")
    for method, path in walked(app):
        status = client.request(method, path, headers=SAFE).status_code
        assert (status == 403) is (method not in ("GET", "HEAD")), (method, path, status)
        assert status != 401


@pytest.mark.parametrize(("role", "writes"), [("VIEWER", False), ("USER", False), ("OP", True)])
def test_a_page_is_told_whether_its_reader_may_write(app: Any, role: str, writes: bool) -> None:
    assert as_role(app, role).get("/caller").json() == {"name": role, "may_write": writes}


def test_writing_routes_are_there_and_need_their_role_and_this_origin(app: Any) -> None:
    writing = [(method, path) for method, path in walked(app) if method not in ("GET", "HEAD")]
    assert writing
    client = as_role(app, "OP")
    for method, path in writing:
        asked = {} if path.startswith("/findings") else {"mode": "vn"}
        status = client.request(method, path, params=asked, headers=SAFE).status_code
        assert status == (200 if path == "/cache/clear" else 503), (
            "let through, as far as there is a warehouse"
        )
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://testserver.evil.example"},
            {**SAFE, "Sec-Fetch-Site": "cross-site"},
            {},  # a cookie alone, as an old browser's form would send it
        ):
            assert client.request(method, path, headers=headers).status_code == 403, headers


def test_the_access_log_names_airflows_user(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Also one that is refused; and a name cannot begin a line of its own."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    caplog.set_level(logging.INFO, "hypertape.api.access")
    for role in ("OP", "VIEWER"):
        as_role(app, role).post("/cache/clear", headers=SAFE)
    forger = TestClient(app, raise_server_exceptions=False)
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="a\nb", role="OP")
    forger.post("/cache/clear", headers=SAFE)
    lines = [record.getMessage() for record in caplog.records if record.name == "hypertape.api.access"]
    assert [line.split()[2] for line in lines] == ["200", "403", "200"]
    assert [line.split()[5] for line in lines] == ["OP", "VIEWER", "a\\nb"]


def test_the_plugin_mounts_it_lazily() -> None:
    (entry,) = runpy.run_path(str(REPOSITORY / "plugins" / "hypertape_plugin.py"))[
        "HypertapePlugin"
    ].fastapi_apps
    assert entry["url_prefix"] == PREFIX
    assert isinstance(entry["app"], LazyApp)


def test_a_lazy_app_is_made_once() -> None:
    made = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def make() -> Any:
        made.append(utc(2026))
        return answer

    client = TestClient(LazyApp(make))
    assert [client.get("/").status_code for _ in range(3)] == [204] * 3
    assert len(made) == 1
