"""Several processes that copy between two stores: each opens both, and is handed one group after the other."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing import resource_tracker
from threading import Thread
from typing import TypeVar

from hypertape.errors import BatchIncomplete
from hypertape.stores import Store
from hypertape.stores.addresses import Opening
from hypertape.stores.copy_report import SeriesCopy
from hypertape.stores.read_ahead import read_whole
from hypertape.stores.series_copy import (
    Group,
    goes_together,
    handle,
    handle_together,
)

T = TypeVar("T")

_AHEAD = 2
"""Groups handed out per worker process: the one it works on, and the next."""


def copy_by_processes(
    source: Opening, target: Opening, groups: Sequence[Group], workers: int
) -> Generator[SeriesCopy, None, None]:
    """Yield what became of each series, as they are done. Raises BatchIncomplete when a worker process ends early.

    This process is one of the workers: another one beside it that only waits would cost its memory and do nothing.
    """
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # Arrow's threads do not survive a fork
    with (
        _both(source, target) as stores,
        ProcessPoolExecutor(workers - 1, context, _open_both, (source, target)) as pool,
    ):
        try:
            waiting = iter(groups)
            with interrupts_held():
                running = {pool.submit(_handle, each) for each in islice(waiting, (workers - 1) * _AHEAD)}
            while True:
                own = next(waiting, None)
                if own is not None:
                    yield from _handled(*stores, own)
                done, running = wait(running, 0 if own is not None else None, FIRST_COMPLETED)
                running |= {pool.submit(_handle, each) for each in islice(waiting, len(done))}
                for future in done:
                    yield from future.result()
                if own is None and not running:
                    return
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


def beside(work: Callable[[], T]) -> Future[T]:
    """Begin some work in a thread beside this one; `result()` of what is returned waits for it, or raises its error.

    An interrupted process does not wait for it, as it would for a pool's thread.
    """
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # whoever waits raises it
            found.set_exception(error)

    Thread(target=run, name="beside", daemon=True).start()
    return found


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


def _handle(group: Group) -> list[SeriesCopy]:
    assert _stores is not None
    return _handled(*_stores, group)


@contextmanager
def _both(source: Opening, target: Opening) -> Iterator[tuple[Store, Store]]:
    """The stores of this process."""
    with closing(source.open()) as one, closing(target.open()) as other:
        yield one, other


def _handled(source: Store, target: Store, group: Group) -> list[SeriesCopy]:
    if not goes_together(group, target):
        return [handle(source, target, task) for task in group]
    job = group[0][2]
    reads = read_whole(source, [series for series, *_ in group], start=job.start, now=job.now)
    return handle_together(source, target, group, reads)
