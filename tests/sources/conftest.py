"""The replay server, and what yfinance keeps between tests taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from yahoo_replay import YahooReplay


@pytest.fixture
def replay() -> Iterator[YahooReplay]:
    server = YahooReplay()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def yahoo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yfinance")


@pytest.fixture(autouse=True)
def fresh_yfinance(yahoo_cache: Path) -> Iterator[None]:
    """Forget the process-wide session, crumb and answers."""
    yield
    from yfinance.data import SingletonMeta, YfData

    YfData.cache_get.cache_clear()
    SingletonMeta._instances.pop(YfData, None)
