"""PostgreSQL's own programs at work on a server: `pg_dump`, `pg_restore`, `pg_basebackup`, found and run.

A program must not be older than the server it works on. Passwords travel in the environment of the program alone,
never on its command line, and never into a message.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from psycopg import conninfo

from hypertape.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    ProgramFailed,
    ProgramMissing,
)
from hypertape.settings import inherited_environment
from hypertape.warehouse.dsn import normalise_dsn
from hypertape.warehouse.embedded.binaries import packaged_binaries, system_directories

OnLine = Callable[[str], None]

_KEPT_LINES = 20
_FULL = ("No space left on device", "Disk quota exceeded")
_AWAY = ("could not connect", "connection to server", "server closed the connection")
_BUSY = ("terminating connection", "deadlock detected", "could not open relation", "lock timeout")
"""What passes: a server that restarts, a chunk that was dropped between two statements of pg_dump."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a program connects to. `conninfo` (without the password) may be seen by everybody on the machine."""

    conninfo: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, dsn: str, *, database: str | None = None) -> Address:
        """The address of a DSN, of another database of the same server if one is named."""
        parts = dict(conninfo.conninfo_to_dict(normalise_dsn(dsn)))
        password = parts.pop("password", None)
        if database is not None:
            parts["dbname"] = database
        return cls(conninfo.make_conninfo("", **parts), str(password) if password else None)

    def environment(self) -> dict[str, str]:
        """The environment of a program that connects there: English messages, UTC, the password."""
        secret = {"PGPASSWORD": self.password} if self.password else {}
        return {**inherited_environment(), "LC_ALL": "C", "TZ": "UTC", **secret}


def find_program(name: str, server_version: int, bindir: Path | None = None) -> Path:
    """The program that fits a server: of the same major version, else the oldest that is newer.

    `server_version` is libpq's (180006); `bindir` is looked into first, then the packaged server, the system's, PATH.
    Raises ProgramMissing where there is none, or only older ones.
    """
    wanted = server_version // 10_000
    found = [(major, path) for path in _candidates(name, bindir) if (major := _major(path)) is not None]
    fit = sorted((major for major, _ in found if major >= wanted))
    if not fit:
        there = ", ".join(f"{major} in {path.parent}" for major, path in found) or "none"
        raise ProgramMissing(
            f"There is no {name} for PostgreSQL {wanted} here (found: {there})",
            next_step=f"Install it (Debian: apt-get install postgresql-client-{wanted}), or name its directory in "
            "HYPERTAPE_PG_BINDIR.",
        )
    return next(path for major, path in found if major == fit[0])


def run_program(
    command: Sequence[str | Path],
    address: Address | None = None,
    *,
    output: Callable[[IO[bytes]], None] | None = None,
    on_line: OnLine | None = None,
) -> None:
    """Run a program to its end. `output` reads what it writes to stdout, `on_line` is called with each line of stderr.

    Raises DiskFull, DatabaseUnreachable or ProgramFailed with what the program said last.
    """
    said: deque[str] = deque(maxlen=_KEPT_LINES)

    def listen(stream: IO[bytes]) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            said.append(line)
            if on_line is not None:
                on_line(line)

    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE if output else subprocess.DEVNULL, env=(address or Address("")).environment(),
    )  # fmt: skip
    assert process.stderr is not None
    listener = threading.Thread(target=listen, args=(process.stderr,), daemon=True)
    listener.start()
    try:
        if output is not None:
            assert process.stdout is not None
            output(process.stdout)
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        listener.join()
        for pipe in (process.stderr, process.stdout):
            if pipe is not None:
                pipe.close()
    if code != 0:
        raise failure(Path(str(command[0])).name, code, list(said))


def lines_of(command: Sequence[str | Path]) -> list[str]:
    """What a program that needs no server prints. Raises ProgramFailed."""
    answer = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, errors="replace",
        stdin=subprocess.DEVNULL, env=Address("").environment(),
    )  # fmt: skip
    if answer.returncode != 0:
        raise failure(Path(str(command[0])).name, answer.returncode, answer.stderr.splitlines())
    return answer.stdout.splitlines()


def failure(program: str, code: int, said: Sequence[str]) -> HypertapeError:
    """The error for a program that ended badly, from what it said."""
    lines = [line.strip() for line in said if line.strip()]
    telling = [line for line in lines if re.search(r"error:|FATAL|ERROR|DETAIL|HINT", line)] or lines
    text = " | ".join(telling[-4:]) or f"it ended with {code}"
    if any(words in text for words in _FULL):
        return DiskFull(f"{program}: {text}")
    if any(words in text for words in _BUSY):
        return DatabaseBusy(f"{program}: {text}")
    if any(words in text for words in _AWAY):
        return DatabaseUnreachable(f"{program}: {text}")
    return ProgramFailed(f"{program} failed: {text}")


def _candidates(name: str, bindir: Path | None) -> Iterator[Path]:
    places = [bindir] if bindir is not None else []
    places += [one.bindir for one in packaged_binaries()]
    places += sorted(system_directories(), reverse=True)
    on_path = shutil.which(name)
    for path in [*(place / name for place in places), *([Path(on_path)] if on_path else [])]:
        if path.is_file():
            yield path


def _major(program: Path) -> int | None:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, cwd="/")
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version else None
