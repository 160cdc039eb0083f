"""`hypertape serve` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Served:
    """A running server: its address, its process, and what it has written to stderr so far."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def peak_mb(self) -> float:
        """The most memory the process ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def log_with(self, text: str, seconds: float = 20) -> str:
        """What it has written, once that holds a text or the seconds have passed: an answer comes before its line."""
        until = time.monotonic() + seconds
        while text not in (log := "".join(self.lines)) and time.monotonic() < until:
            time.sleep(0.02)
        return log

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)


@contextmanager
def serving(dsn: str, **environment: str) -> Iterator[Served]:
    """Run the server on a free port until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hypertape.cli", "serve", "--port", "0"],
        env={**os.environ, "HYPERTAPE_DATABASE_URL": dsn, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    served = Served("", process)
    ready = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            served.lines.append(line)
            found = re.search(r"running on (http://\S+)", line)
            if found:
                served.url = found[1]
                ready.set()
        ready.set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        assert ready.wait(60), "the server said nothing for a minute"
        assert served.url, "".join(served.lines)
        yield served
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
