"""Ending everything we started: a session's processes, whatever groups they made for themselves.

Airflow puts every task into a process group of its own, so ending the supervisor's group leaves tasks behind; they all
stay in its session.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

_CLOCK_SECONDS = 2.0
"""Start times are told from the boot time, which moves when the clock is set."""


def started_at(pid: int) -> float | None:
    """When a process was started (seconds since 1970), or None when there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def is_running(pid: int, started: float) -> bool:
    """True when the process that was started then still runs: a process id may have been given to another."""
    found = started_at(pid)
    return found is not None and abs(found - started) < _CLOCK_SECONDS


def may_have_left_members(session: int, started: float) -> bool:
    """False when a session that was led since `started` is surely over: its id leads another one, or a reboot came."""
    leader_is_another = started_at(session) is not None and not is_running(session, started)
    return not leader_is_another and started > psutil.boot_time() - _CLOCK_SECONDS


def session_members(session: int) -> list[psutil.Process]:
    """The living processes of a session, ourselves left out."""
    return [process for process in psutil.process_iter() if _belongs(process, session)]


def listens(session: int, host: str, port: int) -> bool:
    """True when a process of the session listens at the address, and so is who answers there."""
    return any((host, port) in _addresses(process) for process in session_members(session))


def terminate(pid: int) -> None:
    """Ask a process to end; one that is gone is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def end_session(session: int, *, grace_seconds: float) -> None:
    """Ask every process of a session to end, and kill those that do not in time."""
    for process in session_members(session):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    wait_until_empty(session, grace_seconds)
    kill_session(session)


def kill_session(session: int, working_in: Path | None = None) -> None:
    """Kill every process of a session, also those that are born meanwhile.

    With `working_in`, only those whose working directory that is: for a session whose leader is gone, so that its
    id alone does not prove that it is ours. (Airflow's process titles overwrite what tells a process's environment.)
    """
    while members := [each for each in session_members(session) if _works_in(each, working_in)]:
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=1)


def wait_until_empty(session: int, seconds: float) -> bool:
    """Wait for a session's processes to end; False when some still live."""
    deadline = time.monotonic() + seconds
    while session_members(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _belongs(process: psutil.Process, session: int) -> bool:
    if process.pid in (os.getpid(), 0):
        return False
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
        return False


def _addresses(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        found = process.net_connections(kind="tcp")
    except psutil.Error:
        return set()
    return {(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN}


def _works_in(process: psutil.Process, directory: Path | None) -> bool:
    if directory is None:
        return True
    try:
        return Path(process.cwd()) == directory.resolve()
    except psutil.Error:
        return False
