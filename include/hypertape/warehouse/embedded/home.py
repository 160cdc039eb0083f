"""Making the embedded server's directory: owned by the right account, entered by it, locked while it changes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypertape.errors import BadSetting, DiskFull
from hypertape.warehouse.embedded.account import Account
from hypertape.warehouse.embedded.state import Home, not_ours

SHARED_HOMES = Path("/var/lib/hypertape")
"""Where root's server lives when the state directory lies where only root can go (below /root)."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Keep every other start, stop and removal of this server waiting."""
    with file_errors(home):
        home.state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    with open(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def prepare(home: Home, account: Account) -> None:
    """Make the home directory at a place the account can enter. Raises BadSetting when there is none."""
    with file_errors(home):
        if home.link.is_symlink() and not home.link.exists():
            home.link.unlink()
        home.link.mkdir(exist_ok=True)
        home.path.chmod(0o711 if account.other else 0o700)
        if account.can("x", home.path):
            return
        if home.data.exists():
            raise _unreachable(home, account)
        _relocate(home, account)


@contextmanager
def file_errors(home: Home) -> Iterator[None]:
    """Turn the operating system's refusals inside the block into BadSetting or DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(f"There is no room left for {home.link}") from error
        if isinstance(error, PermissionError) and _is_anothers(home.path):
            raise not_ours(home) from error
        raise BadSetting(
            f"The state directory {home.state_dir} cannot be used: {error.strerror} ({error.filename})",
            next_step="Set HYPERTAPE_STATE_DIR to a directory you may write.",
        ) from error


def erase(home: Home) -> None:
    """Delete the server's directory wherever it is. The server must be down."""
    if home.path.exists():
        shutil.rmtree(home.path)
    if home.link.is_symlink():
        home.link.unlink()
        with suppress(OSError):  # other servers of root may live there
            SHARED_HOMES.rmdir()


def _relocate(home: Home, account: Account) -> None:
    target = SHARED_HOMES / uuid.uuid4().hex
    target.mkdir(parents=True)
    for directory in (SHARED_HOMES, target):
        directory.chmod(0o711)
    home.link.rmdir()
    home.link.symlink_to(target)
    if not account.can("x", home.path):
        raise _unreachable(home, account)


def _is_anothers(path: Path) -> bool:
    try:
        return path.stat().st_uid != os.geteuid()
    except OSError:
        return False


def _unreachable(home: Home, account: Account) -> BadSetting:
    return BadSetting(
        f"User {account.uid}, which root's PostgreSQL runs as, cannot enter {home.path}",
        next_step="Set HYPERTAPE_STATE_DIR to a directory every user can enter, such as /srv/hypertape.",
    )
