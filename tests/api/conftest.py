"""A warehouse that the API's tests read and do not change, and a client without a login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_lab import Frames, client_of, fill, open_app, series
from starlette.testclient import TestClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/api/" in item.path.as_posix():
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def frames() -> Frames:
    return series()


@pytest.fixture(scope="session")
def filled(new_warehouse, frames) -> Iterator[str]:
    """The DSN of a warehouse with the lab's series."""
    with new_warehouse() as dsn:
        fill(dsn, frames)
        yield dsn


@pytest.fixture(scope="session")
def client(filled) -> Iterator[TestClient]:
    with client_of(open_app(filled)) as client:
        yield client
