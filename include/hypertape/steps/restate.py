"""Find out whether a changed final bar is a restatement of the whole history, and if so read it again, once.

A load that changes final bars leaves a suspicion (`warehouse.restatements`). Here the vendor is asked for bars before
those it answered, the latest and the first of the series: where one of them differs from what is stored, the whole
history is read and loaded, else the change was local. What a vendor does not answer for stays open for the next runs.
Before that, a source that others stood in for is compared with its own newest bars again.
docs/decisions/0014-restatements.md has the reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.errors import HypertapeError, NoData
from hypertape.frame import Bars, instant, micros, split_series
from hypertape.model import Window
from hypertape.quality.gate import gate
from hypertape.settings import Settings, load_settings
from hypertape.steps.enrich import enrich
from hypertape.steps.extract import extract
from hypertape.steps.landing import Landing
from hypertape.steps.load import raise_if_failed, store
from hypertape.steps.plan import CHECKS, REREADS, Batch, RunSpec, make_batches, overlap_start
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.merge import differing
from hypertape.warehouse.loading.stored import newest_given, read_neighbours, series_states
from hypertape.warehouse.restatements import (
    Restatement,
    Unread,
    disputes_of_run,
    held,
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
class _Work:
    """One source's open restatements in this run, and what has come of them."""

    dsn: str
    head: RunSpec
    plan_head: Mapping[str, Any]
    now: datetime
    settings: Settings
    states: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, dsn: str, plan_head: Mapping[str, Any], source: Mapping[str, Any], reason: str, now: datetime,
        settings: Settings | None,
    ) -> _Work:  # fmt: skip
        """The run's work with one source, which writes whatever differs."""
        named = {**plan_head, "source": source, "mode": "overwrite", "reason": reason}
        return cls(dsn, RunSpec.from_json(named), named, now, settings or load_settings())


def reread(
    dsn: str, plan_head: Mapping[str, Any], *, now: datetime, settings: Settings | None = None
) -> dict[str, Any]:
    """What the task does: `settle`, and then raise BatchIncomplete or BatchRefused for the tickers that failed."""
    done = settle(dsn, plan_head, now=now, settings=settings)
    raise_if_failed(done["failed"], RunSpec.from_json(plan_head))
    return done


def settle(
    dsn: str,
    plan_head: Mapping[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Settle the open restatements of the tickers this run has loaded; return counts and failed tickers as JSON.

    `local`, `confirmed` and `reread` count tickers; `inserted`, `updated` and the like the bars of what was read again.
    A ticker that failed keeps its place in the ledger for the next run. Raises only for a problem of a whole source.
    """
    head, sources = RunSpec.from_json(plan_head), _sources(plan_head)
    tell = on_step or (lambda *_: None)
    total, failed = _reach_back(dsn, plan_head, sources, now, settings)
    with (
        connect(dsn) as holder,
        held(holder, head.market, head.interval, run_id=head.run_id, sources=list(sources)) as found,
    ):
        for name in sorted({entry.source for entry in found}):
            work = _Work.of(dsn, plan_head, sources[name], REASON, now, settings)
            tell(f"restatements of {name}", 0, 1)
            _settle_source(work, [entry for entry in found if entry.source == name])
            tell(f"restatements of {name}", 1, 1)
            total += work.states + work.counts
            failed |= work.failed
        return {"suspected": len(found), **total, "failed": failed}


def _reach_back(
    dsn: str,
    plan_head: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, Any]],
    now: datetime,
    settings: Settings | None,
) -> tuple[Counter[str], dict[str, Any]]:
    """Where the first source serves again, read on from its own newest bars: they are compared, the others replaced."""
    if not sources:
        return Counter(), {}
    work = _Work.of(dsn, plan_head, next(iter(sources.values())), RETURN, now, settings)
    with connect(dsn) as connection:
        windows = _absences(work, connection)
    _load_windows(work, windows, REREADS + 50_000, {})
    return work.counts, work.failed


def _absences(work: _Work, connection: Connection) -> dict[str, Window]:
    """Per ticker that others served for a while, the window from an overlap of its source's own bars before that on."""
    head = work.head
    name, end = head.source.name, head.window.end
    found = disputes_of_run(connection, head.market, head.interval, run_id=head.run_id, source=name)
    states = series_states(connection, head.market, head.interval, [entry.ticker for entry in found])
    current = {
        entry.ticker: micros(entry.since)
        for entry in found
        if entry.ticker in states and states[entry.ticker].last < micros(end)
    }
    own = newest_given(connection, head.market, head.interval, name, states, current)
    bars = max(1, work.settings.overlap_bars)
    return {
        ticker: Window(overlap_start(head.market, head.interval, instant(newest), bars), end)
        for ticker, newest in own.items()
    }


def _sources(plan_head: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of each source of the run, on its own. A replayed run asks nobody."""
    config = dict(plan_head["source"])
    others = config.pop("fallbacks", ())
    if config.get("replay"):
        return {}
    return {config["name"]: config, **{name: {"name": name} for name in others}}


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
        note_errors(connection, {e.restatement_id: work.failed[e.ticker]["message"] for e in failed})


def _confirm(work: _Work, connection: Connection, suspected: Sequence[Restatement]) -> list[Restatement]:
    """Compare each suspected series with the vendor's older bars; return those where some differ."""
    older = _older(work, connection, suspected)
    different, compared = _compare(work, {t: latest for t, (latest, _) in older.items()}, CHECKS)
    equal = {t: first for t, (_, first) in older.items() if not different[t] and t not in work.failed}
    for known, counts in zip((different, compared), _compare(work, equal, CHECKS + 50_000), strict=True):
        known.update(counts)
    confirmed, unread = [], []
    run_id = work.head.run_id
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
        work.states[state] += 1
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

    market, interval = work.head.market, work.head.interval
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


def _compare(work: _Work, stored: Mapping[str, Bars], number: int) -> tuple[Counter[str], Counter[str]]:
    """Ask the vendor for these stored bars; per ticker, how many of them differ and how many came at all."""

    windows = {
        ticker: Window(instant(int(bars.time[0])), instant(int(bars.time[-1])) + timedelta(microseconds=1))
        for ticker, bars in stored.items()
        if len(bars)
    }
    different: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for batch in _numbered(windows, work.settings.batch_size, number):
        landed = extract(
            batch.to_json(),
            plan_head=work.plan_head,
            landing=work.settings.landing,
            now=work.now,
            dsn=work.dsn,
        )
        work.failed |= {t: failure for t, failure in landed["failed"].items() if failure["kind"] != "NoData"}
        answer = Landing(work.settings.landing, work.head.run_id, batch.index).read("bars")
        clean = gate(answer, work.head.market, work.head.interval, now=work.now).bars
        for ticker, bars in split_series(clean):
            if ticker in stored:
                different[ticker], compared[ticker] = differing(stored[ticker], bars)
    return different, compared


def _read_again(work: _Work, connection: Connection, confirmed: Sequence[Restatement]) -> None:
    """Fetch and load the whole history of each series, also where this run's own window ends earlier."""
    if not confirmed:
        return
    states = series_states(
        connection, work.head.market, work.head.interval, [entry.ticker for entry in confirmed]
    )
    connection.commit()
    ends = {ticker: max(work.head.window.end, instant(state.last + 1)) for ticker, state in states.items()}
    windows = {ticker: Window(instant(state.first), ends[ticker]) for ticker, state in states.items()}
    ids = {entry.ticker: entry.restatement_id for entry in confirmed}
    _load_windows(work, windows, REREADS, ids)
    silent = [ticker for ticker, failure in work.failed.items() if failure["kind"] == NoData.__name__]
    keep_unread(
        connection,
        [Unread(ids[t], None, None, None, work.failed.pop(t)["message"]) for t in silent if t in ids],
        run_id=work.head.run_id,
        now=work.now,
    )
    work.states["reread"] += sum(state == "reread" for state in states_of(connection, list(ids.values())))


def _load_windows(
    work: _Work, windows: Mapping[str, Window], number: int, rereads: Mapping[str, int]
) -> None:
    """Fetch and load each ticker's window; the load ends the restatements of `rereads` whose history came whole."""
    for batch in _numbered(windows, work.settings.batch_size, number):
        landed = extract(
            batch.to_json(),
            plan_head=work.plan_head,
            landing=work.settings.landing,
            now=work.now,
            dsn=work.dsn,
        )
        sifted = enrich(work.dsn, landed, plan_head=work.plan_head, now=work.now)
        done = store(work.dsn, sifted, work.head, now=work.now, attempt=1, rereads=rereads)
        for name in ("inserted", "updated", "recomputed", "unchanged", "quarantined", "flagged"):
            work.counts[name] += done[name]
        work.failed |= done["failed"]


def _numbered(windows: Mapping[str, Window], size: int, number: int) -> list[Batch]:
    return [Batch(number + batch.index, batch.tickers, batch.window) for batch in make_batches(windows, size)]
