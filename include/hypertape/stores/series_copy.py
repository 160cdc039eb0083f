"""What one series goes through in a copy, or several short ones that are new to the target together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial, reduce
from itertools import islice
from operator import add

from hypertape.errors import (
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    RolledBack,
    SchemaMissing,
)
from hypertape.frame import Bars, micros, split_series
from hypertape.indicators import LOOKBACK
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.stores import Block, KeepsAdjusted, ReadsBefore, Store, WritesParts, WritesTogether, Written
from hypertape.stores.compare import Comparison, compare_series, same_bars
from hypertape.stores.series_stats import NOTHING, Account, Tally, account
from hypertape.warehouse.loading.merge import join_bars

HOPELESS = (DatabaseUnreachable, DatabaseRefused, SchemaMissing, DiskFull, RolledBack)
"""What would fail for every other series too."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One way in which a series differs.

    `what` is missing, different, adjusted_close (bars of the source), extra (bars that only the target has), rows,
    first, last, sha256, or error.
    """

    series: Series
    what: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SeriesCopy:
    """What became of one series.

    `status` is copied, equal (nothing was written), differs (verify only) or failed (`error` says why). `source` is
    what was read; `extra` counts bars that only the target has, where both were compared.
    """

    series: Series
    status: str
    source: Account
    written: Written = field(default_factory=Written)
    discrepancies: tuple[Discrepancy, ...] = ()
    error: HypertapeError | None = None
    extra: int = 0

    @property
    def only_extra(self) -> bool:
        """True when both differ only in bars that the source lacks: copying again would change nothing."""
        lacking = {"missing", "different", "adjusted_close", "error"}
        return self.extra > 0 and not any(found.what in lacking for found in self.discrepancies)


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with each series. `strict` demands that the target has no other bars; else it may."""

    start: datetime | None
    now: datetime
    force: bool = False
    verify: bool = False
    write: bool = True
    strict: bool = False


Task = tuple[Series, bool, Job]
"""A series, whether the target has it, and the job."""

Group = tuple[Task, ...]
"""Tasks that are done together: one, or several of short series that are new to the target."""


def discrepancies(series: Series, found: Comparison, *, strict: bool = False) -> tuple[Discrepancy, ...]:
    """What keeps the target from holding the source's bars; with `strict`, from holding the same bars."""
    source, target = found.source, found.target
    if source.rows and not target.rows:
        return (Discrepancy(series, "missing", f"{source.rows} rows", "none"),)
    pairs = []
    if strict:
        names = ("rows", "first", "last", "sha256")
        pairs = [(name, str(getattr(source, name)), str(getattr(target, name))) for name in names]
    others = (
        ("missing", found.missing, "not there"),
        ("different", found.different, "other prices or volumes"),
        ("adjusted_close", found.adjusted, "other ones"),
    )
    pairs += [(what, f"{bars} bars", there) for what, bars, there in others if bars]
    pairs += [("extra", "not there", f"{found.extra} bars")] if strict and found.extra else []
    return tuple(Discrepancy(series, what, ours, theirs) for what, ours, theirs in pairs if ours != theirs)


def handle(source: Store, target: Store, series: Series, held: bool, job: Job) -> SeriesCopy:
    """Copy or verify one series; its failure is in what is returned. Raises what every other series would meet too."""
    try:
        if not job.write:
            return _verified(source, target, series, held, job)
        return _copied(source, target, series, held, job)
    except HOPELESS:
        raise
    except HypertapeError as error:
        found = () if job.write else (Discrepancy(series, "error", str(error), ""),)
        return SeriesCopy(series, "failed", NOTHING, discrepancies=found, error=error)


def _copied(source: Store, target: Store, series: Series, held: bool, job: Job) -> SeriesCopy:
    if held and not job.force:
        found = _verified(source, target, series, held, job)
        if not found.discrepancies:
            return found
    market, tally = get_market(series.market), Tally(series, job.now)
    blocks = tally.gated(source.read(series, start=job.start))
    if job.start is not None and isinstance(target, WritesParts):
        written = target.write_part(market, series.interval, blocks, partial(_before, source, job.now))
    else:
        written = target.write(market, series.interval, blocks)
    return _proven(SeriesCopy(series, "copied", tally.account(), written), source, target, job)


def _before(source: Store, now: datetime, series: Series, moment: datetime) -> Bars:
    """What a store's indicators see of the source's bars before an instant (`History`)."""
    if isinstance(source, ReadsBefore):
        return source.read_before(series, moment)
    found, end = Bars.empty(), micros(moment)
    for block in Tally(series, now).gated(source.read(series)):
        for _, bars in split_series(block.bars):
            found = join_bars(found, bars.take(bars.time < end)).take(slice(-LOOKBACK, None))
            if bars.time[-1] >= end:
                return found
    return found


def _verified(source: Store, target: Store, series: Series, held: bool, job: Job) -> SeriesCopy:
    compared = compare_series(source, target, series, start=job.start, now=job.now, held=held)
    found = discrepancies(series, compared, strict=job.strict)
    status = "differs" if found else "equal"
    return SeriesCopy(series, status, compared.source, discrepancies=found, extra=compared.extra)


def _proven(
    done: SeriesCopy, source: Store, target: Store, job: Job, ahead: Future[list[Read]] | None = None
) -> SeriesCopy:
    """The copy with its proof, where one is asked for: by what was read, else bar by bar."""
    if not job.verify:
        return done
    kept = account(target, done.series, start=job.start, now=job.now)
    if same_bars(done.source, kept, keeps_adjusted=isinstance(target, KeepsAdjusted)):
        return done
    if ahead is not None:
        wait([ahead])  # a source is read by one thread at a time
    compared = _verified(source, target, done.series, True, job)
    return replace(done, discrepancies=compared.discrepancies, extra=compared.extra)


@dataclass(frozen=True, slots=True)
class Read:
    """A series that was read whole, or the error of reading it."""

    task: Task
    tally: Tally
    blocks: tuple[Block, ...] = ()
    error: HypertapeError | None = None


def goes_together(group: Group, target: Store) -> bool:
    """True when the target gains by writing the group's series at once."""
    return len(group) > 1 and isinstance(target, WritesTogether)


def read_all(source: Store, group: Group) -> list[Read]:
    """Read the series of a group whole; one that cannot be read carries its error."""
    reads = []
    for task in group:
        series, _, job = task
        tally = Tally(series, job.now)
        try:
            reads.append(Read(task, tally, tuple(tally.gated(source.read(series, start=job.start)))))
        except HypertapeError as error:
            reads.append(Read(task, tally, error=error))
    return reads


def write_all(
    source: Store, target: Store, reads: Sequence[Read], ahead: Future[list[Read]] | None
) -> list[SeriesCopy]:
    """Write what was read together. When that fails each series is copied by itself: the error is of one of them."""
    assert isinstance(target, WritesTogether)
    good = [read for read in reads if read.error is None and read.blocks]
    try:
        market, interval = get_market(reads[0].task[0].market), reads[0].task[0].interval
        blocks = [block for read in good for block in read.blocks]
        written = iter(target.write_together(market, interval, blocks) if blocks else ())
        sums = {read.task[0]: reduce(add, islice(written, len(read.blocks))) for read in good}
        return [_ended(source, target, read, sums.get(read.task[0], Written()), ahead) for read in reads]
    except HOPELESS:
        raise
    except HypertapeError:
        if ahead is not None:
            wait([ahead])  # a source is read by one thread at a time
        return [handle(source, target, *read.task) for read in reads]


def _ended(
    source: Store, target: Store, read: Read, written: Written, ahead: Future[list[Read]] | None
) -> SeriesCopy:
    series, _, job = read.task
    if read.error is not None:
        return SeriesCopy(series, "failed", NOTHING, error=read.error)
    return _proven(SeriesCopy(series, "copied", read.tally.account(), written), source, target, job, ahead)
