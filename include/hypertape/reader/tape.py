"""The one object a program needs: `Tape`, over a warehouse or over the API of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self

import pyarrow as pa

from hypertape.errors import BadInput
from hypertape.frame import TIME_TYPE
from hypertape.model import Interval, Market
from hypertape.reader.request import BarRequest, Instant, read_instant, read_request
from hypertape.settings import Settings

_MOMENT = timedelta(microseconds=1)

GAP_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("start_time", TIME_TYPE),
        ("end_time", TIME_TYPE),
        ("sessions", pa.int64()),
        ("bars", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("attempts", pa.int64()),
        ("closed_at", TIME_TYPE),
        ("closed_reason", pa.string()),
    ]
)
CONDITION_SCHEMA = pa.schema(
    [
        ("session", pa.date32()),
        ("ticker", pa.string()),
        ("condition", pa.string()),
        ("reasons", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, slots=True)
class LedgerRequest:
    """What is asked of a ledger: series of one market and stored interval, and a window; None is open."""

    market: Market
    interval: Interval
    tickers: tuple[str, ...] | None


class Backend(Protocol):
    """Who answers a tape's questions."""

    def read(self, request: BarRequest, *, at_once: bool) -> Iterator[pa.RecordBatch]:
        """The bars of an answer, an empty batch first; `at_once` for one that is read whole before all else."""
        ...

    def gaps(self, request: LedgerRequest, *, closed: bool) -> Iterable[dict[str, Any]]:
        """Entries of the gap ledger; those that are closed too."""
        ...

    def condition(self, request: LedgerRequest, start: date, end: date) -> Iterable[dict[str, Any]]:
        """The condition of each session from `start` to `end`, both included, of each ticker."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class Tape:
    """Bars and what is known of them, as Arrow tables. Close it, or use it in a `with`.

    Threads may share one and take turns; another process opens its own, and a forked one may go on with it.
    `tickers` is one, several, or None for all that have bars. Windows are [start, end) in UTC. Every table is sorted
    by ticker and time. Raises UnknownTicker for a ticker without bars, BadInput for an argument that cannot be used
    (`reader.request` lists them), and what the warehouse or the API raises.
    """

    def __init__(self, backend: Backend) -> None:
        self._open: Backend | None = backend

    @property
    def _backend(self) -> Backend:
        if self._open is None:
            raise BadInput("The tape is closed", next_step="Open another one: hypertape.open().")
        return self._open

    def __reduce__(self) -> NoReturn:
        """A tape has a password or a key in it, and a connection: none of it belongs into a pickle."""
        raise TypeError("A tape cannot be pickled: open one where it is needed, with hypertape.open()")

    def read(
        self, market: str, interval: str, tickers: str | Iterable[str] | None = None, **asked: Any
    ) -> pa.Table:
        """Bars as one table: ticker, time (opening, timestamp[us, UTC]), then the columns as float64, null for none.

        Further arguments, by name: start, end, columns, indicators, adjusted, as_of, pin, state, complete; see
        `reader.request`. Over a warehouse the whole table is of one instant. Raises Incomplete, which has the gaps and
        their reasons, when `complete` is asked for and a bar is missing that nothing explains; PinBroken.
        """
        request = read_request(market, interval, tickers, **asked)
        return pa.Table.from_batches(list(self._backend.read(request, at_once=True)))

    def iter(
        self, market: str, interval: str, tickers: str | Iterable[str] | None = None, **asked: Any
    ) -> Iterator[pa.RecordBatch]:
        """The same bars in batches of some ten thousand, for more than memory holds; ticker by ticker."""
        request = read_request(market, interval, tickers, **asked)
        yield from (batch for batch in self._backend.read(request, at_once=False) if len(batch))

    def last(
        self, market: str, interval: str, tickers: str | Iterable[str] | None = None, n: int = 1, **asked: Any
    ) -> pa.Table:
        """The newest `n` bars of each ticker, oldest first; arguments as for `read`."""
        return self.read(market, interval, tickers, newest=n, **asked)

    def gaps(
        self,
        market: str,
        interval: str,
        tickers: str | Iterable[str] | None = None,
        *,
        start: Instant = None,
        end: Instant = None,
        closed: bool = False,
    ) -> pa.Table:
        """The gap ledger: stretches [start_time, end_time) without their bars, and why; with `closed` also former ones.

        Those that overlap the window. `detail` says what is behind a reason, where something is known.
        """
        low, high = read_instant("start", start), read_instant("end", end)
        found = [
            row
            for row in self._backend.gaps(_ledger_request(market, interval, tickers), closed=closed)
            if (low is None or row["end_time"] > low) and (high is None or row["start_time"] < high)
        ]
        found.sort(key=lambda row: (row["ticker"], row["start_time"], row["end_time"], row["gap_id"]))
        return pa.Table.from_pylist(found, schema=GAP_SCHEMA)

    def condition(
        self,
        market: str,
        interval: str,
        tickers: str | Iterable[str] | None = None,
        *,
        start: Instant,
        end: Instant,
    ) -> pa.Table:
        """Each session in [start, end) of each ticker: available, degraded, pending or missing, and why."""
        low, high = read_instant("start", start), read_instant("end", end)
        if low is None or high is None:
            raise BadInput("A condition is of sessions between two days", next_step="Name start and end.")
        last = (high - _MOMENT).date()
        asked = _ledger_request(market, interval, tickers)
        found = list(self._backend.condition(asked, low.date(), last)) if low.date() <= last else []
        found.sort(key=lambda row: (row["ticker"], row["session"]))
        return pa.Table.from_pylist(found, schema=CONDITION_SCHEMA)

    def close(self) -> None:
        """Release the connection. Closing again does nothing."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_tape(settings: Settings, address: str | None = None, *, key: str | None = None) -> Tape:
    """Open a tape: over the API at an `https://` address with its key, else over a warehouse's address (DSN).

    Without an address the settings name the warehouse. Raises BadInput for a key where no API is named.
    """
    if address is not None and address.startswith(("http://", "https://")):
        from hypertape.reader.over_http import OverHttp  # an HTTP client is loaded by those who need one

        return Tape(OverHttp.at(address, key))
    if key is not None:
        raise BadInput("A key is for an API", next_step="Name its address: open('https://…', key=…).")
    from hypertape.reader.over_dsn import OverDsn

    return Tape(OverDsn(settings, address))


def _ledger_request(market: str, interval: str, tickers: str | Iterable[str] | None) -> LedgerRequest:
    asked = read_request(market, interval, tickers)
    if not asked.interval.is_stored:
        raise BadInput(f"{asked.interval} bars are rolled up", next_step="The ledgers know 1m, 1h and 1d.")
    return LedgerRequest(asked.market, asked.interval, asked.tickers)
