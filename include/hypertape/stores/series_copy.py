"""Copying one series from a store into another, or several short ones that are new to the target together.

Every way in copies with this: `stores.copy` between any two stores, the migration by its ledger, the way back. Blocks
go through the gate, are counted and digested on their way, and what was written is held against what was read.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from itertools import islice
from operator import add

import pyarrow as pa

from hypertape.errors import (
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    RolledBack,
    SchemaMissing,
)
from hypertape.frame import Bars, instant, micros, split_series, times_of
from hypertape.indicators import LOOKBACK
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.stores import (
    BATCH_ROWS,
    Block,
    ChecksBars,
    ReadsBefore,
    Served,
    Store,
    WritesParts,
    WritesTogether,
    Written,
    require_all_rows,
)
from hypertape.stores.compare import compare_series, prove
from hypertape.stores.copy_report import Discrepancy, SeriesCopy, discrepancies
from hypertape.stores.read_ahead import ReadAhead, SeriesRead
from hypertape.stores.series_stats import NOTHING, GatedSeries, SeriesStats
from hypertape.warehouse.loading.merge import join_bars

HOPELESS = (DatabaseUnreachable, DatabaseRefused, SchemaMissing, DiskFull, RolledBack)
"""What would fail for every other series too."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with each series. `strict` demands that the target has no other bars; else it may.

    Without `write` and `verify` it is a rehearsal: the series is read and gated, and what would be refused is counted.
    """

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


@dataclass(frozen=True, slots=True)
class BlockCopied:
    """What one committed block did: the opening of its last bar, the rows read for it, and the seconds of writing."""

    last: datetime | None
    rows: int
    written: Written
    seconds: float = 0.0


def write_together(target: Store, reads: Sequence[SeriesRead]) -> dict[Series, Written]:
    """Write series of one market and interval that were read whole in one transaction, and say what each did."""
    assert isinstance(target, WritesTogether)
    good = [read for read in reads if read.error is None and read.blocks]
    if not good:
        return {}
    market, interval = get_market(good[0].series.market), good[0].series.interval
    written = iter(target.write_together(market, interval, [block for read in good for block in read.blocks]))
    done = {read.series: reduce(add, islice(written, len(read.blocks))) for read in good}
    for read in good:
        require_all_written(read.series, read.stats, done[read.series])
    return done


def copy_blocks(
    blocks: Iterable[Block], target: Store, series: Series, *, after: datetime | None = None
) -> Iterator[BlockCopied]:
    """Write gated blocks of a series one by one and yield what each did once it is committed.

    A copy that goes on leaves out the bars that open at or before `after`. Rows that are no bars have no sure place in
    time, so each pass hands over all of them (quarantine keeps each once) and counts them at its end.
    """
    market, rejected = get_market(series.market), 0
    for whole in blocks:
        block, began = _after(whole, after), clock.perf_counter()
        rejected += len(block.rejects)
        if len(block.bars) == 0 and len(block.rejects) == 0:
            continue
        written = target.write(market, series.interval, [block])
        bars = replace(written, refused=written.refused - len(block.rejects))
        require_all_rows(series, len(block.bars), bars.rows)
        times = times_of(block.bars)
        last = instant(int(times[-1])) if len(times) else None
        yield BlockCopied(last, len(block.bars), bars, clock.perf_counter() - began)
    if rejected:
        yield BlockCopied(None, rejected, Written(refused=rejected))


def _after(block: Block, reached: datetime | None) -> Block:
    if reached is None or len(block.bars) == 0:
        return block
    return replace(block, bars=block.bars.filter(pa.array(times_of(block.bars) > micros(reached))))


def require_all_written(series: Series, read: SeriesStats, written: Written) -> None:
    """Raise RowsLost unless the target says of every bar and reject what became of it."""
    require_all_rows(series, read.rows + read.refused_rows, written.rows)


def handle(source: Store, target: Store, task: Task, reader: ReadAhead | None = None) -> SeriesCopy:
    """Copy, compare or rehearse one series; its failure is in what is returned.

    Raises what every other series would meet too, and RowsLost.
    """
    series, held, job = task
    try:
        if job.write:
            return _copied(source, target, series, held, job, reader)
        return (
            _verified(source, target, series, held, job)
            if job.verify
            else _rehearsed(source, target, series, job)
        )
    except HOPELESS:
        raise
    except HypertapeError as error:
        found = () if job.write or not job.verify else (Discrepancy(series, "error", str(error), ""),)
        return SeriesCopy(series, "failed", NOTHING, discrepancies=found, error=error)


def _copied(
    source: Store, target: Store, series: Series, held: bool, job: Job, reader: ReadAhead | None
) -> SeriesCopy:
    if held and not job.force:
        found = _verified(source, target, series, held, job)
        if not found.discrepancies:
            return found
    market, gated = get_market(series.market), GatedSeries(series, job.now)
    blocks = gated.blocks(source.read(series, start=job.start))
    if job.start is not None and isinstance(target, WritesParts):
        written = target.write_part(market, series.interval, blocks, partial(_before, source, job.now))
    else:
        if reader is not None and (isinstance(source, Served) or isinstance(target, Served)):
            blocks = reader.blocks(blocks)
        written = target.write(market, series.interval, blocks)
    require_all_written(series, gated.stats(), written)
    return _proven(SeriesCopy(series, "copied", gated.stats(), written), source, target, job)


def _rehearsed(source: Store, target: Store, series: Series, job: Job) -> SeriesCopy:
    stats = rehearse(source, target, series, start=job.start, now=job.now)
    return SeriesCopy(series, "read", stats)


def rehearse(
    source: Store,
    target: Store,
    series: Series,
    *,
    start: datetime | None,
    now: datetime,
    rows: int = BATCH_ROWS,
) -> SeriesStats:
    """Read and gate a series as a copy would. Raises what the target would refuse it with; nothing is written."""
    gated, market = GatedSeries(series, now), get_market(series.market)
    for block in gated.blocks(source.read(series, start=start, rows=rows)):
        if isinstance(target, ChecksBars):
            target.require_loadable(market, series.interval, block)
    return gated.stats()


def _before(source: Store, now: datetime, series: Series, moment: datetime) -> Bars:
    """What a store's indicators see of the source's bars before an instant (`History`)."""
    if isinstance(source, ReadsBefore):
        return source.read_before(series, moment)
    found, end = Bars.empty(), micros(moment)
    for block in GatedSeries(series, now).blocks(source.read(series)):
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


def _proven(done: SeriesCopy, source: Store, target: Store, job: Job) -> SeriesCopy:
    """The copy with its proof, where one is asked for: by what was read, else bar by bar."""
    if not job.verify:
        return done
    found = prove(source, target, done.series, done.source, start=job.start, now=job.now)
    lacking = discrepancies(done.series, found, strict=job.strict)
    return replace(done, discrepancies=lacking, extra=found.extra)


def goes_together(group: Group, target: Store) -> bool:
    """True when the target gains by writing the group's series at once."""
    return len(group) > 1 and isinstance(target, WritesTogether)


def handle_together(
    source: Store,
    target: Store,
    group: Group,
    reads: Sequence[SeriesRead],
    settle: Callable[[], object] = lambda: None,
) -> list[SeriesCopy]:
    """Write what was read together. When that fails each series is copied by itself: the error is of one of them.

    `settle` is called before the source is read again: it is read by one thread at a time.
    """
    job = group[0][2]
    try:
        written = write_together(target, reads)
    except HOPELESS:
        raise
    except HypertapeError:
        settle()
        return [handle(source, target, task) for task in group]
    done = []
    for read in reads:
        if read.error is not None:
            done.append(SeriesCopy(read.series, "failed", NOTHING, error=read.error))
            continue
        if job.verify:
            settle()
        copied = SeriesCopy(read.series, "copied", read.stats, written.get(read.series, Written()))
        done.append(_proven(copied, source, target, job))
    return done
