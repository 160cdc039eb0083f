"""How much of a proof is run: `make test` shows each law on few examples, `make test ARGS=--thorough` on many.

Tests marked `thorough` run with that option only: each names, where it stands, the quicker one that holds the same law
in every run. HYPERTAPE_THOROUGH=1 in the environment is the option's other spelling, for modules that a test starts.
"""

from __future__ import annotations

import os

import pytest

_VARIABLE = "HYPERTAPE_THOROUGH"


def is_thorough() -> bool:
    """True when proofs are run at length; known from before the tests are collected."""
    return os.environ.get(_VARIABLE) == "1"


def examples(few: int, many: int | None = None) -> int:
    """How many examples a law is shown on: `few`, or at length `many` (ten times as many unless told)."""
    return (many or 10 * few) if is_thorough() else few


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run every proof at length (an hour and more)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--thorough"):
        os.environ[_VARIABLE] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if is_thorough():
        return
    long = [item for item in items if item.get_closest_marker("thorough")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
