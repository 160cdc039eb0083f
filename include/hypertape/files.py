"""Files that somebody else put there: opened only where they are what they look like.

A foreign directory may hold anything: a pipe that nobody writes to (opening it waits for ever), a device, a link to a
file elsewhere whose first line an error message would print, a file larger than the memory. `open_regular` opens a
regular file inside its tree and nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hypertape.errors import BadInput

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a directory"),
)


@contextmanager
def open_regular(path: Path, *, within: Path, most: int) -> Iterator[BinaryIO]:
    """Open a file to be read. A link is followed as long as it stays inside the tree `within`.

    Raises BadInput for what is no regular file, lies outside the tree, is larger than `most` bytes or cannot be read;
    the message never says what is in it.
    """
    with _told(path):
        descriptor = _opened(path, os.path.realpath(within), most)
        with os.fdopen(descriptor, "rb") as file:
            yield file


def read_regular(path: Path, *, within: Path, most: int) -> bytes:
    """The bytes of a file that `open_regular` opens. Raises what it raises, also where the file grows meanwhile."""
    with open_regular(path, within=within, most=most) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, len(data), most)
    return data


def require_inside(path: Path, within: Path) -> None:
    """Raise BadInput where a path, its links followed, leads out of the tree `within` or nowhere."""
    with _told(path):
        _inside(path, os.path.realpath(within))


def list_directory(path: Path, *, within: Path) -> list[Path]:
    """The entries of a directory of a tree, sorted. Raises BadInput where it leads out of it or cannot be read."""
    return [path / entry.name for entry in entries_of(path, within=within)]


def entries_of(path: Path, *, within: Path) -> list[os.DirEntry[str]]:
    """As `list_directory`, for directories of thousands: what the system says of each entry costs no question more."""
    with _told(path):
        _inside(path, os.path.realpath(within))
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)


def _opened(path: Path, root: str, most: int) -> int:
    real = _inside(path, root)
    _require_regular(path, os.stat(real), most)  # before it is opened: to open a device may do something
    # A pipe may have taken its place since: that is opened without waiting, and seen for what it is.
    descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        _require_regular(path, os.fstat(descriptor), most)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _inside(path: Path, root: str) -> str:
    real = os.path.realpath(path, strict=True)
    if os.path.commonpath((root, real)) != root:
        raise BadInput(
            f"{path} is a link that leads out of its directory",
            next_step="Put a copy of the file there, or name the directory in which it lies.",
        )
    return real


def _require_regular(path: Path, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for matches, name in _KINDS if matches(found.st_mode)), "no file")
        raise BadInput(f"{path} is {kind}", next_step="A bar file is a regular file.")
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: Path, size: int, most: int) -> BadInput:
    return BadInput(
        f"{path} has {size:,} bytes, more than the {most:,} that a file may have",
        next_step="Cut it into smaller ones, or raise HYPERTAPE_FILE_BYTES.",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system refuses, as our error."""
    try:
        yield
    except OSError as error:
        dangles = isinstance(error, FileNotFoundError) and os.path.islink(path)
        why = "the link leads nowhere" if dangles else error.strerror or type(error).__name__
        raise BadInput(
            f"{path} cannot be read: {why}", next_step="Check what it is and its permissions."
        ) from error
    except ValueError as error:  # a name with a NUL
        raise BadInput(f"{str(path)!a} cannot be read: it is no name of a file") from error
