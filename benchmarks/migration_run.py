"""One migration in a process of its own, so that its memory is its own: `python -m benchmarks.migration_run`.

Arguments: the source's address, the DSN, the number of workers. Prints JSON: bars inserted, and the peak resident set
in MB of this process and of its largest worker.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from hypertape.model import utc
from hypertape.settings import load_settings
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.copying import copy


def main(address: str, dsn: str, workers: int) -> None:
    """Copy, and print what it took."""
    opening = {"settings": load_settings(), "now": utc(2026), "run_id": "benchmark"}
    source = Opening(address, **opening)
    target = Opening("warehouse", dsn=dsn, **opening)
    report = copy(source, target, Selection(), now=utc(2026), workers=workers)
    if report.failed:
        raise report.failed[0].error
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"rows": report.written.inserted, "self": peak_mb(), "worker": worker}))


def peak_mb() -> float:
    """Peak resident set of this process. ru_maxrss would count the benchmark that started it, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
