"""Load a backfill's units, each by one worker at a time.

`hypertape backfill` takes one after the other, a task of the DAG `backfill_bars` takes its own: whoever holds the claim
of a unit asks the vendor for it and loads it, everybody else with the same wish waits for what becomes of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from hypertape.errors import BatchIncomplete, HypertapeError
from hypertape.settings import Settings
from hypertape.steps.run_batch import run_batch
from hypertape.steps.run_spec import Batch, BatchResult, RunSpec, raise_if_failed
from hypertape.warehouse import backfills
from hypertape.warehouse.claims import Claim, Worker, look, working
from hypertape.warehouse.connect import connect

KIND = "backfill"
"""Of the claims; a unit is `<backfill_id>/<unit>`."""

POLL_SECONDS = 0.5
"""Between two looks at the units that others work on."""


@dataclass(frozen=True, slots=True)
class UnitLoader:
    """Who loads units of one backfill. What others have ended since `since` (by the database's clock) is theirs."""

    dsn: str
    spec: RunSpec
    backfill_id: int
    worker: Worker
    settings: Settings
    now: datetime
    since: datetime | None
    attempt: int = 1

    def in_turn(self, units: Sequence[Batch]) -> Iterator[tuple[Batch, Claim | None]]:
        """Each unit once: with our claim as soon as it is free, or with None when another has ended it."""
        waiting = {f"{self.backfill_id}/{unit.index}": unit for unit in units}
        while waiting:
            taken, ended = self._next(list(waiting))
            for name in ended:
                yield waiting.pop(name), None
            if taken is not None:
                yield waiting.pop(taken.unit), taken
            elif not ended:
                time.sleep(POLL_SECONDS)

    def _next(self, names: Sequence[str]) -> tuple[Claim | None, list[str]]:
        """Take one unit; and say which of them others have ended since."""
        with connect(self.dsn, autocommit=True) as connection:
            ended = [unit.unit for unit in look(connection, KIND, names) if unit.ended_since(self.since)]
            # `since` again: another may have ended one since the look.
            left = [name for name in names if name not in ended]
            taken = self.worker.take(connection, KIND, left, most=1, since=self.since)
        return (taken[0] if taken else None), ended

    def load(self, unit: Batch, claim: Claim) -> BatchResult | None:
        """Ask for what is open of a unit that we hold, load it, and note what became of it; None where nothing is open.

        Raises what the load raises.
        The one place where units are begun and ended.
        """
        with connect(self.dsn, autocommit=True) as ledger:
            if not (left := backfills.open_tickers(ledger, self.backfill_id, unit.index)):
                self.worker.end(ledger, [claim])
                return None
            backfills.unit_started(ledger, self.backfill_id, unit.index)
            try:
                done = run_batch(
                    self.dsn, self.spec, replace(unit, tickers=left), settings=self.settings, now=self.now,
                    attempt=self.attempt, guard=partial(self.worker.require, claims=[claim]),
                )  # fmt: skip
            except HypertapeError as error:
                if self.worker.end(ledger, [claim], {claim.unit: str(error)}):  # else it is another's by now
                    backfills.unit_failed(ledger, self.backfill_id, unit.index, str(error))
                raise
            failed = {ticker: failure.message for ticker, failure in done.failed.items()}
            backfills.unit_ended(ledger, self.backfill_id, unit.index, done.counts.to_json(), failed)
            why = {claim.unit: "; ".join(sorted(failed))} if failed else {}
            self.worker.end(ledger, [claim], why)
        return done


def load_unit(
    dsn: str,
    spec: RunSpec,
    backfill_id: int,
    unit: Batch,
    *,
    since: datetime,
    settings: Settings,
    now: datetime,
    worker: str,
    attempt: int = 1,
) -> BatchResult | None:
    """Load one unit as soon as nobody else works on it; None when another has loaded it since the plan (`since`).

    `worker` names who does it, uniquely. When tickers failed, everything else is stored and noted first; then
    BatchIncomplete or BatchRefused is raised. What another failed at is BatchIncomplete too: the next `attempt` asks.
    """
    with working(dsn, KIND, name=worker) as who:
        # A retry asks again for what failed at the first try, whoever tried.
        loader = UnitLoader(
            dsn, spec, backfill_id, who, settings, now, since if attempt == 1 else None, attempt
        )
        ((_, claim),) = loader.in_turn([unit])
        if claim is not None:
            done = loader.load(unit, claim)
            if done is not None:
                raise_if_failed(done.failed, spec, done.tickers)
            return done
    with connect(dsn) as connection:
        left = backfills.open_tickers(connection, backfill_id, unit.index)
    if left:
        raise BatchIncomplete(
            f"Another worker had the unit, and {len(left)} of its tickers failed: {', '.join(left)}",
            market=spec.market.code,
            interval=spec.interval.value,
            next_step="The next try asks for them again.",
        )
    return None
