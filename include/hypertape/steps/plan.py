"""Plan a run: which tickers, which window each, in which batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import psycopg

from hypertape.calendars import expected_times, provisional_from
from hypertape.errors import BadInput, UnknownTicker
from hypertape.frame import instant
from hypertape.markets import get_market, misspelled
from hypertape.model import Interval, Market, Window, midnight
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source
from hypertape.steps.raw import Note, notes
from hypertape.steps.run_spec import Batch, BatchKind, Plan, RunSpec
from hypertape.steps.spelling import named_now
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import database_now, known_tickers, register_calendar, resume_points
from hypertape.warehouse.symbology import present_names

Connection = psycopg.Connection[Any]

SourceWish = Mapping[str, Any]
"""What somebody asks of the source: keys of SourceConfig, None where nothing was said."""

_OVERLAP_SEARCH = timedelta(days=60)
"""Long enough to find the overlap's bars across the longest closure."""


def plan(
    dsn: str,
    market: str,
    interval: str,
    *,
    run_id: str,
    data_interval: Window,
    exact: bool,
    now: datetime,
    settings: Settings,
    source: SourceWish | None = None,
    tickers: Sequence[str] | None = None,
    shared: bool = False,
) -> Plan:
    """Plan a run of one market and interval.

    `exact`: the run owns its data interval, no more and no less (a backfill, an explicit window). Otherwise each
    ticker's window starts where its bars end, less an overlap that detects restatements (`resume_points`), and where it
    was never loaded at the market's history start. No window reaches beyond `now`, nor beyond the database's. The
    calendar sessions of the plan are registered in the warehouse. A source with `replay` gives the batches and windows
    of the run it names. `shared`: a run of the schedule, which shares its round with workers where it owns no window.
    Raises UnknownMarket, UnknownInterval, UnknownSource, UnknownTicker, BadInput and what `connect` raises.
    """
    of_market, of_interval = get_market(market), stored_interval(interval)
    config = resolve_source(of_market, source, settings)
    batches: list[Batch] = []
    wanted: tuple[str, ...] = ()
    if config.replay:
        found = named_now(notes(settings.landing, config.replay, of_market, of_interval), of_market, dsn)
        config, batches = replace(found[0].source, replay=config.replay), replayed(found, tickers)
    else:
        wanted = choose_tickers(of_market, of_interval, config, tickers, settings)
    with connect(dsn) as connection:
        require_spelled(connection, of_market, tickers or ())
        wanted = present_names(connection, of_market, wanted)
        owned = until_now(data_interval, min(now, database_now(connection)))
        known = {} if exact else resume_points(connection, of_market, of_interval, owned.end)
        windows = {
            ticker: owned
            if exact
            else window_for(of_market, of_interval, known.get(ticker), owned.end, settings)
            for ticker in wanted
        }
        batches = batches or make_batches(windows, settings.batch_size)
        span = span_of(batches) or owned
        register_calendar(connection, of_market, span, span.end)
    spec = RunSpec(
        run_id, of_market, of_interval, config, span, shared=shared and not exact and not config.replay
    )
    return Plan(spec, tuple(batches), bars_expected(of_market, of_interval, batches))


def until_now(window: Window, now: datetime) -> Window:
    """A window cut at the present: what has not happened can be asked of nobody."""
    end = min(window.end, now)
    return Window(min(window.start, end), end)


def replayed(found: Sequence[Note], tickers: Sequence[str] | None) -> list[Batch]:
    """The batches a run has loaded, cut down to some tickers. Raises BadInput when none is left.

    What it fetched for comparing only is no batch of these.
    """
    batches = [
        Batch(
            note.kind,
            note.index,
            tuple(t for t in note.tickers if not tickers or t in tickers),
            note.window,
        )
        for note in found
        if note.kind.is_loaded
    ]
    if not any(batch.tickers for batch in batches):
        raise BadInput("The replayed run asked for none of these tickers")
    return [batch for batch in batches if batch.tickers]


def resolve_source(market: Market, given: SourceWish | None, settings: Settings) -> SourceConfig:
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
    market: Market, interval: Interval, config: SourceConfig, asked: Sequence[str] | None, settings: Settings
) -> tuple[str, ...]:
    """The run's tickers: those asked for, else those the source lists, else (no directory of files) the market's file.

    Raises BadInput when there is none.
    """
    if asked:
        return tuple(dict.fromkeys(asked))
    listed = open_source(config, settings).tickers(market, interval)
    if not listed and config.directory is None:
        listed = tuple(market.by_ticker)
    if not listed:
        raise BadInput(
            f"Source {config.name} lists no tickers for {market.code} {interval.value}",
            next_step="Name them with --tickers, or point --source-dir at a directory that has this interval.",
        )
    return listed


def require_spelled(connection: Connection, market: Market, asked: Iterable[str]) -> None:
    """Raise UnknownTicker for a name that is a known one in other letters: `aapl` would become a second series.

    Known are the market's list and what the warehouse has of it. A name that nobody knows may be a new listing: whether
    it is one, the source says.
    """
    strange = [ticker for ticker in asked if ticker not in market.by_ticker]
    meant = misspelled(market, strange, known_tickers(connection, market)) if strange else {}
    if meant:
        raise UnknownTicker(
            f"{', '.join(meant)} {'is no ticker' if len(meant) == 1 else 'are no tickers'} of {market.code}",
            next_step=f"Write {', '.join(meant.values())}: upper and lower case are different tickers.",
        )


def suggestions(market: Market, failed: Iterable[str], served: Iterable[str]) -> list[str]:
    """For names that failed and that the market does not list, the one spelled most like each that is known."""
    known = {*market.by_ticker, *served}
    lines = []
    for ticker in failed:
        found = [] if ticker in known else get_close_matches(ticker.upper(), sorted(known), 1, 0.75)
        lines += [f"{ticker} is not in the list of {market.code}: did you mean {found[0]}?"] if found else []
    return lines


def window_for(
    market: Market, interval: Interval, resume: datetime | None, end: datetime, settings: Settings
) -> Window:
    """The window a scheduled run owns for one ticker: `[resume − overlap, end)`, empty when it is up to date."""
    if resume is None:
        return Window(min(midnight(market.history_start[interval]), end), end)
    start = min(overlap_start(market, interval, resume, settings.overlap_bars), end)
    return Window(start, end)


def overlap_start(market: Market, interval: Interval, watermark: datetime, bars: int) -> datetime:
    """The opening of the `bars`-th final bar before a watermark. A bar that was open at it is always read again."""
    final_until = min(watermark, provisional_from(market, interval, watermark))
    expected = expected_times(market, interval, Window(final_until - _OVERLAP_SEARCH, final_until))
    return instant(int(expected[-min(bars, len(expected))])) if bars and len(expected) else final_until


def make_batches(windows: Mapping[str, Window], size: int, kind: BatchKind = BatchKind.PLAN) -> list[Batch]:
    """Group tickers that share a window into batches of at most `size`; empty windows need no work."""
    groups: dict[Window, list[str]] = defaultdict(list)
    for ticker, window in windows.items():
        if not window.is_empty:
            groups[window].append(ticker)
    return batches_of(groups, size, kind)


def batches_of(
    groups: Mapping[Window, Sequence[str]], size: int, kind: BatchKind = BatchKind.PLAN
) -> list[Batch]:
    """Cut the tickers of each window into batches of at most `size`, the oldest windows first."""
    chunks = [
        (tuple(tickers[first : first + size]), window)
        for window, tickers in sorted(groups.items(), key=lambda item: (item[0].start, item[0].end))
        for first in range(0, len(tickers), size)
    ]
    return [Batch(kind, index, tickers, window) for index, (tickers, window) in enumerate(chunks)]


def bars_expected(market: Market, interval: Interval, batches: Iterable[Batch]) -> int:
    """How many bars the calendar expects of some batches."""
    return sum(len(expected_times(market, interval, each.window)) * len(each.tickers) for each in batches)


def span_of(batches: Sequence[Batch]) -> Window | None:
    """From the first start to the last end of some batches; None without any."""
    if not batches:
        return None
    return Window(min(batch.window.start for batch in batches), max(batch.window.end for batch in batches))


def stored_interval(interval: str) -> Interval:
    """Read an interval that is loaded. Raises UnknownInterval, and BadInput for one that is rolled up."""
    parsed = Interval.parse(interval)
    if not parsed.is_stored:
        raise BadInput(
            f"{parsed.value} bars are rolled up, not loaded",
            next_step=f"Load {parsed.base.value}, the rollup follows.",
        )
    return parsed
