"""The ledger of restatements: what loads suspect, what a comparison with the vendor said, what was read again.

A load notes its suspicion in its own transaction and ends a confirmed one in its own transaction, so that a kill at
any moment loses none and repeats none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.locks import try_lock_names

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Restatement:
    """An open restatement. Bars before `compared_from` (UTC) were not in the answer that raised the suspicion."""

    restatement_id: int
    ticker: str
    source: str
    state: str
    compared_from: datetime


@contextmanager
def held(
    holder: Connection, market: Market, interval: Interval, *, run_id: str, sources: Sequence[str]
) -> Iterator[list[Restatement]]:
    """Hold the open restatements of the tickers a run has loaded from one of `sources`, for the length of the block.

    Those another worker holds are left out. The hold is an advisory lock of a transaction of `holder`, so it ends with
    the worker, however that ends.
    """
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "run_id": run_id,
        "sources": list(sources),
    }

    def find() -> list[Restatement]:
        rows = holder.execute(query("open_restatements"), parameters).fetchall()
        return [Restatement(*row) for row in rows]

    with translate_errors(holder), holder.transaction():
        names = {f"restatement/{found.restatement_id}" for found in find()}
        locked = try_lock_names(holder, names) if names else set()
        # Found anew: another worker may have settled one before its lock was free.
        yield [entry for entry in find() if f"restatement/{entry.restatement_id}" in locked] if locked else []


def judge(
    connection: Connection,
    restatement: Restatement,
    state: str,
    *,
    checked: int,
    differing: int,
    run_id: str,
    now: datetime,
) -> None:
    """Keep the verdict on a suspicion: `confirmed`, `local`, or `reread` where there is nothing older; commits."""
    parameters = {
        "id": restatement.restatement_id,
        "state": state,
        "checked": checked,
        "differing": differing,
        "run_id": run_id,
        "now": now,
    }
    with translate_errors(connection):
        connection.execute(query("judge_restatement"), parameters)
        connection.commit()


def note_errors(connection: Connection, errors: Mapping[int, str]) -> None:
    """Keep why restatements could not be settled, by id; they stay open for the next run. Commits."""
    if errors:
        with translate_errors(connection):
            connection.execute(
                query("note_restatement_errors"), {"ids": list(errors), "errors": list(errors.values())}
            )
            connection.commit()
