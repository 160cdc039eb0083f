"""Ending a session, whatever its members do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hypertape.orchestration import processes

STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
own_group = [sys.executable, "-c", "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"]
subprocess.Popen(own_group, process_group=0)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def session() -> Iterator[int]:
    """A session of two processes that ignore SIGTERM, the second in a group of its own, as Airflow's tasks are."""
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == "ready\n"
        yield leader.pid
        processes.kill_session(leader.pid)


def test_a_group_of_its_own_does_not_save_a_member(session: int) -> None:
    assert len(processes.session_members(session)) == 2
    assert len({os.getpgid(process.pid) for process in processes.session_members(session)}) == 2
    processes.end_session(session, grace_seconds=0.1)
    assert processes.session_members(session) == []


def test_members_outlive_their_leader_and_are_still_found(session: int) -> None:
    started = processes.started_at(session)
    assert started is not None
    psutil.Process(session).kill()
    psutil.Process(session).wait()
    assert not processes.is_running(session, started)
    assert processes.may_have_left_members(session, started)
    assert len(processes.session_members(session)) == 1


def test_only_what_works_in_the_directory_is_killed_when_asked(session: int, tmp_path: Path) -> None:
    processes.kill_session(session, working_in=tmp_path)
    assert len(processes.session_members(session)) == 2
    processes.kill_session(session, working_in=Path.cwd())
    assert processes.session_members(session) == []


def test_a_process_id_that_was_given_to_another_is_told_apart() -> None:
    mine = processes.started_at(os.getpid())
    assert mine is not None
    assert processes.is_running(os.getpid(), mine)
    assert not processes.is_running(os.getpid(), mine - 3600)
    assert not processes.may_have_left_members(os.getpid(), mine - 3600)


def test_nothing_of_before_the_last_boot_is_ours() -> None:
    assert not processes.may_have_left_members(2**22 + 1, psutil.boot_time() - 3600)


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert processes.started_at(child.pid) is None
    processes.terminate(child.pid)


def test_waiting_gives_up(session: int) -> None:
    assert not processes.wait_until_empty(session, 0.1)
