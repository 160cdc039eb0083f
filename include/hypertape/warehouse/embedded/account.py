"""Who the embedded server runs as: PostgreSQL refuses root, so root's server runs as an ordinary account."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypertape.errors import ServerFailed

_CANDIDATES = ("postgres", "nobody")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TZ": "UTC"}
"""Nothing of the caller's environment (PGDATA, PGOPTIONS, a language) reaches the server's programs."""


@dataclass(frozen=True)
class Account:
    """A user and group; `other` tells whether it is another one than this process has."""

    uid: int
    gid: int
    other: bool

    def run(
        self, command: Sequence[str | Path], *, directory: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account and return its exit code with all it printed, in English.

        Raises ServerFailed when it cannot be run at all.
        """
        try:
            return subprocess.run(
                [str(word) for word in command],
                user=self.uid if self.other else None,
                group=self.gid if self.other else None,
                extra_groups=[] if self.other else None,
                cwd=directory or "/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise ServerFailed(
                f"{command[0]} cannot be run as user {self.uid}: {error.strerror}",
                next_step="Name a database by HYPERTAPE_DATABASE_URL, or run as another user.",
            ) from error

    def can(self, access: str, path: Path) -> bool:
        """Whether the account may read (`r`), write (`w`) or enter or execute (`x`) the path."""
        return self.run(["/bin/sh", "-c", f'test -{access} "$1"', "sh", path]).returncode == 0

    def own(self, path: Path, mode: int) -> None:
        """Give the path to the account, with the mode."""
        path.chmod(mode)
        if self.other:
            os.chown(path, self.uid, self.gid)


def server_account(data: Path) -> Account:
    """Return the account the server of `data` runs as: ourselves, or for root the directory's owner or `postgres`.

    Raises ServerFailed when root finds no ordinary account.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), other=False)
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid, other=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, other=True)
    raise ServerFailed(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as",
        next_step="Run as an ordinary user, or name a database by HYPERTAPE_DATABASE_URL.",
    )


def copy_readable(source: Path, target: Path, *, without: Sequence[str] = ()) -> None:
    """Copy a directory so that every account can read it; `without` are name patterns left out."""
    shutil.copytree(
        source, target, symlinks=True, ignore=shutil.ignore_patterns(*without), dirs_exist_ok=True
    )
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            runs = path.is_dir() or mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
