"""The embedded server's programs at work: making the cluster, starting the server, knowing and stopping it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypertape.errors import DiskFull, HypertapeError, ServerFailed
from hypertape.warehouse.embedded.account import Account
from hypertape.warehouse.embedded.binaries import Binaries
from hypertape.warehouse.embedded.state import HOST, ROLE, Home, write_private

STARTUP_SECONDS = 300
"""How long a start may take: a crash recovery replays up to max_wal_size of log."""
FAST_STOP_SECONDS = 60
"""How long the last checkpoint may take: it writes 256 MB of shared buffers at most."""
IMMEDIATE_STOP_SECONDS = 60
ATTEMPTS = 60
"""Starts tried while ports are taken under our hands, or (a second apart) a killed server's sessions still work."""
_LOG_BYTES = 10_000_000
_ROOM_BYTES = 4_000_000

CONFIGURATION = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "max_locks_per_transaction": "256",  # one lock per chunk of a hypertable
    "jit": "off",  # compiling costs more than our statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "fsync": "on",
}
"""Defaults for a small machine; `alter system` overrides them."""


@dataclass(frozen=True)
class Postmaster:
    """A running server: its main process and the port it listens at."""

    pid: int
    port: int


def make_cluster(home: Home, account: Account, binaries: Binaries, *, durable: bool) -> None:
    """Make the data directory in one step: an interrupted `initdb` leaves nothing that looks like one."""
    draft = home.path / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    account.own(draft, 0o700)
    password = home.path / "password.initdb"
    password.unlink(missing_ok=True)
    write_private(password, home.password())
    account.own(password, 0o600)
    try:
        answer = account.run([*_initdb(binaries, draft, password), *([] if durable else ["--no-sync"])])
    finally:
        password.unlink()
    if answer.returncode != 0:
        raise failure(home, f"The database cannot be made in {home.path}", answer.stdout)
    with open(draft / "postgresql.conf", "a", encoding="utf-8") as configuration:
        configuration.write("include 'hypertape.conf'\n")
    draft.rename(home.data)


def start(home: Home, account: Account, binaries: Binaries, settings: Mapping[str, str], port: int) -> int:
    """Start the server on 127.0.0.1 and return its port: `port` if it is free (0: any), else another one.

    Raises ServerFailed with the end of its log, or DiskFull.
    """
    _configure(home, account, settings)
    for _ in range(ATTEMPTS):
        port = free_port(port)
        logged = _open_log(home, account)
        answer = account.run(_pg_ctl_start(home, binaries, port), directory=home.data)
        if answer.returncode == 0:
            return port
        said = _log_since(home, logged)
        if "Address already in use" in said:
            port = 0
        elif "pre-existing shared memory block" in said:
            time.sleep(1)  # a killed server's sessions still work
        else:
            raise failure(home, "PostgreSQL does not start", said or answer.stdout)
    raise failure(home, f"PostgreSQL does not start after {ATTEMPTS} attempts", said)


def postmaster(home: Home) -> Postmaster | None:
    """Return the running server, or None: a stale file or a process id reused by a stranger does not count."""
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
        found = Postmaster(pid=int(lines[0]), port=int(lines[3]))
    except (FileNotFoundError, ValueError, IndexError):
        return None
    return found if str(home.data) in _command_line(found.pid) else None


def forget_stale_pid(home: Home) -> None:
    """Remove the file a killed server left: PostgreSQL would refuse to start when its process id is in use."""
    if postmaster(home) is None:
        (home.data / "postmaster.pid").unlink(missing_ok=True)


def stop(home: Home, pid: int) -> None:
    """Stop the server: connections are ended, what was committed is safe. Raises ServerFailed when it stays.

    PostgreSQL 18 asked for a "fast" shutdown while it recovers from a crash (of a full disk, say) waits for ever. One
    that does not end in time gets the "immediate" one, which leaves the rest of the recovery to the next start.
    """
    for request, seconds in ((signal.SIGINT, FAST_STOP_SECONDS), (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS)):
        with suppress(ProcessLookupError):
            os.kill(pid, request)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if str(home.data) not in _command_line(pid):
                return
            time.sleep(0.05)
    waited = FAST_STOP_SECONDS + IMMEDIATE_STOP_SECONDS
    raise ServerFailed(
        f"PostgreSQL (process {pid}) did not stop within {waited} s", next_step=f"See {home.log}."
    )


def free_port(preferred: int) -> int:
    """Return `preferred` when nothing listens there, else a port that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ServerFailed("No TCP port is free on 127.0.0.1", next_step="End programs that hold ports.")


def failure(home: Home, what: str, said: str) -> HypertapeError:
    """Build the error for a program that failed, from what it printed."""
    full = any(words in said for words in ("No space left on device", "Disk quota exceeded"))
    if full or shutil.disk_usage(home.path).free < _ROOM_BYTES:
        return DiskFull(f"{what}: there is no room left for {home.path}")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "rror:", "HINT"))]
    return ServerFailed(f"{what}: {' | '.join((telling or lines)[-5:])}", next_step=f"See {home.log}.")


def _initdb(binaries: Binaries, data: Path, password: Path) -> list[str | Path]:
    # The C locale sorts the same on every machine; from 17 on PostgreSQL brings its own C.UTF-8.
    locale = ["--locale=C"]
    if binaries.major >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # The rounds of hashing stay at PostgreSQL's 4096: JDBC's client and postgres-exporter's refuse fewer.
    login = ["-U", ROLE, "-A", "scram-sha-256", f"--pwfile={password}"]
    initdb = binaries.bindir / "initdb"
    return [initdb, "-D", data, *login, "-E", "UTF8", *locale, "--data-checksums", "--no-instructions"]


def _pg_ctl_start(home: Home, binaries: Binaries, port: int) -> list[str | Path]:
    # Given on the command line, so that nothing in the configuration can open the server to others.
    options = shlex.join(["-h", HOST, "-p", str(port), "-c", "unix_socket_directories="])
    where: list[str | Path] = ["-D", home.data, "-l", home.log]
    return [binaries.bindir / "pg_ctl", *where, "-w", "-t", str(STARTUP_SECONDS), "-o", options, "start"]


def _configure(home: Home, account: Account, settings: Mapping[str, str]) -> None:
    file = home.data / "hypertape.conf"
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    file.write_text("\n".join(["# written by hypertape at every start", *lines, ""]), encoding="utf-8")
    account.own(file, 0o600)


def _open_log(home: Home, account: Account) -> int:
    """Make the log writable by the account, keep it small, and return its length."""
    if home.log.exists() and home.log.stat().st_size > _LOG_BYTES:
        home.log.replace(home.log.with_name("log.1"))
    home.log.touch()
    account.own(home.log, 0o600)
    return home.log.stat().st_size


def _log_since(home: Home, length: int) -> str:
    with open(home.log, "rb") as log:
        log.seek(length)
        return log.read().decode("utf-8", errors="replace")


def _command_line(pid: int) -> str:
    """What a process was started with; empty when it is gone (or a zombie)."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-p", str(pid), "-o", "args="]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
