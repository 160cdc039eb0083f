"""Copying bars from one store into another, and the proof that both hold the same.

A series is the unit: it is read in blocks, each goes through the gate and into the target, and what was read is
counted and digested on the way (`series_copy`). A series of which the target already has every bar is left alone, so
copying twice writes nothing and a copy that was killed goes on where it stopped. One series' failure is its own; the
others go on. Rows that belong to no series are handed to a target that keeps such (`KeepsRejects`), and counted.

Short series that are new to the target are written together where the target gains by it (`WritesTogether`), and while
it writes, a thread reads ahead: the source and the target are kept busy at the same time.

A copy is proved by every bar of the source being in the target, equal (`compare`); bars that only the target has are
counted beside it. Two stores hold the same series when its bars agree in number, span and digest (`digest.canonical`).
On both sides only what the gate lets through counts as a bar; what it refuses is counted and listed, never compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from itertools import chain, zip_longest

from hypertape.errors import BadInput, HypertapeError, SourceFileMissing
from hypertape.model import Series, format_instant
from hypertape.stores import (
    ChecksPlace,
    HasUnassigned,
    KeepsRejects,
    Selection,
    SeriesInfo,
    Store,
    TellsRest,
)
from hypertape.stores.addresses import Opening, require_no_reader
from hypertape.stores.copy_report import CopyReport, Discrepancy, SeriesCopy, UnassignedRows
from hypertape.stores.processes import copy_by_processes
from hypertape.stores.read_ahead import ReadAhead, SeriesRead, finished
from hypertape.stores.series_copy import (
    Group,
    Job,
    Task,
    goes_together,
    handle,
    handle_together,
)
from hypertape.stores.series_names import refused_names

__all__ = [
    "CopyReport",
    "Discrepancy",
    "SeriesCopy",
    "UnassignedRows",
    "copy",
    "rehearse",
    "selected",
    "verify",
]

Place = Store | Opening
"""A store, or what opens it. Several workers need the latter: each opens its own."""

_NAMED = 5
"""Places that are named where there are many."""

_SAMPLES = 3
"""Rows of no series that are shown of each rule."""

_TOGETHER = 50_000
"""Bars of short series that are written together; twice as many are no faster and take 40 MB more."""


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


def rehearse(
    source: Place,
    target: Place,
    selection: Selection,
    *,
    now: datetime,
    on_series: OnSeries | None = None,
) -> CopyReport:
    """Read and gate every selected series as `copy` would, and say what it would refuse; nothing is written."""
    return _run(source, target, selection, Job(selection.start, now, write=False), 1, on_series)


def _run(
    source: Place, target: Place, selection: Selection, job: Job, workers: int, on_series: OnSeries | None
) -> CopyReport:
    with _opened(source) as readable:
        wanted = selected(readable, selection)
        if job.write:
            _require_writable(target)
        refused = _refused_names(readable, target, wanted, job)
        left = {entry.series for entry in refused}
        able = [info for info in wanted if info.series not in left]
        groups = list(_grouped(able, _held(target, selection, job), job))
        if workers > 1 and len(groups) > 1:
            if not (isinstance(source, Opening) and isinstance(target, Opening)):
                raise BadInput(
                    "Several workers cannot share one open store", next_step="Pass Openings, or one worker."
                )
            done = copy_by_processes(source, target, groups, min(workers, len(groups)))
        else:
            done = _one_by_one(readable, target, groups)
        results = {}
        with closing(done):
            for entry in chain(refused, done):
                results[entry.series] = entry
                if on_series is not None:
                    on_series(entry, len(results), len(wanted))
        apart = _unassigned(readable, target, selection, job)
        return CopyReport(tuple(results[info.series] for info in wanted), apart, rest_of(readable))


def _refused_names(source: Store, target: Place, wanted: Sequence[SeriesInfo], job: Job) -> list[SeriesCopy]:
    if job.verify and not job.write:
        return []
    with _opened(target) as store:
        return refused_names(source, store, wanted)


def _unassigned(source: Store, target: Place, selection: Selection, job: Job) -> tuple[UnassignedRows, ...]:
    """Count the rows of the source that belong to no series, and hand them to a target that keeps such rows."""
    if not isinstance(source, HasUnassigned):
        return ()
    counts: Counter[tuple[str, str]] = Counter()
    samples: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    with _opened(target) as store:
        for found in source.unassigned(selection):
            if job.write and isinstance(store, KeepsRejects):
                store.keep_rejects(found)
            for reject in found.rejects.to_pylist():
                key = (found.place, reject["rule"])
                counts[key] += 1
                if len(samples[key]) < _SAMPLES:
                    samples[key].append(f"{reject['ticker']} {reject['value']}")
    return tuple(UnassignedRows(*key, rows, tuple(samples[key])) for key, rows in sorted(counts.items()))


def _require_writable(target: Place) -> None:
    """Raise BadInput before anything is read where every series would fail."""
    require_no_reader(target.address)
    with _opened(target) as store:
        if isinstance(store, ChecksPlace):
            store.require_writable()


def _grouped(wanted: Sequence[SeriesInfo], held: set[Series], job: Job) -> Iterator[Group]:
    """Lay short new series of one market and interval together, up to _TOGETHER bars."""
    group: list[Task] = []
    filled = 0
    for info in wanted:
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
            if job.verify and not job.write:
                raise
            return set()


def _one_by_one(source: Store, target: Place, groups: Sequence[Group]) -> Generator[SeriesCopy]:
    with _opened(target) as writable, ReadAhead() as reader:
        ahead: Future[list[SeriesRead]] | None = None
        for group, following in zip_longest(groups, groups[1:], fillvalue=()):
            if not goes_together(group, writable):
                for task in group:
                    yield handle(source, writable, task, reader)
                continue
            reads = (ahead or _begin(reader, source, group)).result()
            ahead = _begin(reader, source, following) if goes_together(following, writable) else None
            yield from handle_together(source, writable, group, reads, partial(finished, ahead))


def _begin(reader: ReadAhead, source: Store, group: Group) -> Future[list[SeriesRead]]:
    job = group[0][2]
    return reader.whole(source, [series for series, *_ in group], start=job.start, now=job.now)


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


def selected(store: Store, selection: Selection) -> list[SeriesInfo]:
    """The selected series. Raises BadInput with what the store has when there is none."""
    found = list(store.series(selection))
    if not found:
        raise BadInput(
            f"{store.address} has no bars{_wanted(selection)}",
            next_step=" ".join(filter(None, (_holdings(store), rest_of(store)))),
        )
    return found


def rest_of(store: Store) -> str:
    """A sentence about what lies at the store's place and is in no series; empty where there is nothing."""
    rest = store.rest() if isinstance(store, TellsRest) else []
    more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
    return f"Not taken: {', '.join(rest[:_NAMED])}{more}." if rest else ""


def _wanted(selection: Selection) -> str:
    words = [", ".join(selection.tickers), " and ".join(selection.markets)]
    words.append(" and ".join(interval.value for interval in selection.intervals))
    named = " in ".join(filter(None, (words[0], " ".join(filter(None, words[1:])))))
    since = f" from {format_instant(selection.start)} on" if selection.start else ""
    return f"{' of ' if named else ''}{named}{since}"


def _holdings(store: Store) -> str:
    try:
        counted = Counter((info.series.market, info.series.interval) for info in store.series(Selection()))
    except HypertapeError as error:
        return str(error)
    if not counted:
        return "It has no series at all."
    parts = (f"{market} {interval.value} ({count} series)" for (market, interval), count in counted.items())
    return f"It has {', '.join(parts)}."
