"""What Airflow's own pages link to is what the app serves."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from hypertape.api.routes.pages import DIRECTORY, PAGES
from hypertape.orchestration.views import VIEWS
from hypertape.orchestration.web import PREFIX

PLACES = {"nav": set(), "dag": {"{DAG_ID}"}, "dag_run": {"{DAG_ID}", "{RUN_ID}"}}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view["url_route"])
def test_a_view_shows_a_page_that_exists(view: dict[str, str]) -> None:
    address = urlsplit(view["href"])
    assert not address.netloc
    assert not address.path.startswith("/"), "relative: Airflow may live below a path of its own"
    directory, _, page = f"/{address.path}".rpartition("/")
    assert (directory, page in PAGES) == (f"{PREFIX}/pages", True)
    assert {
        value for _, _, value in (pair.partition("=") for pair in address.query.split("&") if pair)
    } == PLACES[view["destination"]]
    for icon in (view["icon"], view["icon_dark_mode"]):
        assert (DIRECTORY / icon.rpartition("/")[2]).is_file()


def test_every_view_has_an_address_of_its_own() -> None:
    routes = [view["url_route"] for view in VIEWS]
    assert len(set(routes)) == len(routes)
