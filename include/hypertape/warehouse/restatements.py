"""The ledger of restatements: what loads suspect, what a comparison with the vendor said, what was read again.

A load notes its suspicion in its own transaction and ends a confirmed one in its own transaction, so that a kill at
any moment loses none and repeats none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.warehouse.claims import working
from hypertape.warehouse.connect import connect

Connection = psycopg.Connection[Any]

STATES = ("suspected", "confirmed", "local", "reread", "partial", "disputed", "answered")
"""Of an entry: open, a verdict; the last two are of a series that another source served for a while."""

KIND = "restatement"
"""Of the claims; a unit is the restatement's number."""

TRIES = 3
"""After so many answers in a row that reach no further, what they do not reach is given up."""

BETWEEN_TRIES = timedelta(hours=12)
"""Answers nearer to each other are one try: a vendor's bad hour must not use them up."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """An open restatement. Bars before `compared_from` (UTC) were not in the answer that raised the suspicion."""

    restatement_id: int
    ticker: str
    source: str
    state: str
    compared_from: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """An answer that did not reach far enough to settle an open restatement.

    `unread` counts the stored bars it should have held, if that is known; `load_id` and `begin` (UTC) are of what came.
    """

    restatement_id: int
    unread: int | None
    load_id: int | None
    begin: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """A series that another source served in the place of `source`, with bars from `since` (UTC) on."""

    restatement_id: int
    ticker: str
    source: str
    since: datetime


@contextmanager
def claimed(
    dsn: str, market: Market, interval: Interval, *, run_id: str, sources: Sequence[str]
) -> Iterator[tuple[list[Restatement], Callable[[Connection], None]]]:
    """Claim the open restatements of the tickers a run has loaded from one of `sources`, for the length of the block.

    Those another worker works on are left out. What is beside the list is to be called in each transaction that writes:
    it raises ClaimLost when one of them was given to another worker.
    """
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "run_id": run_id,
        "sources": list(sources),
    }

    def find(connection: Connection) -> dict[str, Restatement]:
        rows = connection.execute(query("open_restatements"), parameters).fetchall()
        return {str(found.restatement_id): found for found in (Restatement(*row) for row in rows)}

    with connect(dsn, autocommit=True) as connection:
        names = list(find(connection))
    if not names:
        yield [], lambda _: None
        return
    with working(dsn, KIND) as worker:
        with connect(dsn, autocommit=True) as connection:
            claims = worker.take(connection, KIND, names)
            found = find(connection)  # anew: another worker may have settled one before it was free
        try:
            entries = [found[claim.unit] for claim in claims if claim.unit in found]
            yield entries, partial(worker.require, claims=claims)
        finally:
            with connect(dsn, autocommit=True) as connection:
                worker.release(connection, claims)


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
    connection.execute(query("judge_restatement"), parameters)
    connection.commit()


def note_errors(connection: Connection, errors: Mapping[int, str]) -> None:
    """Keep why restatements could not be settled, by id; they stay open for the next run. Commits."""
    if errors:
        connection.execute(
            query("note_restatement_errors"), {"ids": list(errors), "errors": list(errors.values())}
        )
        connection.commit()


def note_unread(connection: Connection, answers: Sequence[Unread], *, run_id: str, now: datetime) -> None:
    """Keep how far answers reached. After TRIES that reached no further the entry ends as `partial`."""
    if not answers:
        return
    parameters = {
        "run_id": run_id,
        "now": now,
        "pause": BETWEEN_TRIES,
        "most": TRIES,
        "ids": [answer.restatement_id for answer in answers],
        "unreads": [answer.unread for answer in answers],
        "load_ids": [answer.load_id for answer in answers],
        "froms": [answer.begin for answer in answers],
        "errors": [answer.error for answer in answers],
    }
    connection.execute(query("note_unread"), parameters)


def keep_unread(connection: Connection, answers: Sequence[Unread], *, run_id: str, now: datetime) -> None:
    """The same in a transaction of its own; commits."""
    note_unread(connection, answers, run_id=run_id, now=now)
    connection.commit()


def states_of(connection: Connection, ids: Sequence[int]) -> list[str]:
    """The states of some restatements."""
    rows = connection.execute(query("restatement_states"), (list(ids),)).fetchall()
    connection.commit()
    return [state for (state,) in rows]


def disputes_of_run(
    connection: Connection, market: Market, interval: Interval, *, run_id: str, source: str
) -> list[Dispute]:
    """The open disputes of the series that `source` served in a run, itself again."""
    parameters = {"market": market.code, "interval": interval.value, "run_id": run_id, "source": source}
    return [Dispute(*row) for row in connection.execute(query("disputes_of_run"), parameters)]
