"""Plan a run: which tickers, which window each, in which batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypertape.calendars import expected_times, provisional_from
from hypertape.errors import BadInput
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, midnight
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig, open_source
from hypertape.steps.raw import Note, notes
from hypertape.steps.run_spec import CHECKS, REREADS, Batch, RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_calendar, watermarks

__all__ = ["CHECKS", "REREADS", "Batch", "RunSpec", "plan"]

_OVERLAP_SEARCH = timedelta(days=60)
"""Long enough to find the overlap's bars across the longest closure."""


def plan(
    dsn: str,
    market: str,
    interval: str,
    *,
    run_id: str,
    data_interval: Sequence[str],
    exact: bool,
    source: Mapping[str, Any] | None = None,
    tickers: Sequence[str] | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Return the run's plan as JSON: the head's keys, `batches` and `expected_bars`.

    `exact`: the run owns its data interval, no more and no less (a backfill, an explicit window). Otherwise each
    ticker's window starts where its watermark ends, less an overlap that detects restatements, and where there is no
    watermark at the market's history start. The calendar sessions of the plan are registered in the warehouse.
    A source with `replay` gives the batches and windows of the run it names.
    Raises UnknownMarket, UnknownInterval, UnknownSource, BadInput and what `connect` raises.
    """
    settings = settings or load_settings()
    of_market, of_interval = get_market(market), stored_interval(interval)
    config = resolve_source(of_market, source, settings)
    owned = Window.from_json(data_interval)
    batches: list[Batch] = []
    wanted: tuple[str, ...] = ()
    if config.replay:
        found = notes(settings.landing, config.replay, of_market, of_interval)
        config, batches = replace(found[0].source, replay=config.replay), replayed(found, tickers)
    else:
        wanted = choose_tickers(of_market, of_interval, config, tickers)
    with connect(dsn) as connection:
        known = {} if exact else watermarks(connection, of_market, of_interval)
        windows = {
            ticker: owned
            if exact
            else window_for(of_market, of_interval, known.get(ticker), owned.end, settings)
            for ticker in wanted
        }
        batches = batches or make_batches(windows, settings.batch_size)
        span = _span(batches, owned)
        register_calendar(connection, of_market, span, span.end)
    head = RunSpec(run_id, of_market, of_interval, config, span)
    expected = sum(len(expected_times(of_market, of_interval, b.window)) * len(b.tickers) for b in batches)
    return {**head.to_json(), "batches": [batch.to_json() for batch in batches], "expected_bars": expected}


def replayed(found: Sequence[Note], tickers: Sequence[str] | None) -> list[Batch]:
    """The batches a run has loaded, cut down to some tickers. Raises BadInput when none is left.

    What it fetched for comparing only is no batch of these.
    """
    batches = [
        Batch(note.index, tuple(t for t in note.tickers if not tickers or t in tickers), note.window)
        for note in found
        if not CHECKS <= note.index < REREADS
    ]
    if not any(batch.tickers for batch in batches):
        raise BadInput("The replayed run asked for none of these tickers")
    return [batch for batch in batches if batch.tickers]


def resolve_source(market: Market, given: Mapping[str, Any] | None, settings: Settings) -> SourceConfig:
    """The source of a run: what was asked for, else HYPERTAPE_SOURCE, else the market's sources, one after the other.

    A source that was named is the only one that is asked.
    """
    asked = {key: value for key, value in (given or {}).items() if value is not None}
    named = asked.pop("name", None) or settings.source
    name, *others = [named] if named else market.sources
    defaults: dict[str, Any] = {"fallbacks": tuple(others)}
    if name == "csv_tree":
        defaults |= {
            "directory": str(settings.source_dir) if settings.source_dir else None,
            "legacy_scale": settings.legacy_scale,
        }
    return SourceConfig.from_json({"name": name, **defaults, **asked})


def choose_tickers(
    market: Market, interval: Interval, config: SourceConfig, asked: Sequence[str] | None
) -> tuple[str, ...]:
    """The run's tickers: those asked for, else those the source lists, else (no directory of files) the market's file.

    Raises BadInput when there is none.
    """
    if asked:
        return tuple(dict.fromkeys(asked))
    listed = open_source(config).tickers(market, interval)
    if not listed and config.directory is None:
        listed = tuple(market.by_ticker)
    if not listed:
        raise BadInput(
            f"Source {config.name} lists no tickers for {market.code} {interval.value}",
            next_step="Name them with --tickers, or point --source-dir at a directory that has this interval.",
        )
    return listed


def window_for(
    market: Market, interval: Interval, watermark: datetime | None, end: datetime, settings: Settings
) -> Window:
    """The window a scheduled run owns for one ticker: `[watermark − overlap, end)`, empty when it is up to date."""
    if watermark is None:
        return Window(min(midnight(market.history_start[interval]), end), end)
    start = min(overlap_start(market, interval, watermark, settings.overlap_bars), end)
    return Window(start, end)


def overlap_start(market: Market, interval: Interval, watermark: datetime, bars: int) -> datetime:
    """The opening of the `bars`-th final bar before a watermark. A bar that was open at it is always read again."""
    final_until = min(watermark, provisional_from(market, interval, watermark))
    expected = expected_times(market, interval, Window(final_until - _OVERLAP_SEARCH, final_until))
    return instant(int(expected[-min(bars, len(expected))])) if bars and len(expected) else final_until


def make_batches(windows: Mapping[str, Window], size: int) -> list[Batch]:
    """Group tickers that share a window into batches of at most `size`; empty windows need no work."""
    groups: dict[Window, list[str]] = defaultdict(list)
    for ticker, window in windows.items():
        if not window.is_empty:
            groups[window].append(ticker)
    chunks = [
        (tuple(tickers[first : first + size]), window)
        for window, tickers in sorted(groups.items(), key=lambda item: item[0].start)
        for first in range(0, len(tickers), size)
    ]
    return [Batch(index, tickers, window) for index, (tickers, window) in enumerate(chunks)]


def stored_interval(interval: str) -> Interval:
    """Read an interval that is loaded. Raises UnknownInterval, and BadInput for one that is rolled up."""
    parsed = Interval.parse(interval)
    if not parsed.is_stored:
        raise BadInput(
            f"{parsed.value} bars are rolled up, not loaded",
            next_step=f"Load {parsed.base.value}, the rollup follows.",
        )
    return parsed


def _span(batches: Sequence[Batch], owned: Window) -> Window:
    if not batches:
        return owned
    return Window(min(batch.window.start for batch in batches), max(batch.window.end for batch in batches))
