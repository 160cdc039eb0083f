"""The words between sources and those who ask them: what is asked for, what is answered, and what helps on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from hypertape.errors import BadInput, HypertapeError
from hypertape.frame import TIME_TYPE
from hypertape.model import Interval, Market, Window
from hypertape.rows import RowCount
from hypertape.settings import Settings

DIVIDEND_SCHEMA = pa.schema([("ticker", pa.string()), ("time", TIME_TYPE), ("amount", pa.float64())])
"""Cash per share in the market's price unit, at 00:00 UTC of the ex-date."""

CAPITAL_GAIN_SCHEMA = DIVIDEND_SCHEMA
"""What a fund pays out of its gains, stated as a dividend is."""

SPLIT_SCHEMA = pa.schema([("ticker", pa.string()), ("time", TIME_TYPE), ("ratio", pa.float64())])
"""New shares for one old share (2.0: prices halve), at 00:00 UTC of the first session on the new footing."""

REFUSED_ACTION_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("time", TIME_TYPE),  # null where the date itself cannot be read
        ("kind", pa.string()),  # dividend, capital_gain, split
        ("value", pa.float64()),  # NaN where it is no number
        ("reason", pa.string()),
    ]
)
"""Actions that cannot be meant as they stand."""

OnTicker = Callable[[str], None]
"""Called with each ticker as soon as it is done, served or not: a progress bar's tick."""


@dataclass(frozen=True)
class Fetched:
    """What a source answered.

    `bars` is a frame.BAR_SCHEMA table in the source's own order: duplicates and impossible values are the
    gate's work. `rejects` (frame.REJECT_SCHEMA) are rows that are no bars at all. `failures` maps a ticker to
    why it has no bars. `counted` maps a ticker to (expected, got): the finished bars the calendar expects and those
    that were delivered; `short` is the part of it where too many are missing. `served_by` maps a ticker to the source
    its bars are from, where several were asked; empty: all are from the one.
    """

    bars: pa.Table
    rejects: pa.Table
    failures: Mapping[str, HypertapeError]
    dividends: pa.Table = field(default_factory=DIVIDEND_SCHEMA.empty_table)
    splits: pa.Table = field(default_factory=SPLIT_SCHEMA.empty_table)
    capital_gains: pa.Table = field(default_factory=CAPITAL_GAIN_SCHEMA.empty_table)
    refused_actions: pa.Table = field(default_factory=REFUSED_ACTION_SCHEMA.empty_table)
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    short: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    served_by: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, RowCount] = field(default_factory=dict)
    answered_until: Mapping[str, datetime] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)


TABLES = ("bars", "rejects", "dividends", "splits", "capital_gains", "refused_actions")
NOTES = ("failures", "counted", "short", "served_by", "rows", "answered_until", "newest")
"""The fields of `Fetched`: its tables, each with a ticker column, and its mappings by ticker."""


FILE_BYTES = 2**30
"""The most bytes a file may have where no setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor's answer to one request may cost, and a file of a tree: settings of the same names.

    `tickers` are asked for in one request where the vendor takes several. `keeps` is where a vendor's library may keep
    what it learns between runs. `sample_end` is the last day of the synthetic set, None: as it is written.
    """

    bytes: int = 32 * 2**20
    seconds: float = 60.0
    pages: int = 5_000
    file_bytes: int = FILE_BYTES
    tickers: int = 10
    keeps: Path | None = None
    sample_end: date | None = None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """What the settings say."""
        return cls(
            settings.source_bytes,
            settings.source_seconds,
            settings.source_pages,
            settings.file_bytes,
            settings.symbols_per_request,
            settings.state_dir,
            settings.sample_end,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a vendor's server said, whole; `retry_after` are the seconds it asks us to wait."""

    status: int
    body: bytes
    retry_after: float | None = None


class Throttle(Protocol):
    """Says when a source may be asked, and learns how it went."""

    def wait(self, source: str) -> datetime | None:
        """Return when it is our turn: the instant at which the request begins, for `record`, where that matters.

        Raises CircuitOpen while the source is left alone.
        """
        ...

    def record(
        self, source: str, ok: bool, *, begun: datetime | None = None, pause: float = 0.0, reason: str = ""
    ) -> None:
        """Note the outcome of a request; `pause` (seconds) keeps everybody from asking for so long."""
        ...


class Recorder(Protocol):
    """Keeps raw answers, or gives kept ones back in the vendor's place."""

    @property
    def replays(self) -> bool:
        """True when answers come from `find` and the vendor is never asked."""
        ...

    def keep(self, source: str, request: str, reply: Reply) -> None:
        """Keep an answer. The request's text carries no secret; a repeated request keeps its newest answer."""
        ...

    def find(self, source: str, request: str) -> Reply | None:
        """Return the answer kept for a request, or None."""
        ...


class Source(Protocol):
    """One vendor."""

    @property
    def name(self) -> str:
        """The vendor's name: that of its module."""
        ...

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the tickers this source can serve, sorted; empty when the vendor cannot be asked."""
        ...

    def fetch(
        self,
        market: Market,
        tickers: Sequence[str],
        interval: Interval,
        window: Window,
        *,
        now: datetime,
        on_ticker: OnTicker | None = None,
    ) -> Fetched:
        """Deliver the bars of the window.

        A ticker's problem becomes its failure; a problem of the whole source raises.
        """
        ...


@dataclass(frozen=True)
class SourceConfig:
    """Which source, and how to reach it. It travels between tasks as JSON.

    `directory` and `legacy_scale` belong to csv_tree (see there); `endpoint` is the base URL that an HTTP
    source asks instead of its vendor: a replay server. `exchange` belongs to ccxt. `fallbacks` are asked, in order, for
    the tickers that the source could not serve. `replay` names a run whose raw answers are read in the vendor's place.
    """

    name: str
    directory: str | None = None
    legacy_scale: bool = False
    endpoint: str | None = None
    exchange: str | None = None
    fallbacks: tuple[str, ...] = ()
    replay: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SourceConfig:
        """Read what `to_json` wrote. Raises BadInput naming a key that does not belong there."""
        strange = sorted(set(value) - {known.name for known in fields(cls)})
        if strange or "name" not in value:
            problem = f"has the unknown key {strange[0]!r}" if strange else "has no name"
            known = ", ".join(known.name for known in fields(cls))
            raise BadInput(f"The source configuration {problem}", next_step=f"Its keys: {known}.")
        return cls(**{**value, "fallbacks": tuple(value.get("fallbacks") or ())})

    @property
    def chain(self) -> tuple[SourceConfig, ...]:
        """This source, then its fallbacks, each as a configuration of its own."""
        others = (SourceConfig(name, replay=self.replay) for name in self.fallbacks)
        return (replace(self, fallbacks=()), *others)
