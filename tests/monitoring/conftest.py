"""One scene for the room, and all its tests need a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scene import Scene, play


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/monitoring/" in item.path.as_posix():
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def scene(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with play(new_warehouse, tmp_path_factory.mktemp("monitors")) as playing:
        yield playing
