"""The process that runs Airflow's components: `python -m hypertape.orchestration.supervisor HOME EXECUTOR [PID]`.

There are four, and with the executor `celery` a broker and two workers.

It leads its own session. SIGTERM, the end of process PID, or a component that keeps dying ends every process in it.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from hypertape.errors import AirflowFailed
from hypertape.orchestration import processes

COMPONENTS = {
    "api-server": ("api-server",),
    # The API server reads the log files itself; the log servers would listen on every interface.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_WORKER = ("celery", "worker", "--skip-serve-logs", "--concurrency", "2", "--celery-hostname")
CELERY_WORKERS = {name: (*_WORKER, f"{name}@localhost") for name in ("worker-1", "worker-2")}
"""Beside the others with the CeleryExecutor."""
BROKER = "broker"
GRACE_SECONDS = 10
_POLL_SECONDS = 0.5
_RESTARTS = 3
YOUNG_SECONDS = 30
"""A component that dies this soon after the start would die again."""
_LOG = logging.getLogger(__name__)


def components(executor: str, home: Path) -> dict[str, list[str]]:
    """The commands by name, in the order of their start. Raises AirflowFailed where there is no broker for `celery`."""
    of_airflow = COMPONENTS | (CELERY_WORKERS if executor == "celery" else {})
    commands = {name: [sys.executable, "-m", "airflow", *words] for name, words in of_airflow.items()}
    return {BROKER: broker_command(home), **commands} if executor == "celery" else commands


def broker_command(home: Path) -> list[str]:
    """Valkey or Redis on a socket in Airflow's home, which only its owner enters; it keeps nothing on the disk."""
    program = next(filter(None, map(shutil.which, ("valkey-server", "redis-server"))), None)
    if program is None:
        raise AirflowFailed(
            "There is no broker for the CeleryExecutor",
            next_step="Install Valkey or Redis (Debian: apt-get install redis-server; it need not run as a service).",
        )
    quiet = ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    return [
        program,
        "--port",
        "0",
        "--unixsocket",
        str(broker_socket(home)),
        "--unixsocketperm",
        "700",
        *quiet,
    ]


def broker_socket(home: Path) -> Path:
    """Where the broker listens."""
    return home / "broker.sock"


class Supervisor:
    """Keeps the components running until it is told to stop."""

    def __init__(self, home: Path, executor: str, stop_with: int | None) -> None:
        self._home = home
        self._commands = components(executor, home)
        self._owner = (stop_with, processes.started_at(stop_with) or 0.0) if stop_with else None
        self._stopping = False
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths = dict.fromkeys(self._commands, 0)
        self._began = time.monotonic()

    def run(self) -> int:
        """Run the components; return 0 when told to stop, 1 when a component kept dying."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            for name in self._commands:
                self._log(name).unlink(missing_ok=True)
                self._start(name)
            while not self._stopping and self._owner_lives():
                if not self._revive():
                    return 1
                time.sleep(_POLL_SECONDS)
            return 0
        finally:
            processes.end_session(os.getsid(0), grace_seconds=GRACE_SECONDS)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _owner_lives(self) -> bool:
        return self._owner is None or processes.is_running(*self._owner)

    def _revive(self) -> bool:
        """Start dead components again; False when one has died too often."""
        for name, child in self._children.items():
            if child.poll() is None:
                continue
            self._deaths[name] += 1
            _LOG.error("%s ended with exit code %s (%s times)", name, child.returncode, self._deaths[name])
            if self._deaths[name] > _RESTARTS or time.monotonic() - self._began < YOUNG_SECONDS:
                _LOG.error(
                    "It is not started again; everything stops. Its log ends:\n%s", tail(self._log(name))
                )
                return False
            self._start(name)
        return True

    def _start(self, name: str) -> None:
        with self._log(name).open("ab") as output:
            self._children[name] = subprocess.Popen(
                self._commands[name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._home,
            )

    def _log(self, name: str) -> Path:
        return self._home / f"{name}.log"


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, empty when there is none."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if os.getsid(0) != os.getpid():
        os.setsid()  # or it would end its caller's session
    home, executor, *owner = sys.argv[1:]
    sys.exit(Supervisor(Path(home), executor, int(owner[0]) if owner else None).run())
