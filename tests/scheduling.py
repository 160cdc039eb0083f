"""Which test files a worker of pytest-xdist runs together, and which first.

Files that share the session's Airflow stay on one worker, which starts it once; they come first, because nothing else
takes as long, and it is stopped after the last of them, because idle it still takes a quarter of a core. So do files
that share a warehouse. The others go file by file, the rooms that take longest first.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARES_AIRFLOW = (
    "tests/dags/test_real_airflow.py",
    "tests/dags/test_backfill_bars.py",
    "tests/dags/test_real_migration.py",
    "tests/dags/test_published_in_airflow.py",
    "tests/web/test_pages_in_airflow.py",
)
"""Files whose tests ask for the fixture `standalone`."""

SHARES_A_WAREHOUSE = "tests/database/reader/"
"""A room whose files fill one warehouse for all, which takes ten seconds: on one worker, once."""

SLOW_FIRST = (
    "tests/simulation/",
    "tests/dags/",
    "tests/stream/",
    "tests/database/",
    "tests/api/",
    "tests/web/",
)
"""Rooms in the order of what a file of theirs takes; the others come last."""


A_REAL_AIRFLOW = "a real Airflow"
AIRFLOW = pytest.StashKey[ExitStack]()
"""What runs for the files that share an Airflow; closing it stops it."""


def group_of(nodeid: str) -> str:
    """What runs together: the file, or all files that share an Airflow or a warehouse."""
    name = nodeid.split("::", 1)[0]
    if name.startswith(SHARES_A_WAREHOUSE):
        return SHARES_A_WAREHOUSE
    return A_REAL_AIRFLOW if name in SHARES_AIRFLOW else name


def place_of(item: pytest.Item) -> int:
    """Where a test stands in the order."""
    if group_of(item.nodeid) == A_REAL_AIRFLOW:
        return -1
    return next((n for n, room in enumerate(SLOW_FIRST) if item.nodeid.startswith(room)), len(SLOW_FIRST))


class ByNeed(LoadScopeScheduling):
    """One unit of work a file, but for the files that share something."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # in the order collected, which `place_of` gives
    return ByNeed(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place_of)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the shared Airflow when no test of this worker needs it any more."""
    needed = nextitem is not None and group_of(nextitem.nodeid) == A_REAL_AIRFLOW
    if AIRFLOW in item.config.stash and not needed:
        item.config.stash[AIRFLOW].close()
