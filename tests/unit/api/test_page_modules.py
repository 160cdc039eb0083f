"""The pages' modules: what one takes from another is there. A browser says so too, but shows an empty page for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hypertape.api

PAGES = Path(hypertape.api.__file__).parent / "pages"
MODULES = sorted(PAGES.glob("*.js"))
_IMPORT = re.compile(r"import\s*\{([^}]*)\}\s*from\s*\"\./([\w/.-]+)\"")
_EXPORT = re.compile(r"^export (?:async )?(?:const|let|function\*?|class) (\w+)", re.MULTILINE)


def test_there_are_modules() -> None:
    assert len(MODULES) > 10
    assert {"ask", "make", "Refused"} <= set(
        _EXPORT.findall((PAGES / "common.js").read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_what_is_imported_is_exported(module: Path) -> None:
    for names, other in _IMPORT.findall(module.read_text(encoding="utf-8")):
        if "vendor" in other:
            continue
        wanted = {name.split(" as ")[0].strip() for name in names.split(",") if name.strip()}
        missing = wanted - set(_EXPORT.findall((PAGES / other).read_text(encoding="utf-8")))
        assert not missing, f"{module.name} wants {sorted(missing)} of {other}"
