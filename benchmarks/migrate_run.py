"""One `hypertape migrate sqlite` in a process of its own, whose memory is its own: `python -m benchmarks.migrate_run`.

Arguments: the file and the number of workers; the warehouse is HYPERTAPE_DATABASE_URL. Runs the command line itself and
prints JSON: the seconds of each phase, as the command prints them, and the peak resident set in MB of this process and
of its largest worker.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import output_of
from benchmarks.copy_run import peak_mb

from hypertape.cli import app

_PHASES = re.compile(r"^seconds: (.*?)(?: \(.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration took: seconds of the whole process and of each phase (verify and refresh run at the same time),
    peak MB of all processes, each at its peak."""

    seconds: float
    phases: dict[str, float]
    peak_mb: float


def measured(file: Path, dsn: str, workers: int = 1) -> Migrated:
    """Migrate in a new process. Raises CommandFailed when it fails."""
    command = [sys.executable, "-m", "benchmarks.migrate_run", str(file), str(workers)]
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as state:
        environment = {"HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_STATE_DIR": state}
        started = time.perf_counter()
        told = json.loads(output_of(command, environment))
        seconds = time.perf_counter() - started
    return Migrated(seconds, told["phases"], told["self"] + (workers - 1) * told["worker"])


def main(file: str, workers: str) -> None:
    """Migrate, and print what it took."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        app(["migrate", "sqlite", file, "--workers", workers], standalone_mode=False)
    found = _PHASES.search(said.getvalue())
    assert found is not None, said.getvalue()
    phases = dict(part.rsplit(" ", 1) for part in found[1].split(", "))
    told = {
        "phases": {name: float(seconds) for name, seconds in phases.items()},
        "self": peak_mb(),
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
