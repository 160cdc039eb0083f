"""A pin as a store that is only read: the warehouse's bars as they were known when it was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.errors import BadInput
from hypertape.frame import bar_frame, instant
from hypertape.model import Interval, Market, Series
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Written
from hypertape.stores._connected import ConnectedStore
from hypertape.warehouse.connect import resolve_dsn
from hypertape.warehouse.pins import Pin, find_pin, pinned_bars, pinned_series

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening


def build(place: str, opening: Opening) -> PinStore:
    """Open the pin of a name. Connects when it is first used."""
    return PinStore(opening.dsn or resolve_dsn(opening.settings), place)


@dataclass
class PinStore(ConnectedStore):
    """A pin of the warehouse at a DSN; it is for one thread.

    Raises BadInput where there is no such pin, PinBroken where it no longer reads as it did, and what
    `translate_errors` raises.
    """

    keeps_adjusted: ClassVar[bool] = True

    dsn: str
    name: str
    address: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.address = f"pin:{self.name}"

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the pinned series that have bars from the selection's start on."""
        market = self._pin.market
        if selection.markets and market not in selection.markets:
            return
        for interval, ticker in pinned_series(self.connection, self.name):
            if (not selection.intervals or interval in selection.intervals) and (
                not selection.tickers or ticker in selection.tickers
            ):
                found = pinned_bars(self.connection, self.name, interval, ticker, start=selection.start)
                if found is not None:
                    first, last = (instant(int(found[0][at])) for at in (0, -1))
                    yield SeriesInfo(Series(market, ticker, interval), first=first, last=last)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield the pinned bars, at most `rows` at a time."""
        found = pinned_bars(self.connection, self.name, series.interval, series.ticker, start=start)
        if found is None:
            return
        times, values = found
        for first in range(0, len(times), rows):
            part = slice(first, first + rows)
            yield Block(
                bar_frame(series.ticker, times[part], {name: column[part] for name, column in values.items()})
            )

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the pinned bars from `start` on."""
        found = pinned_bars(self.connection, self.name, series.interval, series.ticker, start=start)
        blocks = [] if found is None else [(found[0], [found[1][name] for name in CANONICAL_COLUMNS])]
        return digest_blocks(series.ticker, blocks)

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Raise BadInput: a pin is only read."""
        raise self._only_read()

    @cached_property
    def _pin(self) -> Pin:
        return find_pin(self.connection, self.name)

    def _only_read(self) -> BadInput:
        return BadInput(f"{self.address} is only read", next_step="Copy to warehouse, csv:DIR or sqlite:DIR.")
