"""Where bars come from. A vendor is one module here that defines `build(config) -> Source`; there is no
second list.

A source turns (tickers, interval, window) into a normalised bar frame: UTC opening instants, a daily bar at
00:00 UTC of its session date, only bars inside the window. What cannot be read becomes a reject row, a ticker
that cannot be served becomes a failure of that ticker; only a problem of the whole source raises. Modules
whose name starts with an underscore are parts of a vendor, or shared by several.

A source that asks over the network takes its turn with everybody else's (`Throttle`) and keeps what it was answered
(`Recorder`); how it does so is in `_http`, and what one request may cost (`Limits`) in `_session`. Its module names the
requests a second, all workers together, as `RATE`, and defines `build(config, throttle, recorder, limits)`.

A user's project adds `sources/<name>.py`, and a package an entry point of the group `hypertape.sources`: such a module
is written as those here are, best on `PerTicker`.

Every answer accounts for its rows (`Fetched.rows`): one that came in is a bar, refused by name, or outside the window.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from hypertape.errors import BadProject, NoData
from hypertape.model import Interval, Market, Window
from hypertape.settings import Settings
from hypertape.sources._completeness import completeness as completeness
from hypertape.sources._discovery import source_names as source_names
from hypertape.sources._discovery import vendor_of as vendor_of
from hypertape.sources._listing import Listed as Listed
from hypertape.sources._listing import Listing as Listing
from hypertape.sources._listing import has_listing as has_listing
from hypertape.sources._listing import listing_of as listing_of
from hypertape.sources._protocol import CAPITAL_GAIN_SCHEMA as CAPITAL_GAIN_SCHEMA
from hypertape.sources._protocol import DIVIDEND_SCHEMA as DIVIDEND_SCHEMA
from hypertape.sources._protocol import FILE_BYTES as FILE_BYTES
from hypertape.sources._protocol import NOTES as NOTES
from hypertape.sources._protocol import REFUSED_ACTION_SCHEMA as REFUSED_ACTION_SCHEMA
from hypertape.sources._protocol import SPLIT_SCHEMA as SPLIT_SCHEMA
from hypertape.sources._protocol import TABLES as TABLES
from hypertape.sources._protocol import Fetched as Fetched
from hypertape.sources._protocol import Limits as Limits
from hypertape.sources._protocol import OnTicker as OnTicker
from hypertape.sources._protocol import Recorder as Recorder
from hypertape.sources._protocol import Reply as Reply
from hypertape.sources._protocol import Source as Source
from hypertape.sources._protocol import SourceConfig as SourceConfig
from hypertape.sources._protocol import Throttle as Throttle

if TYPE_CHECKING:
    from hypertape.sources._per_ticker import PerTicker as PerTicker
    from hypertape.sources._per_ticker import VendorRow as VendorRow
    from hypertape.sources._session import read_json as read_json
    from hypertape.sources._stand_in import Offered as Offered

_FOR_VENDORS = {
    "Offered": "_stand_in",
    "PerTicker": "_per_ticker",
    "VendorRow": "_per_ticker",
    "read_json": "_session",
}
"""What a vendor of one's own is written with, and where: imported by who asks, because it loads an HTTP client."""


def __getattr__(name: str) -> Any:
    if name in _FOR_VENDORS:
        return getattr(importlib.import_module(f"{__name__}.{_FOR_VENDORS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_source(
    config: SourceConfig,
    settings: Settings,
    *,
    throttle: Throttle | None = None,
    recorder: Recorder | None = None,
) -> Source:
    """Build the source a configuration names; `throttle` paces its requests, `recorder` keeps or replays its answers.

    Without a throttle requests are paced in this process alone. An endpoint of HYPERTAPE_SOURCE_ENDPOINTS counts where
    the configuration names none.
    Raises UnknownSource with the valid names, and BadInput or SourceFileMissing for a configuration that
    cannot work.
    """
    vendor = vendor_of(config.name)
    limits = Limits.of(settings)
    if hasattr(vendor, "RATE"):
        from hypertape.sources._throttle import LocalThrottle  # noqa: PLC0415 (it imports this module)

        config = replace(config, endpoint=config.endpoint or settings.endpoint_of(config.name))
        throttle = throttle or LocalThrottle(partial(rate_of, rates=settings.rates))
        built = vendor.build(config, throttle, recorder, limits)
    else:
        built = vendor.build(config, limits)
    source: Source = built
    return source


def calls_for(
    name: str,
    interval: Interval,
    window: Window,
    now: datetime,
    limits: Limits,
    bars: int = 1,
    tickers: int = 1,
) -> int:
    """How many requests a source takes at most for a group of tickers and a window with so many bars of each.

    For one group that is asked at once (`tickers_per_request(limits)` of its module, else one ticker): what its
    module's `requests` yields; else a page of `PAGE` bars each, where the module names one; else one. 0 when it keeps
    nothing that old. Raises UnknownSource with the valid names.
    """
    vendor = vendor_of(name)
    at_once = getattr(vendor, "tickers_per_request", lambda limits: 1)(limits)
    return -(-tickers // at_once) * _calls_of_one(vendor, interval, window, now, bars)


def _calls_of_one(vendor: Any, interval: Interval, window: Window, now: datetime, bars: int) -> int:
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


def rate_of(gate: str, rates: Mapping[str, float]) -> float | None:
    """Requests a second a source may be asked, all workers together; None: it is asked freely.

    `gate` is a source as its turns go by (`vci`, `ccxt:kraken`, `vci@127.0.0.1:8080`). `rates`, those of the settings,
    count first, under that name or the source's; 0 there means freely. Else what the vendor's module says.
    """
    name = gate.partition("@")[0].partition(":")[0]
    rate = rates.get(gate, rates.get(name))
    if rate is None and name in source_names():
        try:
            rate = getattr(vendor_of(name), "RATE", None)
        except BadProject:  # told to who asks for the source
            return None
    return rate or None
