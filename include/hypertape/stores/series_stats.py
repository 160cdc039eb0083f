"""What a series amounts to: its bars in number, span and digest, and the rows that are no bars, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.digest import CANONICAL_COLUMNS, RunningDigest, SeriesDigest
from hypertape.frame import floats_of, times_of
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.quality.gate import gate
from hypertape.stores import Block, Store, require_all_rows

SAMPLES = 3
"""Refused rows of each rule that are shown."""


@dataclass(frozen=True, slots=True)
class SeriesStats:
    """The bars of a series that pass the gate; `refused` counts the other rows by rule, `samples` shows some of them
    (frame.REJECT_SCHEMA as dicts), `duplicates` counts rows that gave way to a later row of the same key. `adjusted`
    is the digest over the adjusted closes there are."""

    digest: SeriesDigest
    adjusted: SeriesDigest
    refused: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Mapping[str, Any], ...] = ()
    duplicates: int = 0

    @property
    def rows(self) -> int:
        """Bars."""
        return self.digest.rows

    @property
    def refused_rows(self) -> int:
        """Rows that are no bars."""
        return sum(self.refused.values())

    @property
    def first(self) -> datetime | None:
        """The first bar's opening, UTC."""
        return self.digest.first

    @property
    def last(self) -> datetime | None:
        """The last bar's opening, UTC."""
        return self.digest.last

    @property
    def sha256(self) -> str:
        """The digest over the bars."""
        return self.digest.sha256


_NO_BARS = RunningDigest().result("")
NOTHING = SeriesStats(_NO_BARS, _NO_BARS)
"""Of a series without rows."""


class GatedSeries:
    """Puts the blocks of one series through the gate on their way, and counts and digests what passes.

    `now` (UTC) is what the gate takes for the present. Raises RowsLost when rows of a block are neither bars,
    refused nor duplicates afterwards.
    """

    def __init__(self, series: Series, now: datetime) -> None:
        self.series, self._now = series, now
        self._digest, self._adjusted = RunningDigest(), RunningDigest()
        self._refused: Counter[str] = Counter()
        self._samples: list[Mapping[str, Any]] = []
        self._duplicates = 0

    def blocks(self, found: Iterable[Block]) -> Iterator[Block]:
        """Yield each block with its clean bars only, the rest among its rejects."""
        market = get_market(self.series.market)
        for block in found:
            gated = gate(block.bars, market, self.series.interval, now=self._now)
            rejects = pa.concat_tables([block.rejects, gated.rejects])
            clean = Block(gated.bars, rejects, block.duplicates + sum(gated.duplicates.values()), self._now)
            require_all_rows(self.series, block.rows, clean.rows)
            self._take(clean)
            yield clean

    def stats(self) -> SeriesStats:
        """What has passed so far."""
        return SeriesStats(
            self._digest.result(self.series.ticker),
            self._adjusted.result(self.series.ticker),
            dict(self._refused),
            tuple(self._samples),
            self._duplicates,
        )

    def _take(self, block: Block) -> None:
        columns = [floats_of(block.bars, name) for name in CANONICAL_COLUMNS]
        self._digest.add(times_of(block.bars), columns)
        given = block.bars.filter(block.bars["adjusted_close"].is_valid())
        self._adjusted.add(times_of(given), [floats_of(given, "adjusted_close")])
        self._duplicates += block.duplicates
        for entry in block.rejects["rule"].value_counts().to_pylist():
            rule, wanted = entry["values"], max(SAMPLES - self._refused[entry["values"]], 0)
            some = block.rejects.filter(pc.equal(block.rejects["rule"], rule)).slice(0, wanted)
            self._samples += some.to_pylist()
            self._refused[rule] += entry["counts"]


def stats_of(store: Store, series: Series, *, start: datetime | None, now: datetime) -> SeriesStats:
    """Read a series from `start` on and say what it amounts to."""
    reading = GatedSeries(series, now)
    for _ in reading.blocks(store.read(series, start=start)):
        pass
    return reading.stats()
