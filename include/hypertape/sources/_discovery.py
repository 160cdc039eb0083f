"""Which vendors there are: modules here, packages with the entry point group `hypertape.sources`, files of the project.

A name belongs to the first of these that has it. What a package or a project brings is loaded when it is asked for, and
what is wrong with it is told to who asks.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from hypertape.errors import BadProject, UnknownSource
from hypertape.project import bad, brought_sources, find_project, load_module, source_files

PACKAGE = __name__.rpartition(".")[0]


def source_names() -> tuple[str, ...]:
    """Return every source's name, sorted."""
    return tuple(sorted({*_shipped(), *brought_sources(), *source_files(find_project())}))


def vendor_of(name: str) -> Any:
    """The module of a source. Raises UnknownSource with the valid names, and BadProject for a file that is broken."""
    if name in _shipped():
        return importlib.import_module(f"{PACKAGE}.{name}")
    if name in brought_sources():
        return _loaded(brought_sources()[name])
    path = source_files(find_project()).get(name)
    if path is None:
        raise UnknownSource(
            f"There is no source {name!r}", next_step=f"Sources: {', '.join(source_names())}."
        )
    return _of_file(path)


def problems() -> tuple[BadProject, ...]:
    """What is wrong with the project's files of sources."""
    found = []
    for name, path in source_files(find_project()).items():
        try:
            if name in _shipped() or name in brought_sources():
                raise bad(path, 1, f"there is a source {name} already", "Name the file otherwise.")
            _of_file(path)
        except BadProject as error:
            found.append(error)
    return tuple(found)


@cache
def _shipped() -> tuple[str, ...]:
    import hypertape.sources  # noqa: PLC0415 (it imports this module)

    return tuple(
        part.name for part in pkgutil.iter_modules(hypertape.sources.__path__) if part.name[0] != "_"
    )


@cache
def _of_file(path: Path) -> Any:
    module = load_module(path)
    if not callable(getattr(module, "build", None)):
        raise bad(
            path, 1, "it defines no build", "Write build = Vendor.build of a hypertape.sources.PerTicker."
        )
    return module


@cache
def _loaded(point: EntryPoint) -> Any:
    brought = point.dist.name if point.dist else "a package"
    try:
        found = point.load()
    except Exception as error:
        what = f"The source {point.name} of {brought} cannot be loaded: {type(error).__name__} {error}"
        raise BadProject(what, next_step=f"Mend or remove {brought}.") from error
    if not callable(getattr(found, "build", None)):
        raise BadProject(
            f"The source {point.name} of {brought} defines no build",
            next_step=f"Its entry point is {point.value}.",
        )
    return found
