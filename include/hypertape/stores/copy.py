"""Copying bars from one store into another, and the proof that both hold the same.

A series is the unit: it is read in blocks, each goes through the gate and into the target, and what was read is
counted and digested on the way. A series of which the target already has every bar is left alone, so copying twice
writes nothing and a copy that was killed goes on where it stopped. One series' failure is its own; the others go on.

Short series that are new to the target are written together where the target gains by it (`WritesTogether`), and while
it writes, a thread reads ahead: the source and the target are kept busy at the same time.

A copy is proved by every bar of the source being in the target, equal (`comparing`); bars that only the target has are
counted beside it. Two stores hold the same series when its bars agree in number, span and digest (`digest.canonical`).
On both sides only what the gate lets through counts as a bar; what it refuses is counted and listed, never compared.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import islice, zip_longest
from multiprocessing import resource_tracker
from operator import add

from hypertape.errors import BadInput, BatchIncomplete, SourceFileMissing
from hypertape.model import Series
from hypertape.stores import ChecksPlace, Selection, SeriesInfo, Store, Written
from hypertape.stores.addresses import Opening, demand_no_reader
from hypertape.stores.choosing import chosen, rest_of
from hypertape.stores.series_copy import (
    Discrepancy,
    Group,
    Job,
    Read,
    SeriesCopy,
    Task,
    goes_together,
    handle,
    read_all,
    write_all,
)

__all__ = ["CopyReport", "Discrepancy", "SeriesCopy", "copy", "verify"]

Place = Store | Opening
"""A store, or what opens it. Several workers need the latter: each opens its own."""

_TOGETHER = 50_000
"""Bars of short series that are written together; twice as many are no faster and take 40 MB more."""

_AHEAD = 4
"""Groups handed out per worker beyond the one it works on."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What became of every selected series, in their order; `rest` says what of the source's place is in no series."""

    series: tuple[SeriesCopy, ...]
    rest: str = ""

    @property
    def all_refused(self) -> bool:
        """True when there were rows and not one of them is a bar of the target now."""
        refused = sum(sum(entry.source.refused.values()) for entry in self.series) + self.written.refused
        return refused > 0 and not self.failed and not any(map(_kept, self.series))

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

    @property
    def extra(self) -> int:
        """Bars of these series that only the target has, as far as both were compared."""
        return sum(entry.extra for entry in self.series)


def _kept(entry: SeriesCopy) -> int:
    """Bars of the source that the target has now, or that were only looked at."""
    written = entry.written
    kept = written.inserted + written.updated + written.unchanged
    return kept if entry.status == "copied" else entry.source.rows


OnSeries = Callable[[SeriesCopy, int, int], None]
"""Called with each series that is done, how many are done, and how many there are."""


def copy(
    source: Place,
    target: Place,
    selection: Selection,
    *,
    now: datetime,
    workers: int = 1,
    force: bool = False,
    verify: bool = False,
    strict: bool = False,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Copy the selected series of one store into another.

    `now` (UTC) is what the gate takes for the present. `force` writes series that are equal already too; `verify`
    asks of each whether the target has every bar afterwards, and with `strict` whether it has no other; `strict` also
    writes what is not the same. With several `workers` (processes) both places must be Openings. A series' failure is
    in the report; what would fail for all of them is raised: DatabaseUnreachable and so on.
    """
    job = Job(selection.start, now, force, verify, strict=strict)
    return _run(source, target, selection, job, workers, on_series)


def verify(
    source: Place,
    target: Place,
    selection: Selection,
    *,
    now: datetime,
    workers: int = 1,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Compare every selected series of the source with the target's, which has to hold the same; nothing is written.

    A series that only the target has is not looked at: verify the other way round for that. A series that cannot be
    read is a discrepancy too.
    """
    job = Job(selection.start, now, write=False, verify=True, strict=True)
    return _run(source, target, selection, job, workers, on_series)


def _run(
    source: Place, target: Place, selection: Selection, job: Job, workers: int, on_series: OnSeries | None
) -> CopyReport:
    with _opened(source) as readable:
        wanted = chosen(readable, selection)
        if job.write:
            _demand_writable(target)
        groups = list(_grouped(wanted, _held(target, selection, job), job))
        if workers > 1 and len(groups) > 1:
            done = _by_processes(source, target, groups, min(workers, len(groups)))
        else:
            done = _one_by_one(readable, target, groups)
        results = {}
        with closing(done):
            for entry in done:
                results[entry.series] = entry
                if on_series is not None:
                    on_series(entry, len(results), len(wanted))
        return CopyReport(tuple(results[info.series] for info in wanted), rest_of(readable))


def _demand_writable(target: Place) -> None:
    """Raise BadInput before anything is read where every series would fail."""
    demand_no_reader(target.address)
    with _opened(target) as store:
        if isinstance(store, ChecksPlace):
            store.demand_writable()


def _grouped(chosen: Sequence[SeriesInfo], held: set[Series], job: Job) -> Iterator[Group]:
    """Lay short new series of one market and interval together, up to _TOGETHER bars."""
    group: list[Task] = []
    filled = 0
    for info in chosen:
        task = (info.series, info.series in held, job)
        if task[1] or not job.write or info.rows is None or info.rows > _TOGETHER:
            yield (task,)
            continue
        kind = (info.series.market, info.series.interval)
        if group and (filled + info.rows > _TOGETHER or kind != (group[0][0].market, group[0][0].interval)):
            yield tuple(group)
            group, filled = [], 0
        group.append(task)
        filled += info.rows
    if group:
        yield tuple(group)


def _held(target: Place, selection: Selection, job: Job) -> set[Series]:
    """The selected series that the target has; none where it is still to be made."""
    with _opened(target) as store:
        try:
            return {info.series for info in store.series(selection)}
        except SourceFileMissing:
            if not job.write:
                raise
            return set()


def _one_by_one(source: Store, target: Place, groups: Sequence[Group]) -> Generator[SeriesCopy]:
    with _opened(target) as writable, ThreadPoolExecutor(1, "reader") as reader:
        ahead: Future[list[Read]] | None = None
        for group, following in zip_longest(groups, groups[1:], fillvalue=()):
            if not goes_together(group, writable):
                for task in group:
                    yield handle(source, writable, *task)
                continue
            reads = (ahead or reader.submit(read_all, source, group)).result()
            ahead = None
            if goes_together(following, writable):
                ahead = reader.submit(read_all, source, following)
            yield from write_all(source, writable, reads, ahead)


def _by_processes(
    source: Place, target: Place, groups: Sequence[Group], workers: int
) -> Generator[SeriesCopy, None, None]:
    if not (isinstance(source, Opening) and isinstance(target, Opening)):
        raise BadInput(
            "Several workers cannot share one open store", next_step="Pass Openings, or one worker."
        )
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # Arrow's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, _open_both, (source, target)) as pool:
        try:
            waiting = iter(groups)
            with interrupts_held():
                running = {pool.submit(_handle_in_worker, each) for each in islice(waiting, workers * _AHEAD)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_handle_in_worker, each) for each in islice(waiting, len(done))}
                for future in done:
                    yield from future.result()
        except BrokenProcessPool as error:
            raise BatchIncomplete(
                "A worker process ended before its work",
                next_step="Run it again: what is copied stays copied.",
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()  # a block is written whole or not at all
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Start processes that never see Ctrl-C: the one that started them does, once this is left, and stops them.

    A worker that saw it would print a traceback, at any line.
    """
    resource_tracker.ensure_running()  # its start would let the signal in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_stores: tuple[Store, Store] | None = None
"""The stores of this worker process."""


def _open_both(source: Opening, target: Opening) -> None:
    global _stores
    _stores = source.open(), target.open()


def _handle_in_worker(group: Group) -> list[SeriesCopy]:
    assert _stores is not None
    source, target = _stores
    if goes_together(group, target):
        return write_all(source, target, read_all(source, group), None)
    return [handle(source, target, *task) for task in group]


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
