"""Where backups lie: a directory, or an object store (fsspec). Three files a backup, written in this order.

`NAME.dump` is the dump. `NAME.json` is its manifest: a backup without one is unfinished and is never taken for whole.
`NAME.verdict` says what the newest look at it found, so that it is known where the warehouse itself is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from hypertape.errors import BackupBroken, BadInput
from hypertape.storage import BACKUPS, open_file, storage_errors, store_of
from hypertape.warehouse.backup import Manifest

OnBytes = Callable[[int], None]

_BLOCK = 1 << 20
_NAME = re.compile(r"hypertape-(\d{8}T\d{6}Z)-[0-9a-f]{6}")
_TIME = "%Y%m%dT%H%M%SZ"
_SECRET = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the newest look found: whole or not and why; `verified_at`: when it was last restored and equal (UTC)."""

    whole: bool
    reason: str
    checked_at: datetime
    verified_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "whole": self.whole,
            "reason": self.reason,
            "checked_at": self.checked_at.isoformat(),
            "verified_at": self.verified_at.isoformat() if self.verified_at else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Verdict:
        """Read what `to_json` wrote."""
        verified = value["verified_at"]
        return cls(
            bool(value["whole"]),
            str(value["reason"]),
            datetime.fromisoformat(value["checked_at"]),
            datetime.fromisoformat(verified) if verified else None,
        )


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as its files say. `problem` is what can be seen without reading the dump; empty: nothing."""

    name: str
    made_at: datetime
    bytes: int
    manifest: Manifest | None
    verdict: Verdict | None
    problem: str = ""

    @property
    def state(self) -> str:
        """unfinished, broken, verified or unverified."""
        if self.problem:
            return "unfinished" if self.is_unfinished else "broken"
        if self.verdict is not None and not self.verdict.whole:
            return "broken"
        return "verified" if self.verdict is not None and self.verdict.verified_at else "unverified"

    @property
    def is_unfinished(self) -> bool:
        """Whether whoever made it is still at it, or was killed."""
        return self.problem == UNFINISHED


UNFINISHED = "there is no manifest: it is being made, or whoever made it was killed"


def new_name(now: datetime) -> str:
    """The name of a backup made at an instant."""
    return f"hypertape-{now.astimezone(UTC):{_TIME}}-{os.urandom(3).hex()}"


class BackupPlace:
    """A directory or an address of an object store with backups in it."""

    def __init__(self, url: str) -> None:
        self._files, self._path = store_of(url, BACKUPS)
        self.url = url if "://" in url else str(Path(url).absolute())
        self._is_local = "file" in _words(self._files.protocol)

    @property
    def shown(self) -> str:
        """Its address without credentials."""
        return _SECRET.sub("", self.url)

    def backups(self) -> list[Backup]:
        """Every backup there, newest first, unfinished and broken ones too."""
        with storage_errors(BACKUPS):
            self._files.invalidate_cache()
            try:
                listed = self._files.ls(self._path, detail=True)
            except FileNotFoundError:
                return []
        sizes = {each["name"].rstrip("/").rpartition("/")[2]: int(each.get("size") or 0) for each in listed}
        names = {match[0] for file in sizes if (match := _NAME.match(file.removeprefix(".")))}
        return [self._backup(name, sizes) for name in sorted(names, reverse=True)]

    def find(self, name: str | None) -> Backup:
        """The backup of that name, or the newest that is finished. Raises BadInput where there is none."""
        there = self.backups()
        if name is None:
            found = next((each for each in there if not each.is_unfinished), None)
        else:
            found = next((each for each in there if each.name == name.removesuffix(".dump")), None)
        if found is None:
            known = ", ".join(each.name for each in there[:5]) or "none"
            what = f"There is no backup {name}" if name else "There is no finished backup"
            raise BadInput(
                f"{what} in {self.shown}",
                next_step=f"There are: {known}. Make one with `hypertape backup create`.",
            )
        return found

    def write_dump(self, name: str, stream: IO[bytes], on_bytes: OnBytes) -> tuple[int, str]:
        """Write a dump as it comes; return its bytes and sha256."""
        digest, size = hashlib.sha256(), 0
        with storage_errors(BACKUPS), self._opened(f"{name}.dump") as file:
            while block := stream.read(_BLOCK):
                file.write(block)
                digest.update(block)
                size += len(block)
                on_bytes(size)
        return size, digest.hexdigest()

    def write_manifest(self, manifest: Manifest) -> None:
        """Write what makes a dump a backup: it is the last file."""
        self._write(f"{manifest.name}.json", manifest.to_json())

    def write_verdict(self, name: str, verdict: Verdict) -> None:
        """Write what a look at a backup found."""
        self._write(f"{name}.verdict", verdict.to_json())

    @contextmanager
    def dump_file(self, manifest: Manifest, on_bytes: OnBytes) -> Iterator[Path]:
        """A backup's dump as a local file that is what its manifest says. Raises BackupBroken where it is not."""
        if self._is_local:
            path = Path(self._path, f"{manifest.name}.dump")
            self._check(manifest, on_bytes, None)
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="hypertape-backup-") as directory:
            path = Path(directory, "dump")
            with open(path, "wb") as copy:
                self._check(manifest, on_bytes, copy)
            yield path

    def check_file(self, manifest: Manifest, on_bytes: OnBytes) -> None:
        """Read a dump to its end. Raises BackupBroken where it is not what its manifest says."""
        self._check(manifest, on_bytes, None)

    def remove(self, name: str) -> None:
        """Remove a backup: its manifest first, so that what is left of it is never taken for whole."""
        with storage_errors(BACKUPS):
            for suffix in ("json", "verdict", "dump"):
                for file in (f"{name}.{suffix}", _draft_of(f"{name}.{suffix}")):
                    with suppress(FileNotFoundError):
                        self._files.rm_file(f"{self._path}/{file}")

    def _check(self, manifest: Manifest, on_bytes: OnBytes, copy: IO[bytes] | None) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            with storage_errors(BACKUPS), open_file(self._url(f"{manifest.name}.dump")) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
                    on_bytes(size)
                    if copy is not None:
                        copy.write(block)
        except FileNotFoundError as error:
            raise BackupBroken(f"The dump of {manifest.name} is gone") from error
        if size != manifest.bytes:
            raise BackupBroken(f"The dump of {manifest.name} has {size:,} bytes, not {manifest.bytes:,}")
        if digest.hexdigest() != manifest.sha256:
            raise BackupBroken(f"The dump of {manifest.name} was changed: its sha256 is another one")

    def _backup(self, name: str, sizes: dict[str, int]) -> Backup:
        made_at = datetime.strptime(_NAME.fullmatch(name)[1], _TIME).replace(tzinfo=UTC)  # type: ignore[index]
        size = sizes.get(f"{name}.dump", sizes.get(_draft_of(f"{name}.dump"), 0))
        verdict = self._read(f"{name}.verdict", Verdict.from_json) if f"{name}.verdict" in sizes else None
        if f"{name}.json" not in sizes:
            return Backup(name, made_at, size, None, None, UNFINISHED)
        manifest = self._read(f"{name}.json", Manifest.from_json)
        if manifest is None or manifest.name != name:
            return Backup(name, made_at, size, None, verdict, "its manifest cannot be read")
        problem = (
            "its dump is gone"
            if f"{name}.dump" not in sizes
            else f"its dump has {size:,} bytes, not {manifest.bytes:,}"
            if size != manifest.bytes
            else ""
        )
        return Backup(name, manifest.made_at, size, manifest, verdict, problem)

    def _read(self, file: str, build: Callable[[Any], Any]) -> Any:
        try:
            with storage_errors(BACKUPS), open_file(self._url(file)) as stream:
                return build(json.loads(stream.read()))
        except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
            return None

    def _write(self, file: str, value: dict[str, Any]) -> None:
        with storage_errors(BACKUPS), self._opened(file) as stream:
            stream.write(json.dumps(value, indent=1, sort_keys=True).encode())

    @contextmanager
    def _opened(self, file: str) -> Iterator[IO[bytes]]:
        """A new file; in a directory it is its owner's alone, on the disk, and under another name until complete."""
        if not self._is_local:
            with open_file(self._url(file), "wb") as stream:
                yield stream
            return
        path = Path(self._path, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(_draft_of(file))
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)

    def _url(self, file: str) -> str:
        return f"{self.url.rstrip('/')}/{file}"


def _draft_of(file: str) -> str:
    """What a file of a directory is called until it is complete."""
    return f".{file}.part"


def _words(protocol: Any) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
