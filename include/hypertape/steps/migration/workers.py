"""Several processes that copy one migration together: each takes whatever unit no other one holds."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from hypertape.errors import BatchIncomplete, BatchRefused, HypertapeError
from hypertape.settings import Settings
from hypertape.steps.migration.copy import copy
from hypertape.steps.migration.files import Counted, silent
from hypertape.stores import BATCH_ROWS
from hypertape.stores.copy import interrupts_held
from hypertape.warehouse import migrations
from hypertape.warehouse.connect import connect


def copy_together(
    dsn: str,
    reference: Mapping[str, Any],
    *,
    workers: int,
    settings: Settings,
    rows: int = BATCH_ROWS,
    on_unit: Counted = silent,
) -> None:
    """Copy everything that is open of a migration, with this process and up to `workers - 1` more.

    No more than there are open units. When this process is killed or interrupted the others end too; what they had
    committed stays and is not copied again. Units that fail are in the ledger, and nothing is raised for them: see
    `demand_all_copied`.
    """
    whole, total = {"migration_id": reference["migration_id"]}, reference["open_units"]
    spawn = multiprocessing.get_context("spawn")
    arguments = (dsn, whole, settings, rows)
    helpers = [spawn.Process(target=_help, args=arguments) for _ in range(1, min(workers, total))]
    with interrupts_held():
        for helper in helpers:
            helper.start()
    on_unit(0, total)
    done = count(1)
    try:
        with suppress(BatchRefused, BatchIncomplete):
            copy(dsn, whole, settings=settings, rows=rows, on_unit=lambda _: on_unit(next(done), total))
    except KeyboardInterrupt:
        for helper in helpers:
            helper.terminate()
        raise
    finally:
        for helper in helpers:
            helper.join()
    on_unit(total, total)


def demand_all_copied(dsn: str, migration_id: int, report: Path) -> None:
    """Raise BatchRefused or BatchIncomplete when the ledger knows units that are not done."""
    with connect(dsn, autocommit=True) as connection:
        left = migrations.units(connection, migration_id, states=("pending", "running", "failed"))
    failed = [row for row in left if row["state"] == "failed"]
    again = (
        f"Mend the cause and start the same migration again: only what is open is copied. Report: {report}"
    )
    if failed:
        lines = "; ".join(f"{row['unit']}: {row['error']}" for row in failed)
        raise BatchRefused(f"{len(failed)} units failed and the others are copied: {lines}", next_step=again)
    if left:
        raise BatchIncomplete(f"{len(left)} units were not copied", next_step=again)


def _help(dsn: str, reference: Mapping[str, Any], settings: Settings, rows: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(HypertapeError):
        copy(dsn, reference, settings=settings, rows=rows)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
