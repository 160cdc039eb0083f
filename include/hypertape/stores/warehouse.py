"""The warehouse as a store: bars go in through the gate and the load contract, and come out in blocks by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from hypertape.digest import CANONICAL_COLUMNS, RunningDigest, SeriesDigest, digest_blocks
from hypertape.errors import UnknownTicker
from hypertape.frame import TIME_TYPE, Bars, bar_frame, empty_rejects, micros
from hypertape.markets import all_markets, get_market
from hypertape.model import VALUE_COLUMNS, Interval, Market, Series, Window, midnight
from hypertape.quality.gate import Gated, gate
from hypertape.queries import query
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Unassigned, Written
from hypertape.stores._connected import ConnectedStore
from hypertape.warehouse.connect import resolve_dsn
from hypertape.warehouse.ledger import known_tickers, register_symbols
from hypertape.warehouse.loading.load import LoadRequest, LoadResult, load_bars, refused_scales
from hypertape.warehouse.loading.stored import read_neighbours, series_states
from hypertape.warehouse.quarantine import keep_rejects
from hypertape.warehouse.read import series_blocks
from hypertape.warehouse.rollups import Refreshed, refresh_pending
from hypertape.warehouse.symbology import former_names

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening

assert (*CANONICAL_COLUMNS, "adjusted_close") == VALUE_COLUMNS, "sums digests the columns in this order"

_WIDTH = timedelta(microseconds=1)
_KEY = ["ticker", "time"]


def _nothing(connection: psycopg.Connection[Any]) -> None:
    """Guard nothing."""


def build(place: str, opening: Opening) -> WarehouseStore:
    """Open the warehouse of the opening's DSN, else of its settings. Connects when it is first used."""
    return WarehouseStore(
        opening.dsn or resolve_dsn(opening.settings),
        opening.now,
        opening.run_id,
        opening.source,
        accept_scale=opening.accept_scale,
    )


@dataclass
class WarehouseStore(ConnectedStore):
    """The warehouse at a DSN, over one connection; it is for one thread.

    `now` (UTC) is the instant against which bars are judged future or still open; `run_id` and `source` are noted on
    every load; `guard` is called in the transaction of each, and what it raises stops it. Raises what
    `translate_errors` raises, and SchemaMissing when the schema is not current.
    """

    keeps_adjusted: ClassVar[bool] = True
    served: ClassVar[bool] = True

    dsn: str
    now: datetime
    run_id: str
    source: str = "copy"
    guard: Callable[[psycopg.Connection[Any]], None] = _nothing
    accept_scale: bool = False
    address: str = field(default="warehouse", init=False)

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the stored series that have bars from the selection's start on."""
        parameters = {
            "markets": list(selection.markets),
            "intervals": [interval.value for interval in selection.intervals],
            "tickers": list(selection.tickers),
            "start": selection.start or "-infinity",
        }
        rows = self.connection.execute(query("store_series"), parameters).fetchall()
        for market, interval, ticker, first, last in rows:
            if market in all_markets():
                yield SeriesInfo(Series(market, ticker, Interval(interval)), first=first, last=last)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield the stored bars; each block is one statement that seeks its key."""
        market = get_market(series.market)
        for time, columns in series_blocks(
            self.connection, market, series.interval, series.ticker, VALUE_COLUMNS, start=start, rows=rows
        ):
            values = dict(zip(VALUE_COLUMNS, columns, strict=True))
            yield Block(bar_frame(series.ticker, time, values))

    def read_before(self, series: Series, moment: datetime) -> Bars:
        """The bars nearest before an instant, by a read bounded in time."""
        market = get_market(series.market)
        states = series_states(self.connection, market, series.interval, [series.ticker])
        spans = {ticker: (micros(moment), state.last) for ticker, state in states.items()}
        found = read_neighbours(self.connection, market, series.interval, states, spans)
        return found[series.ticker][0] if found else Bars.empty()

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Gate and load each block in a transaction of its own.

        Refused rows go to quarantine. Raises SuspectScale when a block's prices look scaled against the stored ones,
        and UnknownTicker for a former name: nothing of that block is written then.
        """
        written = Written()
        for block in blocks:
            results = self._load(market, interval, block)
            _require_none_refused(results)
            written += _written(results)
        return written

    def write_together(self, market: Market, interval: Interval, blocks: Sequence[Block]) -> list[Written]:
        """Gate and load blocks of different series in one transaction; otherwise like `write`."""
        in_order = sorted(blocks, key=lambda block: min(_tickers(block), default=""))
        whole = Block(
            pa.concat_tables([block.bars for block in in_order]).combine_chunks(),
            pa.concat_tables([block.rejects for block in in_order]),
            gated_at=blocks[0].gated_at if len({block.gated_at for block in blocks}) == 1 else None,
        )
        with self.connection.transaction():
            results = self._load(market, interval, whole)
            _require_none_refused(results)
        found = {result.ticker: _written([result]) for result in results}
        return [sum((found[name] for name in _tickers(block)), start=Written()) for block in blocks]

    def require_loadable(self, market: Market, interval: Interval, block: Block) -> None:
        """Raise SuspectScale when a load of the block would: by the market's plausible prices, or by what is stored."""
        for refused in refused_scales(self.connection, *self._request(market, interval, block)).values():
            raise refused

    def known_tickers(self, market: Market) -> set[str]:
        """Those that have bars of any interval, or a line in `symbols`."""
        return known_tickers(self.connection, market)

    def keep_rejects(self, found: Unassigned) -> None:
        """Keep rows that belong to no series in quarantine."""
        keep_rejects(
            self.connection, found.market, found.place, found.rejects, run_id=self.run_id, source=self.source
        )

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the stored bars from `start` on."""
        market = get_market(series.market)
        blocks = series_blocks(
            self.connection, market, series.interval, series.ticker, CANONICAL_COLUMNS, start=start
        )
        return digest_blocks(series.ticker, blocks)

    def sums(self, series: Series, *, start: datetime | None = None) -> tuple[SeriesDigest, SeriesDigest]:
        """The digests over all stored bars from `start` on and over their adjusted closes, by one read of them."""
        market = get_market(series.market)
        bars, adjusted = RunningDigest(), RunningDigest()
        for time, columns in series_blocks(
            self.connection,
            market,
            series.interval,
            series.ticker,
            VALUE_COLUMNS,
            start=start,
            rows=BATCH_ROWS,
        ):
            bars.add(time, columns[:-1])
            given = ~np.isnan(columns[-1])
            adjusted.add(time[given], [columns[-1][given]])
        return bars.result(series.ticker), adjusted.result(series.ticker)

    def refresh(self, market: Market, interval: Interval) -> list[Refreshed]:
        """Refresh the rollups over what loads changed, whoever ran them."""
        return refresh_pending(self.dsn, market, interval)

    def _load(self, market: Market, interval: Interval, block: Block) -> list[LoadResult]:
        self._require_present_names(market, _tickers(block))
        bars, request = self._request(market, interval, block)
        with self.connection.transaction():
            self.guard(self.connection)
            results = load_bars(self.connection, bars, request)
            register_symbols(self.connection, market, [r.ticker for r in results if r.inserted])
        return results

    def _require_present_names(self, market: Market, names: set[str]) -> None:
        """Raise UnknownTicker for names that a rename has left: under them a second series would begin."""
        if former := former_names(self.connection, market, names):
            told = "; ".join(str(each) for each in former.values())
            raise UnknownTicker(
                told, next_step="Rename it where it comes from too, its directory or its table."
            )

    def _request(self, market: Market, interval: Interval, block: Block) -> tuple[pa.Table, LoadRequest]:
        if block.gated_at == self.now:  # gating again would change nothing, and costs a third of a load
            gated, rejects = Gated(block.bars, empty_rejects(), {}), block.rejects
        else:
            gated = gate(block.bars, market, interval, now=self.now)
            rejects = pa.concat_tables([block.rejects, gated.rejects])
        request = LoadRequest(
            market, interval, self.run_id, self.source, Window(self.now, self.now + _WIDTH), self.now,
            rejects=rejects, fetched=_rows_by_ticker(block), duplicates=gated.duplicates,
            windows=_windows(market, interval, gated.bars, rejects, self.now), accept_scale=self.accept_scale,
        )  # fmt: skip
        return gated.bars, request


def _windows(
    market: Market, interval: Interval, bars: pa.Table, rejects: pa.Table, now: datetime
) -> dict[str, Window]:
    """The window that is owned of each ticker: from its first row to the end of its last, refused ones included.

    A refused row counts where its time is a possible one. A ticker without such a row owns nothing that has been.
    """
    width = interval.delta or _WIDTH
    floor, ceiling = pa.scalar(midnight(market.history_start[interval]), TIME_TYPE), pa.scalar(now, TIME_TYPE)
    refused = rejects.filter((pc.field("time") >= floor) & (pc.field("time") <= ceiling))
    rows = pa.concat_tables([bars.select(_KEY), refused.select(_KEY)])
    spans = rows.group_by("ticker").aggregate([("time", "min"), ("time", "max")]).to_pylist()
    return {
        span["ticker"]: Window(
            span["time_min"], max(span["time_max"] + _WIDTH, min(span["time_max"] + width, now))
        )
        for span in spans
    }


def _tickers(block: Block) -> set[str]:
    return {name for table in (block.bars, block.rejects) for name in table["ticker"].unique().to_pylist()}


def _rows_by_ticker(block: Block) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in (block.bars, block.rejects):
        for entry in table["ticker"].value_counts().to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return counts


def _require_none_refused(results: Iterable[LoadResult]) -> None:
    for result in results:
        if result.refused is not None:
            raise result.refused


def _written(results: Iterable[LoadResult]) -> Written:
    return sum((Written(r.inserted, r.updated, r.unchanged, r.quarantined) for r in results), start=Written())
