"""Great Expectations, imported without what no rule of ours uses (plots, distribution tests, S3): a third of its time.

Import it from here and nowhere else. The modules left out are there all the same: whoever reads something
from them (a distribution expectation does) gets the real one then. Only S3 counts as not installed for Great
Expectations, unless it was imported before.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_POSTPONED = ("altair", "scipy.stats")
_ABSENT = ("boto3", "botocore")


def _forwarding(name: str) -> types.ModuleType:
    """A module that imports the one of its name when somebody reads an attribute of it."""

    def read(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(name), attribute)

    module = types.ModuleType(name)
    module.__getattr__ = read  # type: ignore[method-assign]
    return module


@contextmanager
def _without_unused() -> Iterator[None]:
    """Stand-ins for what is imported and not used, as long as the block lasts; what is imported already stays."""
    missing = [name for name in (*_POSTPONED, *_ABSENT) if name not in sys.modules]
    parents = {name: importlib.import_module(name.rpartition(".")[0]) for name in missing if "." in name}
    for name in missing:
        stand_in = None if name in _ABSENT else _forwarding(name)
        sys.modules[name] = stand_in  # type: ignore[assignment]
        if name in parents:
            setattr(parents[name], name.rpartition(".")[2], stand_in)
    try:
        yield
    finally:
        for name in missing:
            sys.modules.pop(name, None)
        for name, parent in parents.items():
            delattr(parent, name.rpartition(".")[2])


with _without_unused():
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.core.batch import Batch
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

__all__ = ["Batch", "DataContextConfig", "InMemoryStoreBackendDefaults", "ProgressBarsConfig", "gx", "gxe"]
