"""Where Airflow's own pages show ours: entries of the navigation, tabs of a DAG, a tab of a DAG run.

Addresses are relative to Airflow's own, wherever it is mounted. Airflow puts DAG and run in place of the names in
braces.
"""

from __future__ import annotations

from typing import Any

_PAGES = "hypertape/pages"
_ICONS = {"icon": f"{_PAGES}/files/icon.svg", "icon_dark_mode": f"{_PAGES}/files/icon-dark.svg"}

VIEWS: list[dict[str, Any]] = [
    {
        "name": "Markets",
        "href": f"{_PAGES}/markets",
        "destination": "nav",
        "url_route": "hypertape-markets",
        "nav_top_level": True,
        **_ICONS,
    },
    {
        "name": "Ticker",
        "href": f"{_PAGES}/ticker",
        "destination": "nav",
        "category": "browse",
        "url_route": "hypertape-ticker",
        **_ICONS,
    },
    {
        "name": "Quality",
        "href": f"{_PAGES}/quality",
        "destination": "nav",
        "category": "browse",
        "url_route": "hypertape-quality",
        **_ICONS,
    },
    {
        "name": "Stream",
        "href": f"{_PAGES}/stream",
        "destination": "nav",
        "category": "browse",
        "url_route": "hypertape-stream",
        **_ICONS,
    },
    {
        "name": "Market",
        "href": f"{_PAGES}/markets?dag_id={{DAG_ID}}",
        "destination": "dag",
        "url_route": "hypertape-dag-market",
        **_ICONS,
    },
    {
        "name": "Quality",
        "href": f"{_PAGES}/quality?dag_id={{DAG_ID}}",
        "destination": "dag",
        "url_route": "hypertape-dag-quality",
        **_ICONS,
    },
    {
        "name": "Quality",
        "href": f"{_PAGES}/quality?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
        "destination": "dag_run",
        "url_route": "hypertape-run-quality",
        **_ICONS,
    },
]
"""What the plugin declares as external views."""
