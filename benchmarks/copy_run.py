"""One copy in a process of its own, so that its memory is its own: `python -m benchmarks.copy_run`.

Arguments: the address of the source, that of the target, the DSN behind `warehouse`, the number of workers. Prints
JSON: bars read and inserted, and the peak resident set in MB of this process and of its largest worker.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import output_of

from hypertape.model import utc
from hypertape.settings import load_settings
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.copy import copy


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did and took: bars, seconds of the whole process, peak MB of all processes, each at its peak."""

    read: int
    inserted: int
    seconds: float
    peak_mb: float


def measured(source: str, target: str, dsn: str, workers: int = 1) -> Copied:
    """Copy in a new process. Raises CommandFailed when it fails."""
    command = [sys.executable, "-m", "benchmarks.copy_run", source, target, dsn, str(workers)]
    started = time.perf_counter()
    told = json.loads(output_of(command))
    seconds = time.perf_counter() - started
    peak = told["self"] + (workers - 1) * told["worker"]  # this process is one of them
    return Copied(told["read"], told["inserted"], seconds, peak)


def main(source: str, target: str, dsn: str, workers: int) -> None:
    """Copy, and print what it took."""
    settings, now = load_settings(), utc(2026)
    places = [Opening(address, settings, now, "benchmark", dsn) for address in (source, target)]
    report = copy(*places, Selection(), now=now, workers=workers)
    if report.failed:
        raise report.failed[0].error
    told = {
        "read": sum(entry.source.rows for entry in report.series),
        "inserted": report.written.inserted,
        "self": peak_mb(),
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(told))


def peak_mb() -> float:
    """Peak resident set of this process. ru_maxrss would count the benchmark that started it, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
