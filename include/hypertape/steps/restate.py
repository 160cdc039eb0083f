"""Find out whether a changed final bar is a restatement of the whole history, and if so read it again, once.

A load that changes final bars leaves a suspicion (`warehouse.restatements`). Here the vendor is asked for bars before
those it answered, the latest and the first of the series: where one of them differs from what is stored, the whole
history is read and loaded, else the change was local. What a vendor does not answer for stays open for the next runs.
Before that, a source that others stood in for is compared with its own newest bars again.
docs/decisions/0014-restatements.md has the reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.errors import HypertapeError, NoData
from hypertape.frame import Bars, instant, micros, split_series
from hypertape.model import Window
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.failures import Failure, failures_to_json
from hypertape.steps.landing import Landing
from hypertape.steps.plan import make_batches, overlap_start
from hypertape.steps.run_batch import Guard, extract, run_batch
from hypertape.steps.run_spec import BatchKind, Counts, Json, OnStep, RunSpec, raise_if_failed, silent
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.merge import differing
from hypertape.warehouse.loading.stored import newest_given, read_neighbours, series_states
from hypertape.warehouse.restatements import (
    Restatement,
    Unread,
    claimed,
    disputes_of_run,
    judge,
    keep_unread,
    note_errors,
    states_of,
)

Connection = psycopg.Connection[Any]

LATEST, FIRST = 60, 20
"""So many stored bars before the suspicion, and at the start of the series, are compared with the vendor's."""

REASON, RETURN = "restatement", "the first source is back"


@dataclass(slots=True)
class Settled:
    """What became of the open restatements of a run: tickers by outcome, bars that were read again, what failed."""

    suspected: int = 0
    local: int = 0
    confirmed: int = 0
    reread: int = 0
    counts: Counts = field(default_factory=Counts)
    failed: dict[str, Failure] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return a JSON object."""
        states = {name: getattr(self, name) for name in ("suspected", "local", "confirmed", "reread")}
        return {**states, **self.counts.to_json(), "failed": failures_to_json(self.failed)}


@dataclass(slots=True)
class _Work:
    """One source's open restatements in this run, and what has come of them. It writes whatever differs."""

    dsn: str
    spec: RunSpec
    now: datetime
    settings: Settings
    done: Settled = field(default_factory=Settled)
    guard: Guard | None = None

    @property
    def failed(self) -> dict[str, Failure]:
        """The tickers that failed."""
        return self.done.failed


def reread(dsn: str, spec: RunSpec, *, now: datetime, settings: Settings) -> Settled:
    """What the task does; raises BatchIncomplete or BatchRefused at the end for the tickers that failed."""
    done = resolve_restatements(dsn, spec, now=now, settings=settings)
    raise_if_failed(done.failed, spec, done.reread)
    return done


def resolve_restatements(
    dsn: str, spec: RunSpec, *, now: datetime, settings: Settings, on_step: OnStep = silent
) -> Settled:
    """Settle the open restatements of the tickers this run has loaded, and return what became of them.

    A ticker that failed keeps its place in the ledger for the next run. Raises only for a problem of a whole source.
    """
    sources = {} if spec.source.replay else {config.name: config for config in spec.source.chain}
    done = Settled()
    work = _Work(dsn, spec, now, settings, done)
    if sources:
        _reach_back(_with(work, next(iter(sources.values())), RETURN))
    with claimed(dsn, spec.market, spec.interval, run_id=spec.run_id, sources=list(sources)) as (
        found,
        guard,
    ):
        done.suspected = len(found)
        for name in sorted({entry.source for entry in found}):
            on_step(f"restatements of {name}", 0, 1)
            of_source = replace(_with(work, sources[name], REASON), guard=guard)
            _settle_source(of_source, [entry for entry in found if entry.source == name])
            on_step(f"restatements of {name}", 1, 1)
    return done


def _with(work: _Work, source: SourceConfig, reason: str) -> _Work:
    """The same work with one source; what came of it is noted together."""
    return replace(work, spec=replace(work.spec, source=source, mode="overwrite", reason=reason))


def _reach_back(work: _Work) -> None:
    """Where the first source serves again, read on from its own newest bars: they are compared, the others replaced."""
    with connect(work.dsn) as connection:
        windows = _absences(work, connection)
    _load_windows(work, windows, BatchKind.RETURN, {})


def _absences(work: _Work, connection: Connection) -> dict[str, Window]:
    """Per ticker that others served for a while, the window from an overlap of its source's own bars before that on."""
    spec = work.spec
    name, end = spec.source.name, spec.window.end
    found = disputes_of_run(connection, spec.market, spec.interval, run_id=spec.run_id, source=name)
    states = series_states(connection, spec.market, spec.interval, [entry.ticker for entry in found])
    current = {
        entry.ticker: micros(entry.since)
        for entry in found
        if entry.ticker in states and states[entry.ticker].last < micros(end)
    }
    own = newest_given(connection, spec.market, spec.interval, name, states, current)
    bars = max(1, work.settings.overlap_bars)
    return {
        ticker: Window(overlap_start(spec.market, spec.interval, instant(newest), bars), end)
        for ticker, newest in own.items()
    }


def _settle_source(work: _Work, found: Sequence[Restatement]) -> None:
    with connect(work.dsn) as connection:
        try:
            confirmed = [entry for entry in found if entry.state == "confirmed"]
            confirmed += _confirm(work, connection, [entry for entry in found if entry.state == "suspected"])
            _read_again(work, connection, confirmed)
        except HypertapeError as error:
            connection.rollback()
            note_errors(connection, {entry.restatement_id: str(error) for entry in found})
            raise
        failed = [entry for entry in found if entry.ticker in work.failed]
        note_errors(connection, {e.restatement_id: work.failed[e.ticker].message for e in failed})


def _confirm(work: _Work, connection: Connection, suspected: Sequence[Restatement]) -> list[Restatement]:
    """Compare each suspected series with the vendor's older bars; return those where some differ."""
    older = _older(work, connection, suspected)
    different, compared = _compare(work, {t: latest for t, (latest, _) in older.items()}, BatchKind.LATEST)
    equal = {t: first for t, (_, first) in older.items() if not different[t] and t not in work.failed}
    for known, counts in zip((different, compared), _compare(work, equal, BatchKind.FIRST), strict=True):
        known.update(counts)
    confirmed, unread = [], []
    run_id = work.spec.run_id
    for entry in suspected:
        if entry.ticker in work.failed:
            continue
        checked, differ = compared[entry.ticker], different[entry.ticker]
        latest, first = older.get(entry.ticker, (Bars.empty(), Bars.empty()))
        if len(latest) and not checked:
            unread.append(_nothing_compared(entry, len(latest) + len(first)))
            continue
        state = "confirmed" if differ else "local" if len(latest) else "reread"
        judge(connection, entry, state, checked=checked, differing=differ, run_id=run_id, now=work.now)
        setattr(work.done, state, getattr(work.done, state) + 1)
        if state == "confirmed":
            confirmed.append(entry)
    keep_unread(connection, unread, run_id=run_id, now=work.now)
    return confirmed


def _nothing_compared(entry: Restatement, asked: int) -> Unread:
    """The vendor has none of the older bars: that is no evidence that they are as they were."""
    error = f"None of the {asked} older bars that were asked for came, so nothing could be compared"
    return Unread(entry.restatement_id, None, None, entry.compared_from, error)


def _older(
    work: _Work, connection: Connection, suspected: Sequence[Restatement]
) -> dict[str, tuple[Bars, Bars]]:
    """Per ticker, the LATEST stored bars before what the load compared, and of those before them the FIRST ones."""

    market, interval = work.spec.market, work.spec.interval
    states = series_states(connection, market, interval, [entry.ticker for entry in suspected])
    edges = {entry.ticker: micros(entry.compared_from) for entry in suspected if entry.ticker in states}
    spans = {ticker: (edge, states[ticker].first - 1) for ticker, edge in edges.items()}
    around = read_neighbours(connection, market, interval, states, spans)
    connection.commit()
    older = {}
    for ticker, (before, start) in around.items():
        latest = before.take(slice(-LATEST, None))
        limit = latest.time[0] if len(latest) else 0
        older[ticker] = (latest, start.take(start.time < limit).take(slice(FIRST)))
    return older


def _compare(work: _Work, stored: Mapping[str, Bars], kind: BatchKind) -> tuple[Counter[str], Counter[str]]:
    """Ask the vendor for these stored bars; per ticker, how many of them differ and how many came at all."""

    windows = {
        ticker: Window(instant(int(bars.time[0])), instant(int(bars.time[-1])) + timedelta(microseconds=1))
        for ticker, bars in stored.items()
        if len(bars)
    }
    different: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for batch in make_batches(windows, work.settings.batch_size, kind):
        landed = extract(work.spec, batch, settings=work.settings, now=work.now, dsn=work.dsn)
        work.failed.update({t: failure for t, failure in landed.failed.items() if failure.kind != "NoData"})
        answer = Landing(work.settings.landing, work.spec.run_id, batch.name).read("bars")
        clean = gate(answer, work.spec.market, work.spec.interval, now=work.now).bars
        for ticker, bars in split_series(clean):
            if ticker in stored:
                different[ticker], compared[ticker] = differing(stored[ticker], bars)
    return different, compared


def _read_again(work: _Work, connection: Connection, confirmed: Sequence[Restatement]) -> None:
    """Fetch and load the whole history of each series, also where this run's own window ends earlier."""
    if not confirmed:
        return
    states = series_states(
        connection, work.spec.market, work.spec.interval, [entry.ticker for entry in confirmed]
    )
    connection.commit()
    ends = {ticker: max(work.spec.window.end, instant(state.last + 1)) for ticker, state in states.items()}
    windows = {ticker: Window(instant(state.first), ends[ticker]) for ticker, state in states.items()}
    ids = {entry.ticker: entry.restatement_id for entry in confirmed}
    _load_windows(work, windows, BatchKind.REREAD, ids)
    silent = [ticker for ticker, failure in work.failed.items() if failure.kind == NoData.__name__]
    keep_unread(
        connection,
        [Unread(ids[t], None, None, None, work.failed.pop(t).message) for t in silent if t in ids],
        run_id=work.spec.run_id,
        now=work.now,
    )
    work.done.reread += sum(state == "reread" for state in states_of(connection, list(ids.values())))


def _load_windows(
    work: _Work, windows: Mapping[str, Window], kind: BatchKind, rereads: Mapping[str, int]
) -> None:
    """Fetch and load each ticker's window; the load ends the restatements of `rereads` whose history came whole."""
    for batch in make_batches(windows, work.settings.batch_size, kind):
        done = run_batch(
            work.dsn,
            work.spec,
            batch,
            settings=work.settings,
            now=work.now,
            rereads=rereads,
            guard=work.guard,
        )
        work.done.counts += done.counts
        work.failed.update(done.failed)
