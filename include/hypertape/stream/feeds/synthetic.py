"""`synthetic:SEED`: made-up quotes for a demonstration, with defects planted on purpose. They say so: their source
is `synthetic`, their symbols begin with `SYN`.

The same seed and `start` make the same quotes. Planted are: a `gap` (numbers left out), a `duplicate` (a tick twice),
a `poisoned` record (a price that is none) and a `late` tick (it comes when its minute was final long ago). `planted`
names them, `found` says for each whether the warehouse shows it. `ticks` says how many there are, `pause` how many
seconds pass before the late tick, so that its minute's bar was written before it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from hypertape.errors import BadInput
from hypertape.queries import query
from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._sequence import Sequences
from hypertape.stream.model import MINUTE, SCALE, Event, Feed, Rejected, Tick
from hypertape.stream.record import BadRecord, json_of, micros_of, tick_of_json

OPTIONS = ("ticks", "pause", "start")
EXAMPLE = "synthetic:1?ticks=2000"
NAME = "synthetic"

_FOUND = {
    "gap": "stream_found_gap",
    "duplicate": "stream_found_duplicate",
    "poisoned": "stream_found_poisoned",
    "late": "stream_found_late",
}
_BATCH = 100
_SYMBOLS = ("SYNEUR", "SYNGOLD")


@dataclass(frozen=True)
class Planted:
    """A planted defect: what it is, and the symbol, time (microseconds) and sequence of the tick it was planted at."""

    what: str
    symbol: str
    time: int
    sequence: int


def build(address: Address, config: FeedConfig) -> Feed:
    """Build the feed. Raises BadInput for a seed that is no number."""
    if not address.rest.isascii() or not address.rest.isdecimal():
        raise BadInput(f"{address}: the seed is no whole number", next_step=f"Write it as {EXAMPLE}.")
    ticks = int(address.number("ticks", 2000, least=200, most=1e7))
    start = address.options.get("start")
    try:
        first = micros_of(start) if start else config.clock() // MINUTE * MINUTE - 10 * MINUTE
    except BadRecord as error:
        raise BadInput(f"{address}: start: {error}", next_step="Write 2026-01-05T00:00:00Z.") from error
    return SyntheticFeed(int(address.rest), ticks, first, address.number("pause", 2.5, most=600))


class SyntheticFeed:
    """Random walks of two symbols over nine minutes."""

    name, numbering, live = NAME, "symbol", False

    def __init__(self, seed: int, ticks: int, start: int, pause: float) -> None:
        self._quotes, self.planted = _quotes(seed, ticks, start)
        self._pause, self._sequences = pause, Sequences(NAME)
        self._closed = False

    async def run(self) -> AsyncGenerator[list[Event]]:
        """Yield the quotes in batches, the late one at the end after a pause."""
        *most, last = self._quotes
        for start in range(0, len(most), _BATCH):
            if self._closed:
                return
            yield [event for record in most[start : start + _BATCH] for event in self._events(record)]
            await asyncio.sleep(0)
        await asyncio.sleep(self._pause)
        if not self._closed:
            yield self._events(last)

    async def close(self) -> None:
        """Stop after the batch at hand."""
        self._closed = True

    def _events(self, record: bytes) -> list[Event]:
        try:
            tick = tick_of_json(record, NAME)
        except BadRecord as error:
            return [Rejected(NAME, record, str(error))]
        return [*self._sequences.see(tick), tick]


def found(connection: Any, planted: list[Planted]) -> dict[str, bool]:
    """Whether the warehouse shows each planted defect; once a stream has run `synthetic:` into it to its end.

    gap: an open row of `feed_gap` after this number · duplicate: the tick is stored once · poisoned: its record is in
    `dead_letter` · late: the tick is stored, and the bar of its minute was corrected.
    """
    shown = {}
    for spot in planted:
        parameters = {"symbol": spot.symbol, "time": spot.time, "sequence": spot.sequence, "source": NAME}
        row = connection.execute(query(_FOUND[spot.what]), parameters).fetchone()
        shown[spot.what] = bool(row and row[0])
    return shown


def _quotes(seed: int, count: int, start: int) -> tuple[list[bytes], list[Planted]]:
    """The records in the order they come, and what was planted among them."""
    chance = random.Random(seed)
    mids = {symbol: SCALE * (1 + 1999 * place) for place, symbol in enumerate(_SYMBOLS)}
    numbers = dict.fromkeys(_SYMBOLS, 0)
    at = {"gap": count // 4, "duplicate": count // 3, "poisoned": count // 2, "late": 5}
    records: list[bytes] = []
    planted: list[Planted] = []
    late = b""
    for place in range(count):
        symbol = _SYMBOLS[0] if place in at.values() else chance.choice(_SYMBOLS)
        mids[symbol] += mids[symbol] // 100_000 * chance.randrange(-5, 6)
        numbers[symbol] += 4 if place == at["gap"] else 1
        spread = mids[symbol] // 50_000
        bid, ask = mids[symbol] - spread, mids[symbol] + spread
        bid_volume, ask_volume = (chance.randrange(1, 50) * SCALE for _ in range(2))
        time = start + place * 9 * MINUTE // count
        tick = Tick(symbol, time, numbers[symbol], bid, ask, bid_volume, ask_volume, NAME)
        record = json_of(tick)
        for what in (what for what, where in at.items() if where == place):
            after = tick.sequence - 4 if what == "gap" else tick.sequence
            planted.append(Planted(what, symbol, time, after))
        if place == at["late"]:
            late = record  # it comes at the very end
            continue
        if place == at["poisoned"]:
            record = record.replace(b'"bid":"', b'"bid":"NaN')
        records += [record, record] if place == at["duplicate"] else [record]
    return [*records, late], planted
