"""A migration in a process of its own, for the test that kills it: `migration_job.py DSN STATE FILE RUN WORKERS ROWS`.

Blocks of a few bars make many moments to be killed at; larger ones write several series together.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.migration.copy import copy, copy_together
from hypertape.steps.migration.run import Part, inspect, plan

if __name__ == "__main__":
    dsn, state, file, run_id, workers, rows = sys.argv[1:]
    settings = Settings(state_dir=Path(state), database_url=dsn)
    print("begun", flush=True)
    planned = plan(dsn, inspect([file]), run_id=run_id, now=utc(2026, 1, 1), settings=settings)
    print("planned", flush=True)
    if workers == "1":
        copy(dsn, Part(planned.migration_id), settings=settings, rows=int(rows))
    else:
        copy_together(
            dsn,
            Part(planned.migration_id),
            units=planned.open_units,
            workers=int(workers),
            settings=settings,
            rows=int(rows),
        )
    print("copied", flush=True)
