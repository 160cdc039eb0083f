"""A worker: takes the due series of a market in rounds, loads them, and ends its round as any run ends.

Rounds begin at the same instants of the database's clock for everybody (`every` while the market trades, `idle_every`
otherwise), so that any number of workers share one list of series: what one of them has ended in a round, none asks for
again in it. A worker takes a few series at a time by claims, those first that a dead worker held and then those that
wait longest, loads them as any run does (`plan`, `run_batch`), and when nothing is left to take hands its part of the
round to its tail (`tail`), which does what follows any load. Meanwhile and until the next round it looks once a beat
for series whose worker has died.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from hypertape.calendars import is_open
from hypertape.errors import ClaimLost, HypertapeError
from hypertape.model import Interval, Window, midnight
from hypertape.settings import Settings
from hypertape.steps.failures import Failure, Failures
from hypertape.steps.plan import plan
from hypertape.steps.run_batch import run_batch
from hypertape.steps.run_spec import Batch, BatchKind, Plan, RunSpec, run_name
from hypertape.steps.tail import AWAY, HOPELESS, Tail
from hypertape.steps.work_order import Round, WorkOrder, round_begin
from hypertape.warehouse import progress
from hypertape.warehouse.claims import BEATS_PER_LEASE, Claim, Worker, reap, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.progress import SERIES, unit_of

KIND = "worker"
"""Of worker in `worker_heartbeat`."""

_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries to reach a warehouse that is away."""

Claims = dict[str, Claim]
"""Series that are ours for now, by ticker."""

_LEAST = 0.05
"""Seconds that a worker rests at least before it looks again, or whether its tail has ended."""


def work(
    dsn: str,
    order: WorkOrder,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    stop: threading.Event,
    once: bool = False,
    on_round: Callable[[Round], None] = lambda _: None,
    on_trouble: Callable[[HypertapeError], None] = lambda _: None,
) -> None:
    """Work until `stop` is set: the batch at hand is finished then, and its tail, and what was not begun is given back.

    `clock` tells the instant (UTC) that windows end at and the market's hours are judged by. `once` ends after one pass
    over the intervals. A warehouse that is away is waited for and told of by `on_trouble`, unless `once`. Raises what
    no waiting mends: a refused login, a missing schema, a full disk.
    """
    lease = timedelta(seconds=settings.worker_lease)
    told = {"market": order.market.code, "intervals": [interval.value for interval in order.intervals]}
    away = 0
    with working(dsn, KIND, lease=lease, metadata=told) as worker:
        shift = _Shift(
            dsn, order, settings, clock, stop, worker, Tail(dsn, worker, settings, clock, order.check)
        )
        while True:
            try:
                for done in shift.work(to_the_end=once):
                    on_round(done)
                away = 0
            except AWAY as error:
                if once:
                    raise
                on_trouble(error)
                stop.wait(_PAUSES[min(away, len(_PAUSES) - 1)])
                away += 1
            if once or stop.is_set():
                return
            if not away:
                shift.rest()


@dataclass(slots=True)
class _Shift:
    """The worker at its work. `wake`: when something may be due again, by this process's monotonic clock.

    `begun`: when the rounds began of which series are left to take; one that a lost connection interrupts goes on.
    `rounds`: what was loaded and waits for its tail.
    """

    dsn: str
    order: WorkOrder
    settings: Settings
    clock: Callable[[], datetime]
    stop: threading.Event
    worker: Worker
    tail: Tail
    wake: float = math.inf
    begun: dict[Interval, datetime] = field(default_factory=dict)
    rounds: dict[Interval, Round] = field(default_factory=dict)

    def work(self, *, to_the_end: bool) -> Iterator[Round]:
        """Load what is due of each interval; the rounds whose tails have ended, all of them at the worker's end."""
        self.wake = math.inf
        for interval in self.order.intervals:
            if not self.stop.is_set():
                self._load_due(interval)
            yield from self._follow(to_the_end=False)
        if to_the_end or self.stop.is_set():
            self.begun.clear()
            yield from self._follow(to_the_end=True)

    def rest(self) -> None:
        """Wait until something may be due, or the tail has ended, or the worker is told to stop."""
        until = max(self.wake, time.monotonic() + _LEAST)
        while (left := until - time.monotonic()) > 0 and not self.tail.has_ended:
            if self.stop.wait(min(left, _LEAST) if self.tail.at_hand else left):
                return

    def _load_due(self, interval: Interval) -> None:
        """Take and load series until none is left that is due."""
        with connect(self.dsn) as connection:
            tickers = self.order.present_series(connection, interval, self.settings)
        while not self.stop.is_set():
            taken = self._take(interval, tickers)
            if not taken:
                break
            self._load(self.rounds[interval], taken)
        self.begun.pop(interval, None)

    def _follow(self, *, to_the_end: bool) -> Iterator[Round]:
        """The rounds that have ended; where no tail of ours is under way, that of the next one begins.

        While another worker's is, of the same interval, more may be loaded; at the end it is waited for.
        """
        while True:
            if self.tail.at_hand is None:
                loaded = [interval for interval in self.rounds if interval not in self.begun]
                for interval in [each for each in loaded if not self.rounds[each].batches]:
                    yield self.rounds.pop(interval)
                free = (
                    each for each in loaded if each in self.rounds and self.tail.take(self.order.market, each)
                )
                if (chosen := next(free, None)) is not None:
                    self.tail.at_hand = self.rounds.pop(chosen)
                elif to_the_end and any(each in self.rounds for each in loaded):
                    time.sleep(_LEAST)
                    continue
            if (ended := self.tail.go_on(to_the_end=to_the_end)) is None:
                return
            yield ended

    def _take(self, interval: Interval, tickers: Sequence[str]) -> Claims:
        """Take some series that are due in the round, or that a dead worker holds, and note that they begin.

        A round that is under way goes on, however late it is.
        """
        market = self.order.market
        with connect(self.dsn, autocommit=True) as connection:
            self.worker.drop(connection, SERIES)  # what a lost connection left: at this point nothing is ours
            now = database_now(connection)
            begun = self.begun.setdefault(interval, self._round_begin(now))
            fresh = now - timedelta(seconds=self.settings.worker_fresh)
            states = progress.series_due(connection, market, interval, tickers, since=begun, fresh=fresh)
            due = [ticker for ticker, state in states.items() if state in ("due", "running")]
            skipped = [ticker for ticker, state in states.items() if state == "fresh"]
            self._rest(now, bool(skipped))
            units = {unit_of(market, interval, ticker): ticker for ticker in due}
            with connection.transaction():
                claims = self.worker.take(
                    connection,
                    SERIES,
                    list(units),
                    most=self.settings.worker_tickers,
                    since=min(begun, fresh),
                )
                taken = {units[claim.unit]: claim for claim in claims}
                progress.begin(connection, self.worker.worker_id, market, interval, list(taken))
                self._skip(connection, interval, skipped)
            if not taken:  # not before: what it fails is not due again in the round
                reap(connection)
        if taken or skipped:
            found = self.rounds.setdefault(interval, self._new_round(interval, begun))
            found.skipped += [ticker for ticker in skipped if ticker not in found.skipped]
            found.reclaimed += [ticker for ticker in taken if states[ticker] == "running"]
        return taken

    def _skip(self, connection: progress.Connection, interval: Interval, skipped: Sequence[str]) -> None:
        known = self.rounds.get(interval)
        fresh = [ticker for ticker in skipped if known is None or ticker not in known.skipped + known.asked]
        progress.begin(connection, self.worker.worker_id, self.order.market, interval, fresh, skipped=True)

    def _new_round(self, interval: Interval, begun: datetime) -> Round:
        about = f"{self.order.market.code}_{interval.value}_{begun:%Y%m%dT%H%M%S}"
        run_id = run_name("worker", about, check=self.order.check)
        return Round(self.order.market, interval, run_id, begun)

    def _round_begin(self, now: datetime) -> datetime:
        """When the round of an instant of the database's clock began."""
        return round_begin(now, self._width())

    def _width(self) -> timedelta:
        trading = is_open(self.order.market, self.clock())
        return self.order.every if trading else self.order.idle_every

    def _rest(self, now: datetime, some_fresh: bool) -> None:
        """Note when to look again: at the next round, but once a beat for the series of the dead."""
        left = (self._round_begin(now) + self._width() - now).total_seconds()
        beat = self.worker.lease.total_seconds() / BEATS_PER_LEASE
        soon = min(left, beat, self.settings.worker_fresh if some_fresh else left)
        self.wake = min(self.wake, time.monotonic() + soon)

    def _load(self, done: Round, taken: Claims) -> None:
        now = self.clock()
        try:
            planned = self._plan(done, list(taken), now)
        except (*AWAY, *HOPELESS):
            raise
        except HypertapeError as error:
            self._end(done, taken, dict.fromkeys(taken, Failure.of(error)))
            return
        done.spec = _over(done.spec, planned.spec)
        up_to_date = taken.keys() - {ticker for batch in planned.batches for ticker in batch.tickers}
        self._end(done, {ticker: claim for ticker, claim in taken.items() if ticker in up_to_date}, {})
        for batch in planned.batches:
            numbered = replace(batch, kind=BatchKind.PLAN, index=len(done.batches))
            done.batches.append(numbered)
            self._load_batch(done, planned.spec, numbered, taken, now)

    def _plan(self, done: Round, tickers: Sequence[str], now: datetime) -> Plan:
        day = midnight(now.date())
        return plan(
            self.dsn, done.market.code, done.interval.value, run_id=done.run_id,
            data_interval=Window(min(day, now), now), exact=False, source=self.order.source, tickers=tickers,
            settings=self.settings, now=now,
        )  # fmt: skip

    def _load_batch(self, done: Round, spec: RunSpec, batch: Batch, taken: Claims, now: datetime) -> None:
        done.asked += batch.tickers
        mine = {ticker: taken[ticker] for ticker in batch.tickers}
        guard = partial(self.worker.require, claims=list(mine.values()))
        try:
            loaded = run_batch(self.dsn, spec, batch, settings=self.settings, now=now, guard=guard)
        except ClaimLost as error:  # nothing was written; what is still ours is due for the next
            done.lost += batch.tickers
            self._give_up(done, mine, str(error))
        except (*AWAY, *HOPELESS):
            raise
        except HypertapeError as error:
            self._end(done, mine, dict.fromkeys(batch.tickers, Failure.of(error)))
        else:
            done.counts += loaded.counts
            self._end(done, mine, loaded.failed)

    def _end(self, done: Round, mine: Claims, failed: Failures) -> None:
        """End claims that are still held, in `claim` and in `sync_progress` at once."""
        if not mine:
            return
        done.failures |= failed
        errors = {ticker: failure.message for ticker, failure in failed.items()}
        by_unit = {mine[ticker].unit: text for ticker, text in errors.items() if ticker in mine}
        with connect(self.dsn, autocommit=True) as connection, connection.transaction():
            ended = self.worker.end(connection, list(mine.values()), by_unit)
            held = [ticker for ticker, claim in mine.items() if claim.unit in ended]
            progress.end(connection, self.worker.worker_id, done.market, done.interval, held, errors)

    def _give_up(self, done: Round, mine: Claims, why: str) -> None:
        with connect(self.dsn, autocommit=True) as connection, connection.transaction():
            self.worker.release(connection, list(mine.values()))
            tickers = list(mine)
            errors = dict.fromkeys(tickers, why)
            progress.end(connection, self.worker.worker_id, done.market, done.interval, tickers, errors)


def _over(before: RunSpec | None, more: RunSpec) -> RunSpec:
    """The spec of a round over the windows of both."""
    if before is None:
        return more
    window = Window(min(before.window.start, more.window.start), max(before.window.end, more.window.end))
    return replace(before, window=window)
