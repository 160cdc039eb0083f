"""Where bars come from. A vendor is one module here that defines `build(config) -> Source`; there is no
second list.

A source turns (tickers, interval, window) into a normalised bar frame: UTC opening instants, a daily bar at
00:00 UTC of its session date, only bars inside the window. What cannot be read becomes a reject row, a ticker
that cannot be served becomes a failure of that ticker; only a problem of the whole source raises. Modules
whose name starts with an underscore are parts of a vendor, or shared by several.

A source that asks over the network takes its turn with everybody else's (`Throttle`) and keeps what it was answered
(`Recorder`); how it does so is in `_http`, and what one request may cost (`Limits`) in `_session`. Its module names the
requests a second, all workers together, as `RATE`, and defines `build(config, throttle, recorder, limits)`.

Every answer accounts for its rows (`Fetched.rows`): one that came in is a bar, refused by name, or outside the window.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from types import ModuleType
from typing import Any, Protocol

import pyarrow as pa

from hypertape.errors import BadInput, HypertapeError, NoData, UnknownSource
from hypertape.frame import TIME_TYPE
from hypertape.model import Interval, Market, Window
from hypertape.rows import RowCount
from hypertape.settings import load_settings
from hypertape.sources._completeness import completeness as completeness

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
    """What a vendor's answer to one request may cost, and a file of a tree: settings of the same names."""

    bytes: int = 32 * 2**20
    seconds: float = 60.0
    pages: int = 5_000
    file_bytes: int = FILE_BYTES


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


def source_names() -> tuple[str, ...]:
    """Return every source's name, sorted."""
    return tuple(
        sorted(part.name for part in pkgutil.iter_modules(__path__) if not part.name.startswith("_"))
    )


def open_source(
    config: SourceConfig, *, throttle: Throttle | None = None, recorder: Recorder | None = None
) -> Source:
    """Build the source a configuration names; `throttle` paces its requests, `recorder` keeps or replays its answers.

    Without a throttle requests are paced in this process alone. An endpoint of HYPERTAPE_SOURCE_ENDPOINTS counts where
    the configuration names none.
    Raises UnknownSource with the valid names, and BadInput or SourceFileMissing for a configuration that
    cannot work.
    """
    vendor = _vendor(config.name)
    settings = load_settings()
    endpoint = config.endpoint or settings.endpoint_of(config.name)
    limits = Limits(
        settings.source_bytes, settings.source_seconds, settings.source_pages, settings.file_bytes
    )
    if hasattr(vendor, "RATE"):
        from hypertape.sources._throttle import LocalThrottle  # noqa: PLC0415 (it imports this module)

        built = vendor.build(
            replace(config, endpoint=endpoint), throttle or LocalThrottle(), recorder, limits
        )
    else:
        built = vendor.build(config, limits)
    source: Source = built
    return source


def _vendor(name: str) -> ModuleType:
    if name not in source_names():
        raise UnknownSource(
            f"There is no source {name!r}", next_step=f"Sources: {', '.join(source_names())}."
        )
    return importlib.import_module(f"{__name__}.{name}")


def calls_for(
    name: str, interval: Interval, window: Window, now: datetime, bars: int = 1, tickers: int = 1
) -> int:
    """How many requests a source takes at most for a group of tickers and a window with so many bars of each.

    For one group that is asked at once (`tickers_per_request()` of its module, else one ticker): what its module's
    `requests` yields; else a page of `PAGE` bars each, where the module names one; else one. 0 when it keeps nothing
    that old. Raises UnknownSource with the valid names.
    """
    vendor = _vendor(name)
    at_once = getattr(vendor, "tickers_per_request", lambda: 1)()
    return -(-tickers // at_once) * _calls_of_one(vendor, interval, window, now, bars)


def _calls_of_one(vendor: ModuleType, interval: Interval, window: Window, now: datetime, bars: int) -> int:
    cut = getattr(vendor, "requests", None)
    if window.is_empty:
        return 0
    if cut is None:
        return max(1, -(-bars // getattr(vendor, "PAGE", max(1, bars))))
    try:
        return sum(1 for _ in cut(interval, window, now))
    except NoData:
        return 0


def cut(fetched: Fetched, market: Market, interval: Interval, window: Window, *, now: datetime) -> Fetched:
    """The part of an answer that lies in a window, counted anew against the calendar."""
    from hypertape.sources._collect import cut_tables, judge  # noqa: PLC0415 (it imports this module)

    return judge(cut_tables(fetched, window), market, tuple(fetched.served_by), interval, window, now)


def rate_of(gate: str) -> float | None:
    """Requests a second a source may be asked, all workers together; None: it is asked freely.

    `gate` is a source as its turns go by (`vci`, `ccxt:kraken`, `vci@127.0.0.1:8080`). HYPERTAPE_SOURCE_RATES counts
    first, under that name or the source's; 0 there means freely. Else what the vendor's module says.
    """
    name = gate.partition("@")[0].partition(":")[0]
    rates = load_settings().rates
    rate = rates.get(gate, rates.get(name))
    if rate is None and name in source_names():
        rate = getattr(importlib.import_module(f"{__name__}.{name}"), "RATE", None)
    return rate or None
