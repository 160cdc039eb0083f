"""Directories that stores are written into, and the system's errors there in our own tree."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypertape.errors import BadInput, DiskFull


def demand_directory(path: Path) -> None:
    """Make a directory where there is none. Raises BadInput unless files can be made in it, and DiskFull."""
    with system_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raise the system's errors as ours: DiskFull, and BadInput for the others."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"There is no room left for {path}") from error
        raise BadInput(
            f"{path} cannot be written: {error.strerror}",
            next_step="Check the directory and its permissions.",
        ) from error
