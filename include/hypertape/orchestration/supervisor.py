"""The process that runs Airflow's four components: `python -m hypertape.orchestration.supervisor HOME [PID]`.

It leads its own session. SIGTERM, the end of process PID, or a component that keeps dying ends every process in it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from hypertape.orchestration import processes

COMPONENTS = {
    "api-server": ("api-server",),
    # The API server reads the log files itself; the log servers would listen on every interface.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
GRACE_SECONDS = 10
_POLL_SECONDS = 0.5
_RESTARTS = 3
YOUNG_SECONDS = 30
"""A component that dies this soon after the start would die again."""
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Keeps the components running until it is told to stop."""

    def __init__(self, home: Path, stop_with: int | None) -> None:
        self._home = home
        self._owner = (stop_with, processes.started_at(stop_with) or 0.0) if stop_with else None
        self._stopping = False
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths = dict.fromkeys(COMPONENTS, 0)
        self._began = time.monotonic()

    def run(self) -> int:
        """Run the components; return 0 when told to stop, 1 when a component kept dying."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            for name in COMPONENTS:
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
                [sys.executable, "-m", "airflow", *COMPONENTS[name]],
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
    home, *owner = sys.argv[1:]
    sys.exit(Supervisor(Path(home), int(owner[0]) if owner else None).run())
