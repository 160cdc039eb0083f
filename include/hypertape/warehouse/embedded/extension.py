"""TimescaleDB from a directory of its own: PostgreSQL 18 loads extensions from anywhere it is told to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hypertape.warehouse.embedded.account import Account, copy_readable
from hypertape.warehouse.embedded.state import Home

EXTENSION = "timescaledb"
FIRST_MAJOR = 18
"""The first PostgreSQL with `extension_control_path`."""


@dataclass(frozen=True)
class Extension:
    """The two directories of an extension: `share` (with `extension/*.control`) and `lib`."""

    share: Path
    lib: Path

    def configuration(self) -> dict[str, str]:
        """Return the server settings that load it."""
        return {
            "shared_preload_libraries": EXTENSION,
            "extension_control_path": f"$system:{self.share}",
            "dynamic_library_path": f"$libdir:{self.lib}",
            "timescaledb.telemetry_level": "off",
        }


def majors_served(directory: Path | None) -> frozenset[int]:
    """Return the PostgreSQL majors the directory has a `<major>/` part for, of those that can load it."""
    if directory is None or not directory.is_dir():
        return frozenset()
    named = (int(part.name) for part in directory.iterdir() if part.name.isdecimal())
    majors = frozenset(major for major in named if major >= FIRST_MAJOR and _part(directory / str(major)))
    return majors or (frozenset({FIRST_MAJOR}) if _part(directory) else frozenset())


def find_extension(directory: Path, major: int) -> tuple[Extension | None, str | None]:
    """Find TimescaleDB for a server's major in `directory/<major>` or `directory` itself.

    Returns it, or None and the reason why the server runs without it.
    """
    if major < FIRST_MAJOR:
        return None, (
            f"PostgreSQL {major} cannot load TimescaleDB from {directory}: only {FIRST_MAJOR} and newer "
            "load extensions from another directory"
        )
    found = _part(directory.absolute() / str(major)) or _part(directory.absolute())
    if found is None:
        return None, f"{directory} holds no TimescaleDB for PostgreSQL {major} (share/extension and lib)"
    return found, None


def readable(extension: Extension, account: Account, home: Home) -> Extension:
    """Return the extension at a place the account can read, copied into the server's home if it must be."""
    control = extension.share / "extension" / f"{EXTENSION}.control"
    if account.can("r", control) and account.can("x", extension.lib):
        return extension
    copy = home.path / "extension"
    shutil.rmtree(copy, ignore_errors=True)
    copied = Extension(copy / "share", copy / "lib")
    copy_readable(extension.share, copied.share)
    copy_readable(extension.lib, copied.lib)
    copy.chmod(0o755)
    return copied


def _part(directory: Path) -> Extension | None:
    control = directory / "share" / "extension" / f"{EXTENSION}.control"
    libraries = (directory / "lib" / f"{EXTENSION}{suffix}" for suffix in (".so", ".dylib"))
    if control.is_file() and any(library.is_file() for library in libraries):
        return Extension(directory / "share", directory / "lib")
    return None
