"""Copying bars from one store into another, and the proof that both hold the same.

A series is the unit: it is read in blocks, each goes through the gate and into the target, and what was read is
counted and digested on the way. A series whose target already has the same digest is left alone, so copying twice
writes nothing and a copy that was killed goes on where it stopped. One series' failure is its own; the others go on.

Two stores hold the same series when its bars agree in number, span and digest (`digest.canonical`). On both sides
only what the gate lets through counts as a bar; what it refuses is counted and listed, never compared.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from itertools import islice
from operator import add

from hypertape.errors import (
    BadInput,
    BatchIncomplete,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    SchemaMissing,
    SourceFileMissing,
)
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.stores import Selection, Store, Written
from hypertape.stores.accounts import NOTHING, Account, Tally, account
from hypertape.stores.addresses import Opening

Place = Store | Opening
"""A store, or what opens it. Several workers need the latter: each opens its own."""

_HOPELESS = (DatabaseUnreachable, DatabaseRefused, SchemaMissing, DiskFull)
"""What would fail for every other series too."""

_AHEAD = 4
"""Series handed out per worker beyond the one it works on."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One way in which a series differs: `what` is missing, rows, first, last, sha256 or error."""

    series: Series
    what: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SeriesCopy:
    """What became of one series.

    `status` is copied, equal (nothing was written), differs (verify only) or failed (`error` says why). `source` is
    what was read.
    """

    series: Series
    status: str
    source: Account
    written: Written = field(default_factory=Written)
    discrepancies: tuple[Discrepancy, ...] = ()
    error: HypertapeError | None = None


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What became of every selected series, in their order."""

    series: tuple[SeriesCopy, ...]

    @property
    def written(self) -> Written:
        """The sum over all series."""
        return reduce(add, (entry.written for entry in self.series), Written())

    @property
    def failed(self) -> tuple[SeriesCopy, ...]:
        """The series that failed."""
        return tuple(entry for entry in self.series if entry.error)

    @property
    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """What the proof found, where one was asked for."""
        return tuple(found for entry in self.series for found in entry.discrepancies)


OnSeries = Callable[[SeriesCopy, int, int], None]
"""Called with each series that is done, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What is done with each series."""

    start: datetime | None
    now: datetime
    force: bool = False
    verify: bool = False
    write: bool = True


_Task = tuple[Series, bool, _Job]
"""A series, whether the target has it, and the job."""


def copy(
    source: Place,
    target: Place,
    selection: Selection,
    *,
    now: datetime,
    workers: int = 1,
    force: bool = False,
    verify: bool = False,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Copy the selected series of one store into another.

    `now` (UTC) is what the gate takes for the present. `force` writes series that are equal already too; `verify`
    compares each with the target afterwards. With several `workers` (processes) both places must be Openings.
    A series' failure is in the report; what would fail for all of them is raised: DatabaseUnreachable and so on.
    """
    job = _Job(selection.start, now, force, verify)
    return CopyReport(_run(source, target, selection, job, workers, on_series))


def verify(
    source: Place,
    target: Place,
    selection: Selection,
    *,
    now: datetime,
    workers: int = 1,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Compare every selected series of the source with the target's; nothing is written.

    What only the target has is not looked at: verify the other way round for that. A series that cannot be read is a
    discrepancy too.
    """
    job = _Job(selection.start, now, write=False, verify=True)
    return CopyReport(_run(source, target, selection, job, workers, on_series))


def compare(series: Series, source: Account, target: Account) -> tuple[Discrepancy, ...]:
    """How two accounts of one series differ."""
    if source.rows and not target.rows:
        return (Discrepancy(series, "missing", f"{source.rows} rows", "none"),)
    pairs = [
        (name, getattr(source, name), getattr(target, name)) for name in ("rows", "first", "last", "sha256")
    ]
    return tuple(Discrepancy(series, name, str(a), str(b)) for name, a, b in pairs if a != b)


def _run(
    source: Place, target: Place, selection: Selection, job: _Job, workers: int, on_series: OnSeries | None
) -> tuple[SeriesCopy, ...]:
    with _opened(source) as readable:
        chosen = [info.series for info in readable.series(selection)]
        held = _held(target, selection, job)
        tasks = [(series, series in held, job) for series in chosen]
        if workers > 1 and len(chosen) > 1:
            done = _by_processes(source, target, tasks, min(workers, len(chosen)))
        else:
            done = _one_by_one(readable, target, tasks)
        results = {}
        for entry in done:
            results[entry.series] = entry
            if on_series is not None:
                on_series(entry, len(results), len(chosen))
    return tuple(results[series] for series in chosen)


def _held(target: Place, selection: Selection, job: _Job) -> set[Series]:
    """The selected series that the target has; none where it is still to be made."""
    with _opened(target) as store:
        try:
            return {info.series for info in store.series(selection)}
        except SourceFileMissing:
            if not job.write:
                raise
            return set()


def _one_by_one(source: Store, target: Place, tasks: list[_Task]) -> Iterator[SeriesCopy]:
    with _opened(target) as writable:
        for task in tasks:
            yield _handle(source, writable, *task)


def _by_processes(source: Place, target: Place, tasks: list[_Task], workers: int) -> Iterator[SeriesCopy]:
    if not (isinstance(source, Opening) and isinstance(target, Opening)):
        raise BadInput(
            "Several workers cannot share one open store", next_step="Pass Openings, or one worker."
        )
    context = multiprocessing.get_context("spawn")  # Arrow's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, _open_both, (source, target)) as pool:
        try:
            waiting = iter(tasks)
            running = {pool.submit(_handle_in_worker, task) for task in islice(waiting, workers * _AHEAD)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_handle_in_worker, task) for task in islice(waiting, len(done))}
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            raise BatchIncomplete(
                "A worker process ended before its work",
                next_step="Run it again: what is copied stays copied.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_stores: tuple[Store, Store] | None = None
"""The stores of this worker process."""


def _open_both(source: Opening, target: Opening) -> None:
    global _stores
    _stores = source.open(), target.open()


def _handle_in_worker(task: _Task) -> SeriesCopy:
    assert _stores is not None
    source, target = _stores
    return _handle(source, target, *task)


def _handle(source: Store, target: Store, series: Series, held: bool, job: _Job) -> SeriesCopy:
    try:
        if not job.write:
            return _verified(source, target, series, held, job)
        return _copied(source, target, series, held, job)
    except _HOPELESS:
        raise
    except HypertapeError as error:
        found = () if job.write else (Discrepancy(series, "error", str(error), ""),)
        return SeriesCopy(series, "failed", NOTHING, discrepancies=found, error=error)


def _copied(source: Store, target: Store, series: Series, held: bool, job: _Job) -> SeriesCopy:
    if held and not job.force:
        found = _verified(source, target, series, held, job)
        if not found.discrepancies:
            return found
    market, tally = get_market(series.market), Tally(series, job.now)
    blocks = tally.gated(source.read(series, start=job.start))
    written = target.write(market, series.interval, blocks)
    read = tally.account()
    found_after = compare(series, read, _target_account(target, series, True, job)) if job.verify else ()
    return SeriesCopy(series, "copied", read, written, found_after)


def _verified(source: Store, target: Store, series: Series, held: bool, job: _Job) -> SeriesCopy:
    read = account(source, series, start=job.start, now=job.now)
    found = compare(series, read, _target_account(target, series, held, job))
    return SeriesCopy(series, "differs" if found else "equal", read, discrepancies=found)


def _target_account(target: Store, series: Series, held: bool, job: _Job) -> Account:
    return account(target, series, start=job.start, now=job.now) if held else NOTHING


@contextmanager
def _opened(place: Place) -> Iterator[Store]:
    """The store of a place; what is opened here is closed again."""
    if not isinstance(place, Opening):
        yield place
        return
    store = place.open()
    try:
        yield store
    finally:
        store.close()
