"""What a load says about restatements, in its own transaction: raises, disputes, answers and ends them.

docs/decisions/0012-sources-in-order.md: why a source that stands in for another one changes none of that one's bars.
docs/decisions/0014-restatements.md: what becomes of an answer that does not reach far enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from hypertape.frame import Bars, Micros, instant, micros
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, SeriesLoad
from hypertape.warehouse.loading.merge import Move, move_of
from hypertape.warehouse.loading.stored import SeriesState, given_times, newest_given
from hypertape.warehouse.restatements import Unread, note_unread

Connection = psycopg.Connection[Any]
States = Mapping[str, SeriesState]

AGREES = 1e-3
"""Relative: two vendors that state a close this near to each other have the same footing; digits and lots differ."""


def find_stand_ins(
    connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad], states: States
) -> dict[str, Micros]:
    """Find the series that are served in another source's place; return which stored bars the other may change.

    Those it gave itself, and that are newer than all of the first source's: an older one may be equal to what that one
    said of it. A series of which the first source never gave a bar is the other one's own.
    """
    served = {e.ticker: e for e in batch if len(e.incoming) and request.by_another(e.ticker)}
    ends = {ticker: states[ticker].last + 1 for ticker in served if ticker in states}
    left = newest_given(connection, request.market, request.interval, request.source, states, ends)
    for ticker, newest in left.items():
        served[ticker].first_left_at = newest
    sources = {ticker: request.source_of(ticker) for ticker in left}
    spans = {ticker: (newest + 1, max(newest, served[ticker].span[1])) for ticker, newest in left.items()}
    return given_times(connection, request.market, request.interval, sources, spans)


def find_unread(
    connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad], states: States
) -> None:
    """Count what a history that is read again should hold, and does not: the final bars its source gave before."""
    again = {e.ticker: e for e in batch if e.ticker in request.rereads and e.ticker in states}
    sources = {ticker: request.source_of(ticker) for ticker in again}
    spans = {ticker: (states[ticker].first, states[ticker].last) for ticker in again}
    for ticker, times in given_times(connection, request.market, request.interval, sources, spans).items():
        final = times[times != states[ticker].provisional]
        again[ticker].readable = len(final)
        again[ticker].unread = int((~np.isin(final, again[ticker].incoming.time)).sum())


def note_restatements(
    connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad], states: States
) -> None:
    """Note what a load found out about restatements: suspicions, disputes, and what it settles of both."""
    loaded = [entry for entry in batch if not entry.refused]
    if request.watch:
        _suspect(connection, request, [e for e in loaded if len(e.restated) and not e.stands_in])
    _dispute(connection, request, [entry for entry in loaded if entry.stands_in])
    _answer(connection, request, [e for e in loaded if len(e.incoming) and not e.stands_in], states)
    _end(connection, request, [entry for entry in loaded if entry.ticker in request.rereads])


def _suspect(connection: Connection, request: LoadRequest, suspect: Sequence[SeriesLoad]) -> None:
    """Final bars changed: if their own source changed them, its older ones may have changed as well."""
    if not suspect:
        return
    moves = [move_of(entry.former, entry.restated) for entry in suspect]
    parameters = {
        "compared_froms": [instant(entry.span[0]) for entry in suspect],
        "bars": [len(entry.restated) for entry in suspect],
        "firsts": [instant(int(entry.restated.time[0])) for entry in suspect],
        "lasts": [instant(int(entry.restated.time[-1])) for entry in suspect],
    }
    connection.execute(query("suspect_restatements"), _common(request, suspect, moves) | parameters)


@dataclass(frozen=True, slots=True)
class _Disputed:
    """What a source that stands in says: bars newer than the first one's, and other closes for those that are kept."""

    entry: SeriesLoad
    newer: Micros
    kept: Bars
    stated: Bars

    @classmethod
    def of(cls, entry: SeriesLoad) -> _Disputed:
        stated = entry.incoming.take(np.isin(entry.incoming.time, entry.kept.time))
        far = ~np.isclose(stated.close, entry.kept.close, rtol=AGREES, atol=0.0)
        newer = entry.incoming.time[entry.incoming.time > (entry.first_left_at or 0)]
        return cls(entry, newer, entry.kept.take(far), stated.take(far))

    @property
    def times(self) -> Micros:
        return np.concatenate([self.kept.time, self.newer])

    @property
    def since(self) -> int:
        """From here on the first source's own bars have ended."""
        assert self.entry.first_left_at is not None
        return int(self.newer[0]) if len(self.newer) else self.entry.first_left_at + 1

    @property
    def move(self) -> Move:
        return move_of(self.kept, self.stated) if len(self.kept) else Move("mixed", None)


def _dispute(connection: Connection, request: LoadRequest, served: Sequence[SeriesLoad]) -> None:
    """Another source brought newer bars than the first one had, or states that one's bars otherwise."""
    found = [said for said in map(_Disputed.of, served) if len(said.times)]
    if not found:
        return
    parameters = {
        "source": request.source,
        "stand_ins": [request.source_of(said.entry.ticker) for said in found],
        "compared_froms": [instant(said.since) for said in found],
        "bars": [len(said.kept) for said in found],
        "firsts": [instant(int(said.times.min())) for said in found],
        "lasts": [instant(int(said.times.max())) for said in found],
    }
    common = _common(request, [said.entry for said in found], [said.move for said in found])
    connection.execute(query("note_disputes"), common | parameters)


def _common(request: LoadRequest, entries: Sequence[SeriesLoad], moves: Sequence[Move]) -> dict[str, Any]:
    return {
        "market": request.market.code,
        "interval": request.interval.value,
        "run_id": request.run_id,
        "now": request.now,
        "tickers": [entry.ticker for entry in entries],
        "load_ids": [entry.load_id for entry in entries],
        "ratios": [move.ratio for move in moves],
        "directions": [move.direction for move in moves],
    }


def _answer(
    connection: Connection, request: LoadRequest, served: Sequence[SeriesLoad], states: States
) -> None:
    """The first source is back. Where its answer holds stored bars of before its absence, it was compared with them."""
    if not served or request.keep_stored:
        return
    by_ticker = {entry.ticker: entry for entry in served}
    asked = (request.market.code, request.interval.value, list(by_ticker))
    answered: list[tuple[int, int, int]] = []
    unread: list[Unread] = []
    for dispute, ticker, source, since in connection.execute(query("open_disputes"), asked).fetchall():
        entry, state = by_ticker[ticker], states.get(ticker)
        window = request.window_of(ticker)
        about = window.start < since and (state is None or micros(window.end) > state.last)
        handed_over = request.accept_scale  # a person has another source's history written in its place
        if not about or (source != request.source_of(ticker) and not handed_over):
            continue
        checked, differing = _compared(entry, micros(since))
        if checked:
            answered.append((dispute, checked, differing))
        else:
            first = instant(entry.span[0])
            said = f"{source} is back, but the answer begins at {first:%Y-%m-%d %H:%M}: no older bar was compared"
            unread.append(Unread(dispute, None, entry.load_id, first, said))
    if answered:
        names = ("ids", "checked", "differing")
        columns = dict(zip(names, map(list, zip(*answered, strict=True)), strict=True))
        connection.execute(
            query("answer_disputes"), {"run_id": request.run_id, "now": request.now, **columns}
        )
    note_unread(connection, unread, run_id=request.run_id, now=request.now)


def _compared(entry: SeriesLoad, before: int) -> tuple[int, int]:
    """Of the incoming bars before an instant, how many were stored, and how many of those differ."""
    assert entry.merged is not None
    merged = entry.merged
    both = ~merged.added & (merged.bars.time < before) & np.isin(merged.bars.time, entry.incoming.time)
    return int(both.sum()), int((both & merged.changed).sum())


def _end(connection: Connection, request: LoadRequest, again: Sequence[SeriesLoad]) -> None:
    """End the restatements whose history was read whole; of the others note how far it was."""
    whole = [entry for entry in again if len(entry.incoming) and not entry.unread]
    if whole:
        parameters = {
            "run_id": request.run_id,
            "now": request.now,
            "ids": [request.rereads[entry.ticker] for entry in whole],
            "load_ids": [entry.load_id for entry in whole],
            "froms": [instant(entry.span[0]) for entry in whole],
        }
        connection.execute(query("end_restatements"), parameters)
    part = [entry for entry in again if not len(entry.incoming) or entry.unread]
    unread = [Unread(request.rereads[e.ticker], e.unread, e.load_id, _begin(e), _lacking(e)) for e in part]
    note_unread(connection, unread, run_id=request.run_id, now=request.now)


def _begin(entry: SeriesLoad) -> Any:
    return instant(entry.span[0]) if len(entry.incoming) else None


def _lacking(entry: SeriesLoad) -> str:
    begin = _begin(entry)
    reach = "it holds no bar" if begin is None else f"the answer begins at {begin:%Y-%m-%d %H:%M}"
    return f"The history was not read whole: {reach} and lacks {entry.unread} of the {entry.readable} stored bars"
