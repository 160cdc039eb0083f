"""Ask a batch's sources: in their turn among all workers, the next one where one fails, with every answer kept.

Or replay: the kept answers of an earlier run in the vendors' place, asked as of then.

A ticker goes on to the next source when its source was away (SourceUnavailable, RateLimited, CircuitOpen), had nothing
(NoData) or answered in a shape nobody reads (SourceSchemaChanged). An answer that is merely short does not: half a
window from one vendor and half from another would mix two vendors' adjustments in one series; it is reported instead,
and the gap ledger heals it. A ticker's bars of one run are all from one source.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import (
    CircuitOpen,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    TransientError,
)
from hypertape.frame import empty_frame, empty_rejects
from hypertape.model import Interval, Market, Window
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.sources import NOTES, TABLES, Fetched, OnTicker, Source, Throttle, cut, open_source, rate_of
from hypertape.steps.failures import Failure
from hypertape.steps.raw import Note, RawKeeper, RawReplay, notes, write_note
from hypertape.steps.run_spec import Batch, BatchKind, RunSpec
from hypertape.steps.spelling import named_now, noted_symbols, spelled_now
from hypertape.warehouse.connect import connect
from hypertape.warehouse.source_state import DatabaseThrottle

PASSES_ON = (SourceUnavailable, RateLimited, CircuitOpen, NoData, SourceSchemaChanged)
"""The failures after which the next source is asked."""

_AWAY = (SourceUnavailable, RateLimited, CircuitOpen)
_Tried = dict[str, dict[str, HypertapeError]]


def ask_sources(
    spec: RunSpec,
    batch: Batch,
    tickers: Sequence[str],
    *,
    settings: Settings,
    now: datetime,
    dsn: str | None,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Fetch some tickers of a batch from the run's sources, or from the run it replays."""
    landing = settings.landing
    if spec.source.replay:
        kept = named_now(notes(landing, spec.source.replay, spec.market, spec.interval), spec.market, dsn)
        return _replay(spec, batch, tickers, settings, kept, on_ticker)
    keeper = RawKeeper(landing, spec.run_id) if settings.raw_days else None
    market = spelled_now(spec.market, dsn, now)
    with shared_throttle(dsn, settings) as throttle:
        fetched = fetch_from(
            [
                partial(open_source, config, settings, throttle=throttle, recorder=keeper)
                for config in spec.source.chain
            ],
            market, tickers, spec.interval, batch.window, now=now, on_ticker=on_ticker,
        )  # fmt: skip
    if keeper is not None and keeper.kept:
        asks = ((now, tuple(tickers)),)
        note = Note(
            spec.market.code, spec.interval.value, batch.kind, batch.index, batch.window, spec.source, asks,
            noted_symbols(market, [config.name for config in spec.source.chain], tickers),
        )  # fmt: skip
        write_note(landing, spec.run_id, note)
    return fetched


def told_from_outage(
    fetched: Fetched,
    spec: RunSpec,
    batch: Batch,
    wanted: Sequence[str],
    *,
    settings: Settings,
    now: datetime,
    dsn: str,
) -> Fetched:
    """The answer, with silence on everything told apart from an outage.

    Where a source has nothing for any ticker it is asked for a bar that it once gave. If it denies that one too it is
    not itself, and its silence excuses no bar: the failures become SourceUnavailable.
    """
    failed = {ticker: Failure.of(error) for ticker, error in fetched.failures.items()}
    if set(failed) < set(wanted) or not all(failure.is_answer for failure in failed.values()):
        return fetched
    names = [config.name for config in spec.source.chain]
    with connect(dsn) as connection:
        known = connection.execute(
            query("control_bar"),
            {
                "market": spec.market.code,
                "interval": spec.interval.value,
                "sources": names,
                "silent": list(wanted),
            },
        ).fetchone()
    if known is None and len(wanted) == 1:
        return fetched
    what = "it never served a bar before"
    if known is not None:
        ticker, time = known
        control = Batch(BatchKind.CONTROL, batch.index, (ticker,), _window_of(spec.interval, time))
        answer = ask_sources(spec, control, [ticker], settings=settings, now=now, dsn=dsn)
        if ticker not in answer.failures:
            return fetched
        what = f"nor for the bar of {ticker} at {time:%Y-%m-%d %H:%M} that it gave before"
    error = SourceUnavailable(
        f"{' and '.join(names)} had nothing for any of {len(wanted)} tickers, {what}: that is an outage, no answer",
        market=spec.market.code,
        interval=spec.interval.value,
        window=batch.window,
        next_step="Ask again when it serves; see `hypertape source status`.",
    )
    return replace(fetched, failures=dict.fromkeys(wanted, error))


def _window_of(interval: Interval, time: datetime) -> Window:
    assert interval.delta is not None
    return Window(time, time + interval.delta)


@contextmanager
def shared_throttle(dsn: str | None, settings: Settings) -> Iterator[Throttle | None]:
    """The throttle all workers share through the warehouse; None without a warehouse."""
    if dsn is None:
        yield None
        return
    rate = partial(rate_of, rates=settings.rates)
    with DatabaseThrottle(dsn, rate, settings.source_failures, settings.source_pause) as throttle:
        yield throttle


def _replay(
    spec: RunSpec,
    batch: Batch,
    tickers: Sequence[str],
    settings: Settings,
    kept: Sequence[Note],
    on_ticker: OnTicker | None,
) -> Fetched:
    """Make every try of the run again, whole, and take each ticker from its last one.

    Whole, because a vendor that takes several tickers in a request is asked for the same ones together.
    """
    run = str(spec.source.replay)
    recorder = RawReplay(settings.landing, run)
    answer = Fetched(empty_frame(), empty_rejects(), {t: _not_asked(spec, batch, t, run) for t in tickers})
    for note in _holding(kept, batch.window, tickers):
        chain = replace(note.source, replay=run).chain
        sources = [partial(open_source, one, settings, recorder=recorder) for one in chain]
        market = replace(spec.market, symbols={**spec.market.symbols, **note.symbols})
        for at, asked in note.asks:
            again = [ticker for ticker in tickers if ticker in asked]
            if again:
                fetched = fetch_from(sources, market, asked, spec.interval, note.window, now=at)
                if note.window != batch.window:
                    fetched = cut(fetched, spec.market, spec.interval, batch.window, now=at)
                answer = joined(without(answer, again), only(fetched, again))
    for ticker in tickers if on_ticker else ():
        on_ticker(ticker)  # type: ignore[misc]
    return answer


def _holding(found: Sequence[Note], window: Window, tickers: Sequence[str]) -> list[Note]:
    """The notes of a window; where they lack a ticker, first those whose window holds it."""
    own = [note for note in found if note.window == window]
    if {ticker for note in own for ticker in note.tickers} >= set(tickers):
        return own
    wider = (note.window for note in found)
    holding = [w.start <= window.start and window.end <= w.end for w in wider]
    return [note for note, holds in zip(found, holding, strict=True) if holds and note not in own] + own


def _not_asked(spec: RunSpec, batch: Batch, ticker: str, run: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"The run {run} did not ask for it in this window",
        market=spec.market.code,
        ticker=ticker,
        interval=spec.interval.value,
        window=batch.window,
        next_step="Replay the windows it fetched.",
    )


def fetch_from(
    sources: Sequence[Callable[[], Source]],
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    *,
    now: datetime,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Ask the sources in order, each for the tickers that those before it failed, and join what they answered.

    A ticker that nobody served keeps one failure with what every source said: a transient one where any of them may
    serve it later. Raises what a source raises as a whole, unless it was merely away.
    """
    answer = Fetched(empty_frame(), empty_rejects(), {})
    tried: _Tried = {ticker: {} for ticker in tickers}
    left = list(tickers)
    for place, build in enumerate(sources):
        source = build()
        tell = on_ticker if place == 0 else None
        fetched = _ask(source, market, left, interval, window, now=now, on_ticker=tell)
        for ticker, error in fetched.failures.items():
            tried[ticker][source.name] = error
        served = dict.fromkeys((t for t in left if t not in fetched.failures), source.name)
        answer = joined(answer, replace(fetched, failures={}, served_by=served))
        left = [t for t in left if isinstance(fetched.failures.get(t), PASSES_ON)]
        if not left:
            break
    unserved = {ticker: errors for ticker, errors in tried.items() if ticker not in answer.served_by}
    return replace(answer, failures={ticker: _one_of(errors) for ticker, errors in unserved.items()})


def _ask(
    source: Source,
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    *,
    now: datetime,
    on_ticker: OnTicker | None,
) -> Fetched:
    try:
        return source.fetch(market, tickers, interval, window, now=now, on_ticker=on_ticker)
    except _AWAY as error:
        return Fetched(empty_frame(), empty_rejects(), dict.fromkeys(tickers, error))


def joined(before: Fetched, more: Fetched) -> Fetched:
    """Join two answers about different tickers."""
    tables = {table: pa.concat_tables([getattr(before, table), getattr(more, table)]) for table in TABLES}
    notes = {note: {**getattr(before, note), **getattr(more, note)} for note in NOTES}
    return Fetched(**tables, **notes)


def only(fetched: Fetched, tickers: Collection[str]) -> Fetched:
    """The part of an answer that is about some tickers."""
    return _part(fetched, tickers, keep=True)


def without(fetched: Fetched, tickers: Collection[str]) -> Fetched:
    """The part of an answer that is about other tickers."""
    return _part(fetched, tickers, keep=False)


def _part(fetched: Fetched, tickers: Collection[str], *, keep: bool) -> Fetched:
    wanted = pa.array(list(tickers), pa.string())
    tables = {}
    for name in TABLES:
        table = getattr(fetched, name)
        inside = pc.is_in(table["ticker"], wanted)
        tables[name] = table.filter(inside if keep else pc.invert(inside))
    notes = {
        name: {t: value for t, value in getattr(fetched, name).items() if (t in tickers) is keep}
        for name in NOTES
    }
    return Fetched(**tables, **notes)


def _one_of(errors: Mapping[str, HypertapeError]) -> HypertapeError:
    """One failure for a ticker that several sources failed; it says what each of them said."""
    first, *others = errors.values()
    if not others:
        return first
    chosen = next((error for error in errors.values() if isinstance(error, TransientError)), first)
    said = "; ".join(f"{name}: {error.what.rstrip('.')}" for name, error in errors.items())
    return type(chosen)(
        f"No source served it: {said}",
        next_step=chosen.advice,
        market=chosen.market,
        ticker=chosen.ticker,
        interval=chosen.interval,
        window=chosen.window,
    )
