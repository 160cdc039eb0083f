"""What follows a worker's loads, in a thread of its own: meanwhile the worker loads on, and sees who has died.

Checking a round can take longer than the round, and all of the machine. So of a market and interval one tail is under
way at a time, of all workers, under a claim; what a worker loads until its own may begin waits, and is followed by one
tail together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypertape.errors import (
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    SchemaMissing,
    ServerReplaced,
)
from hypertape.model import Interval, Market
from hypertape.settings import Settings
from hypertape.steps.after_load import after_load
from hypertape.steps.landing import clear
from hypertape.steps.plan import span_of
from hypertape.steps.restate import resolve_restatements
from hypertape.steps.work_order import Round
from hypertape.stores.processes import beside
from hypertape.warehouse.claims import Claim, Worker
from hypertape.warehouse.connect import connect

SWEEP = timedelta(hours=1)
"""Between two sweeps of the landing area by one worker: it looks at every file there."""

AWAY = (DatabaseUnreachable, DatabaseBusy)
"""What a worker waits out."""

HOPELESS = (DatabaseRefused, SchemaMissing, DiskFull, ServerReplaced)
"""What ends it: no waiting mends them."""

KIND = "tail"
"""Of the claims; a unit is a market and an interval."""

AGAIN = "nothing: the next round asks for what failed"


@dataclass(slots=True)
class Tail:
    """The tails of a worker's rounds, one after the other. `check`: with the suite, watermarks and publishing."""

    dsn: str
    worker: Worker
    settings: Settings
    clock: Callable[[], datetime]
    check: bool
    at_hand: Round | None = None
    _claims: Sequence[Claim] = ()
    _end: Future[None] | None = None
    _swept: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """True when `go_on` has something to tell."""
        return self._end is not None and self._end.done()

    def take(self, market: Market, interval: Interval) -> bool:
        """Claim the next tail of a market and interval; False while another worker's is under way."""
        with connect(self.dsn, autocommit=True) as connection:
            self._claims = self.worker.take(connection, KIND, [f"{market.code}/{interval.value}"])
        return bool(self._claims)

    def go_on(self, *, to_the_end: bool = False) -> Round | None:
        """Begin the tail of the round at hand unless it is under way; the round when it has ended, else None.

        Raises what stopped the tail (the warehouse is away, say): the next call begins it again.
        """
        if self.at_hand is None:
            return None
        done = self.at_hand
        if self._end is None:
            self._end = beside(lambda: self._follow(done))
        if to_the_end:
            wait([self._end])
        if not self._end.done():
            return None
        end, self._end = self._end, None
        end.result()
        self.at_hand = None
        return done

    def _follow(self, done: Round) -> None:
        """Do what follows a load, over this worker's part of the round; then what landed of it may go."""
        assert done.spec is not None
        now = self.clock()
        spec = replace(done.spec, window=span_of(done.batches) or done.spec.window)
        sweeping = self._swept is None or now - self._swept >= SWEEP
        try:
            settled = resolve_restatements(self.dsn, spec, now=now, settings=self.settings)
            done.counts += settled.counts
            done.failures |= settled.failed
            done.error = after_load(
                self.dsn, spec, now=now, settings=self.settings, check=self.check, again=AGAIN, sweeping=sweeping
            ).error  # fmt: skip
            self._swept = now if sweeping else self._swept
        except (*AWAY, *HOPELESS):
            raise
        except HypertapeError as error:
            done.error = error
        clear(self.settings.landing, done.run_id)
        with connect(self.dsn, autocommit=True) as connection:
            self.worker.release(connection, self._claims)
