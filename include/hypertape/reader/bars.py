"""From a request to Arrow batches, out of the warehouse, in blocks of some ten thousand bars.

Columns that are stored are read as they are. What is computed while reading (indicators of rollups, of adjusted prices
and of bars as they were known, and those that are never stored) is computed from the series' first bar on, one series
at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa

from hypertape.frame import TIME_TYPE, Floats, Micros, instant, micros
from hypertape.indicators import enrich, indicators_at_read
from hypertape.model import PRICE_COLUMNS, VALUE_COLUMNS, Interval
from hypertape.reader.request import USUAL_COLUMNS, BarRequest
from hypertape.reader.statements import (
    Connection,
    Slice,
    Span,
    ask_bars,
    ask_known_then,
    ask_spans,
    pinned_tickers,
    require_past,
)
from hypertape.warehouse.actions import adjusted
from hypertape.warehouse.symbology import unknown_tickers

T = TypeVar("T")


class Run(Protocol):
    """Does some work on a connection, which is lent for as long as that, and returns its result."""

    def __call__(self, work: Callable[[Connection], T], /) -> T:
        """Do it."""
        ...


BLOCK = 50_000
"""Bars read at a time."""

_EVER = (datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_WIDEST = timedelta(days=100_000)
_ONE = timedelta(microseconds=1)
_NEVER_NULL = frozenset(USUAL_COLUMNS)


def schema_of(request: BarRequest) -> pa.Schema:
    """The columns of an answer: ticker, time (timestamp[us, UTC], the opening), then float64, null for no value."""
    values = [(name, pa.float64()) for name in request.names]
    return pa.schema([("ticker", pa.string()), ("time", TIME_TYPE), *values])


@dataclass(frozen=True, slots=True)
class BarReading:
    """One request to one warehouse; `run` lends a connection for a piece of work."""

    run: Run
    request: BarRequest

    def spans(self) -> list[Span]:
        """The series that answer, sorted by ticker. Raises UnknownTicker for those that have no bar."""
        return self.run(partial(_spans, request=self.request))

    def batches(self, spans: Sequence[Span]) -> Iterator[pa.RecordBatch]:
        """The bars of every span, ticker by ticker, oldest first; at most about BLOCK bars a batch. The first is empty.

        So the columns are known where there is no bar.
        """
        yield pa.RecordBatch.from_pylist([], schema=schema_of(self.request))
        for group in self._groups(spans):
            for ticker, found in self._slices(group):
                if len(found[0]):
                    yield _batch(self.request, ticker, found)

    def most_bars(self, spans: Sequence[Span]) -> int:
        """At most how many bars the answer has."""
        return sum(self._most_bars(span) for span in spans)

    def _slices(self, group: Sequence[Span]) -> Iterator[tuple[str, Slice]]:
        request = self.request
        if request.is_computed:
            for span in group:
                yield from ((span.ticker, part) for part in _cut(self._computed(span), BLOCK))
        elif request.is_known_then:
            for span in group:
                yield from ((span.ticker, part) for part in _cut(self._known(span), BLOCK))
        elif request.newest is not None:
            yield from self._last(group, request.newest)
        elif len(group) > 1:
            yield from self._together(group)
        else:
            span = group[0]
            for part in self._onward(span, request.columns, request.start):
                yield span.ticker, self._adjusted(span.ticker, part)

    def _together(self, group: Sequence[Span]) -> Iterator[tuple[str, Slice]]:
        """The bars of several short series in one round trip."""
        request = self.request
        first = min(_opening(span, request.interval) for span in group)
        start = max(request.start or first, first)
        before = min(request.end or _EVER[1], max(span.last for span in group) + _ONE)
        names = [span.ticker for span in group]
        found = self.run(
            partial(
                ask_bars, request=request, tickers=names, names=request.columns, start=start, before=before
            )
        )
        for ticker in names:
            if ticker in found:
                yield ticker, self._adjusted(ticker, found[ticker])

    def _last(self, group: Sequence[Span], most: int) -> Iterator[tuple[str, Slice]]:
        """The newest bars of several series: near the newest of all, and further back for those who have too few."""
        request = self.request
        begin = max(request.start or _EVER[0], min(_opening(span, request.interval) for span in group))
        before = min(request.end or _EVER[1], max(span.last for span in group) + _ONE)
        step = request.interval.delta or timedelta(days=31)
        back = min(8 * min(most, _WIDEST // step) * step, _WIDEST)
        found: dict[str, Slice] = {}
        waiting = [span.ticker for span in group]
        while waiting:
            start = max(begin, before - back) if before - _EVER[0] > back else begin
            asked = partial(ask_bars, request=request, tickers=waiting, names=request.columns, newest=most)
            found |= self.run(partial(asked, start=start, before=before))
            few = [name for name in waiting if name not in found or len(found[name][0]) < most]
            waiting = few if start > begin else []
            back = min(16 * back, before - _EVER[0])
        yield from ((s.ticker, self._adjusted(s.ticker, found[s.ticker])) for s in group if s.ticker in found)

    def _onward(self, span: Span, names: Sequence[str], start: datetime | None) -> Iterator[Slice]:
        """One series from `start` on. Each block looks at a stretch of time as long as about BLOCK bars take, so that
        a table of many chunks is planned for a few of them."""
        request = self.request
        at = max(start or span.first, _opening(span, request.interval))
        end = min(request.end or _EVER[1], span.last + _ONE)
        width = BLOCK * (request.interval.delta or timedelta(days=28))
        while at < end:
            before = min(end, at + width)
            found = self.run(
                partial(_ask_one, request=request, ticker=span.ticker, names=names, start=at, before=before)
            )
            bars, at = 0, before
            if found is not None:
                yield found
                bars = len(found[0])
                if bars >= BLOCK:
                    at = instant(int(found[0][-1])) + _ONE
            width = min(width * min(max(BLOCK // max(bars, 1), 1), 8), _WIDEST)

    def _known(self, span: Span) -> Slice | None:
        """One series as it was known then."""
        request = self.request
        start, before = request.start or _EVER[0], request.end or _EVER[1]
        found = self.run(lambda c: ask_known_then(c, request, span.ticker, request.columns, start, before))
        return _newest(found, request.newest)

    def _computed(self, span: Span) -> Slice | None:
        """One series with columns that are computed, from its first bar on."""
        request = self.request
        names = tuple(dict.fromkeys((*USUAL_COLUMNS, *request.values)))
        if request.is_known_then:
            before = request.end or _EVER[1]
            whole = self.run(lambda c: ask_known_then(c, request, span.ticker, names, _EVER[0], before))
        else:
            whole = _joined(self._onward(span, names, None))
        if whole is None:
            return None
        time, columns = self._adjusted(span.ticker, whole)
        made = indicators_at_read(request.indicators, columns)
        if any(name not in VALUE_COLUMNS for name in request.columns):
            made |= enrich(columns["close"], columns["volume"])
        found = {name: (columns | made)[name] for name in request.names}
        first = int(np.searchsorted(time, micros(request.start))) if request.start else 0
        cut = time[first:], {name: values[first:] for name, values in found.items()}
        return _newest(cut, request.newest)

    def _adjusted(self, ticker: str, found: Slice) -> Slice:
        """The prices times the factor of their day, where that is asked for."""
        request = self.request
        if not request.adjusted:
            return found
        days = self.run(partial(adjusted, market=request.market, ticker=ticker))
        time, columns = found
        if not len(days.time):
            return found
        place = np.searchsorted(days.time, time, side="right") - 1
        factor = days.factor[np.maximum(place, 0)]
        return time, {
            name: values * factor if name in PRICE_COLUMNS else values for name, values in columns.items()
        }

    def _groups(self, spans: Sequence[Span]) -> Iterator[list[Span]]:
        """Series that are read together: as many as a block holds."""
        group: list[Span] = []
        held = 0
        for span in spans:
            bars = self._most_bars(span)
            if group and held + bars > BLOCK:
                yield group
                group, held = [], 0
            group.append(span)
            held += bars
        if group:
            yield group

    def _most_bars(self, span: Span) -> int:
        request = self.request
        if request.newest is not None and not request.is_computed and not request.is_known_then:
            return request.newest
        low = max(request.start or span.first, span.first)
        high = min(request.end or span.last, span.last)
        step = request.interval.delta or timedelta(days=28)
        return max(int((high - low) / step) + 2, 0)


def _spans(connection: Connection, request: BarRequest) -> list[Span]:
    require_past(connection, request)
    found = ask_spans(connection, request, request.tickers or ())
    if request.pin is not None:
        held = pinned_tickers(connection, request)
        known = {span.ticker: span for span in found}
        wanted = request.tickers or held
        found = [known.get(name) or Span(name, *_EVER) for name in sorted(set(wanted) & set(held))]
    names = {span.ticker for span in found}
    if missing := [name for name in request.tickers or () if name not in names]:
        every = [span.ticker for span in ask_spans(connection, request)]
        place = f"{request.market.code} with {request.interval} bars"
        raise unknown_tickers(connection, request.market, missing, every, place)
    return sorted(found)


def _ask_one(
    connection: Connection,
    request: BarRequest,
    ticker: str,
    names: Sequence[str],
    start: datetime,
    before: datetime,
) -> Slice | None:
    return ask_bars(connection, request, [ticker], names, start, before, oldest=BLOCK).get(ticker)


def _opening(span: Span, interval: Interval) -> datetime:
    """Where a series' bars begin: a bar that is rolled up may open before the first bar it is made of."""
    return span.first if interval.is_stored else span.first - (interval.delta or timedelta(days=31))


def _joined(slices: Iterable[Slice]) -> Slice | None:
    every = list(slices)
    if not every:
        return None
    columns = {name: np.concatenate([part[1][name] for part in every]) for name in every[0][1]}
    return np.concatenate([part[0] for part in every]), columns


def _newest(found: Slice | None, most: int | None) -> Slice | None:
    if found is None or most is None:
        return found
    return found[0][-most:], {name: values[-most:] for name, values in found[1].items()}


def _cut(found: Slice | None, rows: int) -> Iterator[Slice]:
    if found is None:
        return
    time, columns = found
    for first in range(0, len(time), rows):
        part = slice(first, first + rows)
        yield time[part], {name: values[part] for name, values in columns.items()}


def _batch(request: BarRequest, ticker: str, found: Slice) -> pa.RecordBatch:
    time, columns = found
    tickers = pa.array([ticker], pa.string()).take(pa.array(np.zeros(len(time), np.int32)))
    arrays = [tickers, _times(time), *(_floats(columns[name], name) for name in request.names)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(request))


def _times(time: Micros) -> pa.Array:
    return pa.array(time).cast(pa.timestamp("us")).cast(TIME_TYPE)


def _floats(values: Floats, name: str) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=name not in _NEVER_NULL)
