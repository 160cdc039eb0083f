"""Ask a batch's sources: in their turn among all workers, the next one where one fails, with every answer kept.

Or replay: the kept answers of an earlier run in the vendors' place, asked as of then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

from hypertape.errors import SourceUnavailable
from hypertape.frame import empty_frame, empty_rejects
from hypertape.model import Window
from hypertape.settings import Settings, load_settings
from hypertape.sources import Fetched, OnTicker, Throttle, cut, open_source
from hypertape.steps.failover import fetch_from, joined, only, without
from hypertape.steps.plan import Batch, RunSpec
from hypertape.steps.raw import Note, RawKeeper, RawReplay, notes, write_note
from hypertape.warehouse.source_state import DatabaseThrottle


def ask_sources(
    head: RunSpec,
    part: Batch,
    tickers: Sequence[str],
    *,
    landing: str,
    now: datetime,
    dsn: str | None,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Fetch some tickers of a batch from the run's sources, or from the run it replays."""
    if head.source.replay:
        return _replay(head, part, tickers, landing, head.source.replay, on_ticker)
    settings = load_settings()
    keeper = RawKeeper(landing, head.run_id) if settings.raw_days else None
    with shared_throttle(dsn, settings) as throttle:
        fetched = fetch_from(
            [partial(open_source, config, throttle=throttle, recorder=keeper) for config in head.source.chain],
            head.market, tickers, head.interval, part.window, now=now, on_ticker=on_ticker,
        )  # fmt: skip
    if keeper is not None and keeper.kept:
        asks = ((now, tuple(tickers)),)
        place = (head.market.code, head.interval.value, part.index, part.window)
        write_note(landing, head.run_id, Note(*place, head.source, asks))
    return fetched


@contextmanager
def shared_throttle(dsn: str | None, settings: Settings) -> Iterator[Throttle | None]:
    """The throttle all workers share through the warehouse; None without a warehouse."""
    if dsn is None:
        yield None
        return
    with DatabaseThrottle(dsn, settings.source_failures, settings.source_pause) as throttle:
        yield throttle


def _replay(
    head: RunSpec, part: Batch, tickers: Sequence[str], landing: str, run: str, on_ticker: OnTicker | None
) -> Fetched:
    """Make every try of the run again, whole, and take each ticker from its last one.

    Whole, because a vendor that takes several tickers in a request is asked for the same ones together.
    """
    recorder = RawReplay(landing, run)
    answer = Fetched(empty_frame(), empty_rejects(), {t: _not_asked(head, part, t, run) for t in tickers})
    for note in _holding(notes(landing, run, head.market, head.interval), part.window, tickers):
        chain = replace(note.source, replay=run).chain
        sources = [partial(open_source, one, recorder=recorder) for one in chain]
        for at, asked in note.asks:
            again = [ticker for ticker in tickers if ticker in asked]
            if again:
                fetched = fetch_from(sources, head.market, asked, head.interval, note.window, now=at)
                if note.window != part.window:
                    fetched = cut(fetched, head.market, head.interval, part.window, now=at)
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


def _not_asked(head: RunSpec, part: Batch, ticker: str, run: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"The run {run} did not ask for it in this window",
        market=head.market.code,
        ticker=ticker,
        interval=head.interval.value,
        window=part.window,
        next_step="Replay the windows it fetched.",
    )
