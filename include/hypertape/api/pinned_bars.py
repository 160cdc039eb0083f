"""Bars as a pin has them: read whole, series by series, and proved as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from hypertape.api.bar_chunks import BarChunk, BarSlice
from hypertape.api.bar_query import EVER, BarQuery
from hypertape.api.bar_reader import NamedSeries, name_series, shaped
from hypertape.api.bar_statements import Stored
from hypertape.api.pool import Warehouse
from hypertape.errors import BadInput
from hypertape.warehouse.pins import Pin, find_pin, pinned_bars, pinned_series


@dataclass(frozen=True, slots=True)
class PinReader:
    """One query to one pin. Raises BadInput for what the pin does not hold, PinBroken where a part of it is gone."""

    warehouse: Warehouse
    query: BarQuery
    name: str

    def series(self) -> list[NamedSeries]:
        """The pin's series that answer."""
        query, pin = self.query, self.warehouse.run(partial(find_pin, name=self.name))
        _require_held(query, pin)
        held = self.warehouse.run(partial(pinned_series, name=self.name))
        return name_series(
            query,
            [
                Stored(pin.market, ticker, *EVER, None, None, None)
                for interval, ticker in held
                if interval is query.width.interval
            ],
        )

    def parts(self, series: list[NamedSeries]) -> Iterator[BarChunk]:
        """The bars of each series, with the indicators of its own bars."""
        for entry in series:
            read = partial(
                pinned_bars, name=self.name, interval=self.query.width.interval, ticker=entry.ticker
            )
            found = self.warehouse.run(read)
            if found is not None:
                yield from shaped([BarSlice(*found)], self.query, entry, bare=True)


def _require_held(query: BarQuery, pin: Pin) -> None:
    if pin.market not in {market.code for market in query.markets}:
        raise BadInput(f"Pin {pin.name} is of {pin.market}", next_step=f"Use mode={pin.market}.")
    if query.width.interval.value not in pin.intervals:
        raise BadInput(
            f"Pin {pin.name} has no {query.width.spelling} bars",
            next_step=f"It holds {', '.join(pin.intervals)}.",
        )
