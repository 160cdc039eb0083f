"""The conformance kit: what a source has to get right, whatever its vendor does. The real client code asks a server on
this machine that answers with the vendor module's `stand_in` and misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hypertape import calendars
from hypertape.errors import BadInput, HypertapeError, TransientError
from hypertape.frame import floats_of, times_of
from hypertape.model import Interval, Market, Window, utc
from hypertape.sources._http import VendorSource
from hypertape.sources._per_ticker import VendorRow
from hypertape.sources._protocol import Fetched, Limits, Source, SourceConfig
from hypertape.sources._stand_in import Offered, StandInServer

WINDOW = Window(utc(2024, 3, 4), utc(2024, 3, 23))
NOW = utc(2024, 3, 26)
TICKERS = 3
_PAGE = "<html><body>We will be right back.</body></html>"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was tried: whether the source got it right, and what it did otherwise."""

    name: str
    holds: bool
    told: str


class _Wrong(Exception):
    """What a source did that it must not."""


def try_source(name: str, vendor: Any, market: Market) -> list[Point]:
    """Put a vendor's module through every point; one that reads files, through those that concern files.

    Raises BadInput where it has neither `stand_in` nor `write_stand_in(directory, offered)`.
    """
    if callable(getattr(vendor, "write_stand_in", None)):
        with TemporaryDirectory() as place:
            return list(_FileTrial(name, vendor, market, _Nowhere(), Path(place)).points())
    stand_in = getattr(vendor, "stand_in", None)
    if not callable(stand_in):
        raise BadInput(
            f"The source {name} has no stand-in to be tried with",
            next_step="Write stand_in(path, query, body, offered) in its module: what the vendor's server answers.",
        )
    with StandInServer(stand_in).running() as server:
        return list(_Trial(name, vendor, market, server).points())


@dataclass
class _Trial:
    name: str
    vendor: Any
    market: Market
    server: StandInServer | _Nowhere

    def points(self) -> Iterator[Point]:
        """Try each in turn, the server mended before."""
        for name, attempt in self.tries().items():
            self.server.status = self.server.once = self.server.page = None
            self.server.cuts = False
            self.server.offered = self.offers()
            try:
                attempt()
                yield Point(name, True, "")
            except _Wrong as wrong:
                yield Point(name, False, str(wrong))
            except (
                Exception
            ) as error:  # a source raises only our errors, and each attempt says which it expects
                yield Point(name, False, f"it raised {type(error).__name__}: {error}")

    def tries(self) -> dict[str, Callable[[], None]]:
        """What is tried, by its name."""
        return {
            "whole answer": self.whole,
            "short answer": self.short,
            "asked to slow down (429)": lambda: self.fails(429),
            "server error (503)": lambda: self.fails(503),
            "symbols reordered and twice": self.reordered,
            "unit slip": self.unit_slip,
            "restatement": self.restatement,
            "connection cut": self.cut,
            "empty answer": self.empty,
            "a page in the answer's place": self.page,
        }

    # --- what is tried

    def whole(self) -> None:
        self.require_whole(self.fetched(), self.server.offered)

    def short(self) -> None:
        self.server.offered = [self.cut_to(one, len(one.rows) * 2 // 3) for one in self.offers()]
        found = self.fetched()
        silent = [
            ticker for ticker in self.tickers if ticker not in found.short and ticker not in found.failures
        ]
        if silent:
            raise _Wrong(f"a third of the bars of {silent[0]} is missing, and it does not say so")

    def fails(self, status: int) -> None:
        self.server.once = status
        self.require_whole(self.fetched(), self.server.offered)
        self.server.status = status
        self.require_failures(self.fetched_or_failed())

    def reordered(self) -> None:
        stranger = replace(self.all_scaled(self.offers()[0], 3.0), symbol="STRANGER")
        self.server.offered = [stranger, *reversed(self.offers()), stranger, *self.offers()]
        self.require_whole(self.fetched(), self.offers())

    def unit_slip(self) -> None:
        self.server.offered = [self.all_scaled(one, 0.001) for one in self.offers()]
        self.require_whole(
            self.fetched(), self.server.offered, "the gate refuses another unit only where it sees it: "
        )

    def restatement(self) -> None:
        source = self.opened()
        self.fetched(source)
        self.server.offered = [self.all_scaled(one, 1.01) for one in self.offers()]
        self.require_whole(
            self.fetched(source), self.server.offered, "what the vendor restated is not delivered: "
        )

    def cut(self) -> None:
        self.server.cuts = True
        self.require_failures(self.fetched_or_failed())

    def empty(self) -> None:
        self.server.offered = [self.cut_to(one, 0) for one in self.offers()]
        found = self.fetched_or_failed()
        if isinstance(found, Fetched):
            silent = [t for t in self.tickers if t not in found.failures and t not in found.short]
            if silent or len(found.bars):
                raise _Wrong(f"nothing came of {(silent or self.tickers)[0]}, and that passes for an answer")

    def page(self) -> None:
        self.server.page = _PAGE
        found = self.fetched_or_failed()
        if isinstance(found, Fetched) and set(self.tickers) - set(found.failures):
            raise _Wrong("it takes a page for an answer")

    # --- what is demanded

    def require_whole(self, found: Fetched, offered: list[Offered], why: str = "") -> None:
        by_symbol = {one.symbol: one for one in offered}
        for ticker in self.tickers:
            if ticker in found.failures:
                raise _Wrong(f"{why}{ticker} failed: {found.failures[ticker].what}")
            rows = by_symbol[self.symbol(ticker)].rows
            part = found.bars.filter(np.asarray(found.bars["ticker"]) == ticker)
            by_time = dict(zip(times_of(part).tolist(), floats_of(part, "close").tolist(), strict=True))
            wanted = {_micros(row): row.close for row in rows}
            if set(by_time) != set(wanted):
                raise _Wrong(f"{why}{ticker} has {len(by_time)} bars of {len(wanted)}, or at other times")
            other = [at for at, close in wanted.items() if not np.isclose(by_time[at], close, rtol=1e-9)]
            if other:
                raise _Wrong(f"{why}a close of {ticker} is {by_time[other[0]]}, not {wanted[other[0]]}")
            if ticker not in found.rows or ticker not in found.counted:
                raise _Wrong(f"{ticker}'s rows or bars are not counted: use collect and judge")

    def require_failures(self, found: Fetched | HypertapeError) -> None:
        if isinstance(found, HypertapeError):
            if not isinstance(found, TransientError):
                raise _Wrong(f"it takes for final what may pass: {found}")
            return
        for ticker in self.tickers:
            if ticker not in found.failures:
                raise _Wrong(f"{ticker} was not answered, and that is no failure of it")
            if not isinstance(found.failures[ticker], TransientError):
                raise _Wrong(f"it takes for final what may pass: {found.failures[ticker]}")
        if len(found.bars):
            raise _Wrong("it delivers bars of an answer that broke off")

    # --- what there is

    @property
    def tickers(self) -> list[str]:
        listed = [entry.ticker for entry in self.market.tickers if entry.kind != "index"]
        return [*listed, "TESTA", "TESTB", "TESTC"][:TICKERS]

    def symbol(self, ticker: str) -> str:
        return self.market.symbol_at(self.name, ticker)

    def offers(self) -> list[Offered]:
        days = calendars.sessions(self.market, WINDOW.start.date(), WINDOW.end.date())
        low, high = self.market.plausible_prices.get(self.market.kind_of(self.tickers[0]), (10.0, 1000.0))
        found = []
        for at, ticker in enumerate(self.tickers):
            base = round((low * high) ** 0.5 * (at + 1), 2)
            rows = [
                VendorRow(
                    day.date, base + n, base + n + 2, base + n - 1, base + n + 1, 1000.0 + n, base + n + 1
                )
                for n, day in enumerate(days)
            ]
            opened = [day.opens for day in days]
            found.append(Offered(self.symbol(ticker), rows, opened, self.market.timezone))
        return found

    def opened(self) -> Source:
        config = SourceConfig(self.name, endpoint=self.server.url)
        arguments = (None, None, Limits()) if hasattr(self.vendor, "RATE") else (Limits(),)
        source: Source = self.vendor.build(config, *arguments)
        return replace(source, sleep=lambda _: None) if isinstance(source, VendorSource) else source

    def fetched(self, source: Source | None = None) -> Fetched:
        asked = source or self.opened()
        return asked.fetch(self.market, self.tickers, Interval.D1, WINDOW, now=NOW)

    def fetched_or_failed(self) -> Fetched | HypertapeError:
        try:
            return self.fetched()
        except HypertapeError as error:
            return error

    @staticmethod
    def cut_to(one: Offered, most: int) -> Offered:
        return replace(one, rows=one.rows[:most], opened=one.opened[:most])

    def all_scaled(self, one: Offered, factor: float) -> Offered:
        return replace(one, rows=[self.scaled(row, factor) for row in one.rows])

    @staticmethod
    def scaled(row: VendorRow, factor: float) -> VendorRow:
        prices = ("open", "high", "low", "close", "adjusted_close")
        return row._replace(**{name: round(getattr(row, name) * factor, 6) for name in prices})


class _Nowhere:
    """What a source of files has in a server's place."""

    url = ""
    status: int | None = None
    once: int | None = None
    cuts = False
    page: str | None = None

    def __init__(self) -> None:
        self.offered: list[Offered] = []


@dataclass
class _FileTrial(_Trial):
    """The same of a source that reads files: there is nobody to refuse, but a file may end in the middle."""

    place: Path

    def tries(self) -> dict[str, Callable[[], None]]:
        """Those that concern files."""
        asked = ("asked to slow down (429)", "server error (503)")
        return {name: attempt for name, attempt in super().tries().items() if name not in asked}

    def opened(self) -> Source:
        source: Source = self.vendor.build(SourceConfig(self.name, directory=str(self.place)), Limits())
        return source

    def fetched(self, source: Source | None = None) -> Fetched:
        rmtree(self.place)
        self.place.mkdir()
        self.vendor.write_stand_in(self.place, self.server.offered)
        files = [path for path in self.place.rglob("*") if path.is_file()]
        for path in files:
            content = path.read_bytes()
            if self.server.page is not None:
                path.write_text(self.server.page)
            elif self.server.cuts:
                path.write_bytes(content[: len(content) // 2])
        return super().fetched(source)

    def cut(self) -> None:
        self.server.cuts = True
        found = self.fetched()
        told = {*found.failures, *found.short, *found.rejects["ticker"].to_pylist()}
        if silent := [ticker for ticker in self.tickers if ticker not in told]:
            raise _Wrong(f"half the file of {silent[0]} is missing, and it does not say so")


def _micros(row: VendorRow) -> int:
    day = datetime(row.time.year, row.time.month, row.time.day, tzinfo=UTC)
    return (day - utc(1970)) // timedelta(microseconds=1)
