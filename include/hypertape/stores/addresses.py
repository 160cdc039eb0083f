"""From an address on the command line to an open store, and the directory behind it.

An address is a kind and, but for the warehouse, a place: `warehouse`, `csv:DIR`, `sqlite:DIR_OR_FILE`,
`stockula:FILE`, `parquet:URL`, `pin:NAME`. A kind is one module of this room that defines
`build(place, opening) -> Store`; it is imported when it is asked for.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from hypertape.errors import BadInput, DiskFull
from hypertape.settings import Settings
from hypertape.stores import Store

FORMS = ("warehouse", "csv:DIR", "sqlite:DIR_OR_FILE", "stockula:FILE", "parquet:URL", "pin:NAME")
"""What an address looks like."""

_KINDS = tuple(form.partition(":")[0] for form in FORMS)
_ONLY_READ = ("stockula", "pin")


class CsvFormat(StrEnum):
    """What the numbers of a written file look like."""

    LOSSLESS = "lossless"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """`lossless` writes every double so that it reads back the same; `legacy` rounds as the documents' program did.

    With `legacy_scale` the files' prices are in the market's legacy unit (thousands for vn, indices excepted) and are
    multiplied when read, divided when written. `market` names the market of a tree without market directories. With
    `replace` a write leaves no bar of an existing file that it does not bring itself.
    """

    format: CsvFormat = CsvFormat.LOSSLESS
    legacy_scale: bool = False
    market: str | None = None
    replace: bool = False


@dataclass(frozen=True)
class Opening:
    """All that opens a store, also in another process: it can be pickled.

    `now` (UTC) and `run_id` are those of the command; `source` is what the warehouse notes on each load. `dsn` names
    the warehouse where it is not the one of the settings. With `accept_scale` the warehouse takes prices that are ×1000
    or ÷100 of the stored ones: these are in a wrong unit.
    """

    address: str
    settings: Settings
    now: datetime
    run_id: str
    dsn: str | None = None
    source: str = "copy"
    csv: CsvOptions = field(default_factory=CsvOptions)
    accept_scale: bool = False

    def open(self) -> Store:
        """Open the store. Raises BadInput for an address that names none, and what the store's kind raises."""
        kind, place = parse_address(self.address)
        store: Store = importlib.import_module(f"hypertape.stores.{kind}").build(place, self)
        return store


def open_store(
    address: str,
    *,
    settings: Settings,
    now: datetime,
    run_id: str,
    dsn: str | None = None,
    source: str = "copy",
    csv: CsvOptions | None = None,
) -> Store:
    """Open the store at an address; see Opening for the arguments and what is raised."""
    return Opening(address, settings, now, run_id, dsn, source, csv or CsvOptions()).open()


def in_full(address: str) -> str:
    """The address with an absolute path, so that two of them can be compared. Raises BadInput as parse_address does."""
    kind, place = parse_address(address)
    if kind == "pin" or "://" in place:
        return address
    return f"{kind}:{Path(place).resolve()}" if place else kind


def require_no_reader(address: str) -> None:
    """Raise BadInput for an address whose kind is only read."""
    kind, place = parse_address(address)
    if kind in _ONLY_READ:
        raise BadInput(
            f"{place} is only read", next_step="Copy to warehouse, csv:DIR, sqlite:DIR or parquet:URL."
        )


def parse_address(address: str) -> tuple[str, str]:
    """Split an address into its kind and its place (empty for the warehouse); a leading `~` is the user's home.

    Raises BadInput with the valid forms.
    """
    kind, colon, place = address.partition(":")
    if kind not in _KINDS or (kind == "warehouse") == bool(colon) or (colon and not place):
        raise BadInput(f"{address!r} names no store", next_step=f"Stores: {', '.join(FORMS)}.")
    return kind, os.path.expanduser(place)  # the shell does not do it behind a colon


def require_directory(path: Path) -> None:
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
