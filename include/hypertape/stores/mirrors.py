"""The register of mirrors: stores that receive what every load changes.

A mirror's directory carries a mark with the mirror's key, written when the mirror is added. Nothing is delivered where
the mark is not found: an unmounted disk leaves an empty directory behind, and a mirror begun anew there would look
complete and serve truncated history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BadInput, StoreAway
from hypertape.model import STORED_INTERVALS, Interval
from hypertape.queries import query
from hypertape.stores import Selection

Connection = psycopg.Connection[Any]

FORMS = ("csv:DIR", "sqlite:DIR_OR_FILE")
"""The addresses a mirror may have."""

_FILE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror and how far it is behind. Empty `markets` or `intervals` mean all; times are UTC.

    `waiting` counts the series it has not received, `behind_since` is the oldest of their changes.
    """

    name: str
    address: str
    key: str
    markets: tuple[str, ...]
    intervals: tuple[Interval, ...]
    enabled: bool
    delivered_at: datetime | None
    failing_since: datetime | None
    last_error: str | None
    waiting: int
    behind_since: datetime | None

    @property
    def selection(self) -> Selection:
        """The part of the warehouse it receives."""
        return Selection(markets=self.markets, intervals=self.intervals)

    @property
    def mark(self) -> Path:
        """The file that tells the mirror's directory from an empty mount point."""
        return home(self.address) / f".hypertape-mirror-{self.name}"


def mirrors(connection: Connection) -> list[Mirror]:
    """Return every mirror, sorted by name."""
    rows = connection.execute(query("mirrors")).fetchall()
    return [
        Mirror(name, address, str(key), tuple(markets), tuple(map(Interval.parse, intervals)), *others)
        for name, address, key, markets, intervals, *others in rows
    ]


def find_mirror(connection: Connection, name: str) -> Mirror:
    """Return the mirror of that name. Raises BadInput with the names there are."""
    known = {mirror.name: mirror for mirror in mirrors(connection)}
    if name not in known:
        raise BadInput(
            f"There is no mirror {name!r}",
            next_step=f"Mirrors: {', '.join(known)}." if known else "Add one with `hypertape mirror add`.",
        )
    return known[name]


def add_mirror(
    connection: Connection,
    name: str,
    address: str,
    *,
    markets: Sequence[str] = (),
    intervals: Iterable[Interval] = (),
) -> Mirror:
    """Register a mirror, mark its directory, and note every stored series for it; deliver afterwards.

    Waits for the loads under way, so that nothing falls between the initial copy and the first noted load. Raises
    BadInput when the address is no mirror's, or the name or the address is taken.
    """
    address, intervals = _absolute(address), tuple(intervals)
    if derived := [interval.value for interval in intervals if not interval.is_stored]:
        raise BadInput(
            f"No load writes {', '.join(derived)}, so a mirror would never receive it",
            next_step=f"Intervals: {', '.join(interval.value for interval in STORED_INTERVALS)}.",
        )
    with connection.transaction():
        connection.execute(query("mirror_lock_outbox"))
        values = (name, address, list(markets), [interval.value for interval in intervals])
        try:
            added = connection.execute(query("mirror_add"), values).fetchone()
        except psycopg.errors.CheckViolation as error:
            raise BadInput(
                f"{name!r} cannot name a mirror", next_step="Use a-z, 0-9, - and _, a letter or digit first."
            ) from error
        if added is None:
            raise BadInput(
                f"There is a mirror named {name!r} or at {address} already",
                next_step="See `hypertape mirror list`.",
            )
        connection.execute(query("mirror_seed"), (name,))
        mirror = find_mirror(connection, name)
        _write_mark(mirror)
    return mirror


def note_everything(connection: Connection, mirror: Mirror) -> None:
    """Note every stored series for the mirror again, as when it was added: it was lost, or put back from a backup."""
    with connection.transaction():
        connection.execute(query("mirror_lock_outbox"))
        connection.execute(query("mirror_seed"), (mirror.name,))
        _write_mark(mirror)


def enable_mirror(connection: Connection, mirror: Mirror, enabled: bool) -> None:
    """Deliver to the mirror or stop delivering; what loads change meanwhile is noted either way."""
    with connection.transaction():
        connection.execute(query("mirror_enable"), (enabled, mirror.name))


def remove_mirror(connection: Connection, mirror: Mirror) -> None:
    """Forget the mirror and what it waits for. Its files stay; its mark goes where it can be reached."""
    with connection.transaction():
        connection.execute(query("mirror_lock_outbox"))
        connection.execute(query("mirror_remove"), (mirror.name, mirror.name))
    if _marked(mirror):
        mirror.mark.unlink()


def require_present(mirror: Mirror) -> None:
    """Raise StoreAway unless the mirror's directory is there and is this mirror's."""
    if not _marked(mirror):
        raise StoreAway(
            f"{mirror.address} is not there: {mirror.mark} is missing or another mirror's",
            next_step="Mount it, and what it missed is delivered; if it is lost for good, run "
            "`hypertape mirror deliver --whole`.",
        )


def home(address: str) -> Path:
    """The directory of a mirror's address: the one named, or the one its SQLite file lies in."""
    kind, _, place = address.partition(":")
    path = Path(place)
    return path.parent if kind == "sqlite" and path.suffix in _FILE_SUFFIXES else path


def _absolute(address: str) -> str:
    kind, _, place = address.partition(":")
    if kind not in ("csv", "sqlite") or not place:
        raise BadInput(f"{address!r} cannot be a mirror", next_step=f"Mirrors: {' or '.join(FORMS)}.")
    address = f"{kind}:{Path(place).expanduser().absolute()}"
    if home(address).is_file():
        raise BadInput(
            f"{home(address)} is a file",
            next_step=f"Name a directory, or a file ending in {', '.join(_FILE_SUFFIXES)}.",
        )
    return address


def _write_mark(mirror: Mirror) -> None:
    try:
        mirror.mark.parent.mkdir(parents=True, exist_ok=True)
        mirror.mark.write_text(f"{mirror.key}\n", encoding="utf-8")
    except OSError as error:
        raise StoreAway(
            f"{mirror.mark.parent} cannot be written: {error.strerror}",
            next_step="Mount it, or correct its permissions.",
        ) from error


def _marked(mirror: Mirror) -> bool:
    try:
        return mirror.mark.read_text(encoding="utf-8").strip() == mirror.key
    except OSError:
        return False
