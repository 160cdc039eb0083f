"""A scheduled run beside `hypertape worker`: of a series whoever comes first asks in a round, the other leaves it.

The task takes the same claims as a worker for as long as it asks. What a worker asks for at that moment is waited for,
without holding anything else meanwhile; what it or anybody has loaded from the run's sources in the round, over what
the run's window still lacks, is not asked for again and becomes `skipped`. What it failed at, loaded too little of, or
will not check, the run asks for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.calendars import is_open
from hypertape.errors import HypertapeError
from hypertape.frame import empty_frame, empty_rejects
from hypertape.model import Market
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.sources import Fetched
from hypertape.steps.failures import Failure
from hypertape.steps.fetch import joined
from hypertape.steps.run_spec import Batch, RunSpec
from hypertape.steps.work_order import round_begin
from hypertape.warehouse import progress
from hypertape.warehouse.claims import GIVEN_UP, Claim, Worker, reap, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.progress import SERIES, unit_of

_LOG = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]

KIND = "task"
"""Of a run's task in `worker_heartbeat`."""

_LOOK_SECONDS = 0.5
"""Between two looks whether a worker has ended what the run waits for."""

Ask = Callable[[Sequence[str]], Fetched]


def ask_shared(
    dsn: str,
    spec: RunSpec,
    batch: Batch,
    wanted: Sequence[str],
    *,
    settings: Settings,
    now: datetime,
    name: str,
    ask: Ask,
) -> tuple[Fetched, tuple[str, ...]]:
    """Ask for what nobody else asks for in the round; return the answers, and the tickers that a worker loaded.

    `name` is the task's, unique to its try. A worker that lives and ends nothing for two leases is waited for no
    longer.
    """
    lease = timedelta(seconds=settings.worker_lease)
    told = {"market": spec.market.code, "intervals": [spec.interval.value], "run": spec.run_id}
    answer, skipped = Fetched(empty_frame(), empty_rejects(), {}), list[str]()
    with working(dsn, KIND, lease=lease, metadata=told, name=name, trace=False) as worker:
        round_ = _Round(
            dsn,
            spec,
            batch,
            worker,
            _width(spec.market, settings, now),
            timedelta(seconds=settings.worker_fresh),
        )
        patience = GIVEN_UP * lease.total_seconds()
        left, until = list(wanted), time.monotonic() + patience
        while left:
            mine, others = round_.take(left)
            if time.monotonic() > until:
                mine = dict.fromkeys(set(left) - set(others)) | mine  # what was taken just now stays taken
            if mine:
                asked = ask([ticker for ticker in left if ticker in mine])
                with _answer_kept("How its series ended"):
                    round_.end(mine, asked)
                answer, until = joined(answer, asked), time.monotonic() + patience
            skipped += others
            left = [ticker for ticker in left if ticker not in mine and ticker not in others]
            if left and not mine:
                time.sleep(_LOOK_SECONDS)
        with _answer_kept("What it did"):
            round_.settle()
    return answer, tuple(skipped)


@contextmanager
def _answer_kept(what: str) -> Iterator[None]:
    """Go on where the warehouse is away for a note: the vendor's answer counts, and leases end by themselves."""
    try:
        yield
    except HypertapeError as error:
        _LOG.warning("%s was not noted: %s", what, error)


def _width(market: Market, settings: Settings, now: datetime) -> timedelta:
    """How long a worker's round is by the settings."""
    return timedelta(seconds=settings.worker_every if is_open(market, now) else settings.worker_idle_every)


@dataclass(slots=True)
class _Round:
    """The round that a task takes part in: the one in which it began. What counts was done since `since`."""

    dsn: str
    spec: RunSpec
    batch: Batch
    worker: Worker
    width: timedelta
    fresh: timedelta
    since: datetime | None = None

    def take(self, tickers: Sequence[str]) -> tuple[dict[str, Claim | None], list[str]]:
        """Claim what nobody works on and nobody has done in the round; and the tickers that somebody has done."""
        market, interval = self.spec.market, self.spec.interval
        units = {ticker: unit_of(market, interval, ticker) for ticker in tickers}
        ticker_of = {unit: ticker for ticker, unit in units.items()}
        with connect(self.dsn, autocommit=True) as connection:
            if self.since is None:
                now = database_now(connection)
                self.since = min(round_begin(now, self.width), now - self.fresh)
            since = self.since
            with connection.transaction():
                done = self._answered(connection, tickers, since)
                left = [unit for ticker, unit in units.items() if ticker not in done]
                claims = self.worker.take(connection, SERIES, left, since=since)
                # What is left was ended in the round: by now loaded, or not so that it would do; or a worker holds it.
                taken = {claim.unit for claim in claims}
                rest = [ticker for ticker, unit in units.items() if unit in left and unit not in taken]
                states = progress.series_due(connection, market, interval, rest, since=since, fresh=since)
                ended = [ticker for ticker in rest if states[ticker] == "ended"]
                done += self._answered(connection, ended, since)
                claims += self.worker.take(connection, SERIES, [units[t] for t in ended if t not in done])
                mine: dict[str, Claim | None] = {ticker_of[claim.unit]: claim for claim in claims}
                progress.begin(connection, self.worker.worker_id, market, interval, list(mine))
                progress.begin(connection, self.worker.worker_id, market, interval, done, skipped=True)
        return mine, done

    def _answered(self, connection: Connection, tickers: Sequence[str], since: datetime) -> list[str]:
        """The tickers that were loaded in the round, from their watermark or earlier to the window's end or later."""
        named = {
            "market": self.spec.market.code, "interval": self.spec.interval.value, "tickers": list(tickers),
            "since": since, "start": self.batch.window.start, "end": self.batch.window.end, "run_id": self.spec.run_id,
            "sources": [config.name for config in self.spec.source.chain],
        }  # fmt: skip
        return [ticker for (ticker,) in connection.execute(query("series_answered"), named).fetchall()]

    def end(self, mine: Mapping[str, Claim | None], asked: Fetched) -> None:
        """End the claims that are still held, and note how it went."""
        errors = {ticker: Failure.of(error).message for ticker, error in asked.failures.items()}
        claims = {ticker: claim for ticker, claim in mine.items() if claim is not None}
        by_unit = {claims[ticker].unit: text for ticker, text in errors.items() if ticker in claims}
        with connect(self.dsn, autocommit=True) as connection, connection.transaction():
            ended = self.worker.end(connection, list(claims.values()), by_unit)
            held = [ticker for ticker, claim in claims.items() if claim.unit in ended]
            place = (self.spec.market, self.spec.interval)
            progress.end(connection, self.worker.worker_id, *place, held, errors)

    def settle(self) -> None:
        """Keep what the task did to its series under a name that the runs of a market and interval share.

        What the dead left is failed now and not before: whoever is there to do it takes it first.
        """
        name = f"runs of {self.spec.market.code} {self.spec.interval.value}"
        with connect(self.dsn, autocommit=True) as connection:
            connection.execute(query("progress_settle"), {"worker": self.worker.worker_id, "name": name})
            reap(connection)
