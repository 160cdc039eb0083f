"""Places where bars live, behind one interface: the warehouse, a CSV tree, SQLite files, Parquet files.

Addresses on the command line: `warehouse`, `csv:DIR`, `sqlite:DIR_OR_FILE`, `stockula:FILE` (read-only), `parquet:URL`.
`copy` and `verify` work between any two of them; they are the engine under import, export, migration and mirrors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from hypertape.digest import SeriesDigest
from hypertape.frame import Bars, empty_rejects
from hypertape.model import Interval, Market, Series
from hypertape.rows import RowCount, require_all

BATCH_ROWS = 100_000
"""Bars per block of a bounded read."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a store is meant; an empty field means all. `start` (UTC) is the first opening instant."""

    markets: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    tickers: tuple[str, ...] = ()
    start: datetime | None = None

    def covers_interval(self, interval: Interval) -> bool:
        """True when the interval is selected."""
        return not self.intervals or interval in self.intervals

    def covers(self, series: Series) -> bool:
        """True when the series is selected."""
        return (
            (not self.markets or series.market in self.markets)
            and self.covers_interval(series.interval)
            and (not self.tickers or series.ticker in self.tickers)
        )


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What a store can say of a series without reading it whole; None where it would have to."""

    series: Series
    rows: int | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Some bars of one series in time order (frame.BAR_SCHEMA), and the rows of that stretch that are no bars.

    `duplicates` counts rows that gave way to a later row of the same key: every row of the store's place that was read
    is a bar, a reject or a duplicate of one block. `gated_at` is what the gate took for the present when it let the
    bars through; None where it has not seen them.
    """

    bars: pa.Table
    rejects: pa.Table = field(default_factory=empty_rejects)
    duplicates: int = 0
    gated_at: datetime | None = None

    @property
    def rows(self) -> int:
        """Rows that were read for it."""
        return len(self.bars) + len(self.rejects) + self.duplicates


def require_all_rows(place: object, rows: int, accounted: int) -> None:
    """Raise RowsLost unless every row that came in is a bar, a reject or a duplicate (`hypertape.rows`)."""
    require_all({str(place): RowCount(rows, accounted)}, "store")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did, in bars."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def rows(self) -> int:
        """Bars and refused rows in all."""
        return self.inserted + self.updated + self.unchanged + self.refused

    def __add__(self, other: Written) -> Written:
        return Written(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.refused + other.refused,
        )


class Store(Protocol):
    """One place where bars live. A read-only store raises BadInput on write."""

    @property
    def address(self) -> str:
        """How the command line names it."""
        ...

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the selected series that have bars, sorted by market, interval and ticker.

        Raises SourceFileMissing when there is nothing at the store's place (a write makes it).
        """
        ...

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield a series from `start` on in blocks of at most `rows` bars, in time order, keys unique.

        Memory stays bounded by a block, whatever the length of the series. Prices are in the market's own unit.
        """
        ...

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Write bars of one market and interval, each block atomically; writing the same bars again changes nothing."""
        ...

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the canonical bars from `start` on."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


@dataclass(frozen=True, slots=True)
class Unassigned:
    """Some rows of a store that belong to no series, as rejects (frame.REJECT_SCHEMA), and where they lie.

    `place` is the table or directory; quarantine has it in the column `interval`.
    """

    market: str
    place: str
    rejects: pa.Table


@runtime_checkable
class HasUnassigned(Protocol):
    """A store whose place may hold rows that `series` does not show: of a ticker that is none, for example."""

    def unassigned(self, selection: Selection, *, places: Sequence[str] = ()) -> Iterator[Unassigned]:
        """Yield the rows that belong to no series, as far as the selection can mean them; of some `places` only."""
        ...


@runtime_checkable
class KeepsRejects(Protocol):
    """A store that can keep rows that are no bars."""

    def keep_rejects(self, found: Unassigned) -> None:
        """Keep rows that belong to no series, each once."""
        ...


@runtime_checkable
class TypedNames(Protocol):
    """A store whose tickers are names that somebody typed: `aapl` may be meant for AAPL."""

    def typed(self, infos: Iterable[SeriesInfo]) -> list[Series]:
        """Of some of its series those whose names were typed."""
        ...


@runtime_checkable
class KnowsTickers(Protocol):
    """A store that knows which tickers there are."""

    def known_tickers(self, market: Market) -> set[str]:
        """The tickers of a market that it has, or has heard of."""
        ...


@runtime_checkable
class WritesTogether(Protocol):
    """A store where one write of many short series is far cheaper than one write of each."""

    def write_together(self, market: Market, interval: Interval, blocks: Sequence[Block]) -> list[Written]:
        """Write blocks of different series, all or none of them, and say of each what it did, in their order."""
        ...


History = Callable[[Series, datetime], Bars]
"""The bars of a series nearest before an instant: as many as the longest lookback of an indicator, where there are."""


@runtime_checkable
class ReadsBefore(Protocol):
    """A store that finds the bars before an instant without reading the series from its beginning."""

    def read_before(self, series: Series, moment: datetime) -> Bars:
        """As `History` says."""
        ...


@runtime_checkable
class WritesParts(Protocol):
    """A store that writes indicators computed from its own bars: for a part of a series it needs those before it."""

    def write_part(
        self, market: Market, interval: Interval, blocks: Iterable[Block], history: History
    ) -> Written:
        """Write as `write` does; the indicators see what `history` tells, which is not written."""
        ...


@runtime_checkable
class ChecksBars(Protocol):
    """A store that can tell of bars that it would not take them."""

    def require_loadable(self, market: Market, interval: Interval, block: Block) -> None:
        """Raise SuspectScale when a write of the block would; nothing is written."""
        ...


@runtime_checkable
class ChecksPlace(Protocol):
    """A store that can tell beforehand that nothing can be written at its place."""

    def require_writable(self) -> None:
        """Raise BadInput when every write would fail."""
        ...


@runtime_checkable
class TellsRest(Protocol):
    """A store at a place that may hold other things than series."""

    def rest(self) -> list[str]:
        """What lies there and looks like data, and is in no series; sorted."""
        ...


@runtime_checkable
class Served(Protocol):
    """A store that a server keeps: it works while we do, so that reading ahead gains something."""

    served: ClassVar[bool]


@runtime_checkable
class KeepsAdjusted(Protocol):
    """A store that can keep adjusted closes. One that receives none leaves those it has."""

    keeps_adjusted: ClassVar[bool]


@runtime_checkable
class SumsUp(Protocol):
    """A store that can digest a series without handing its bars over."""

    def sums(self, series: Series, *, start: datetime | None = None) -> tuple[SeriesDigest, SeriesDigest]:
        """The digest over all that is stored from `start` on, ungated, and that over the adjusted closes there are."""
        ...


def parse_tickers(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
