"""A small market of daily bars for the gap tests: loads that bring some sessions, and the ledger as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from hypertape.calendars import sessions
from hypertape.errors import HypertapeError, NoData, SourceUnavailable
from hypertape.frame import VALUE_COLUMNS, Bars, bar_frame, micros, reject_frame
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, midnight
from hypertape.warehouse.gaps.ledger import GapCounts, note_gaps
from hypertape.warehouse.loading.batch import LoadRequest
from hypertape.warehouse.loading.load import load_bars, record_failures

Connection = psycopg.Connection[Any]
LETTERS = {
    "holiday": "h", "not listed": "n", "delisted": "d", "halted": "x", "provider empty": "e", "fetch failed": "f",
    "unknown": "u",
}  # fmt: skip
FAILURES = {"!": SourceUnavailable("the vendor is down"), "N": NoData("nothing there")}


@dataclass
class Tape:
    """Daily bars of one market over consecutive sessions; a session is named by its position."""

    connection: Connection = field(repr=False)
    first: date = date(2024, 3, 4)
    days: int = 45
    market: Market = field(default_factory=lambda: get_market("vn"), repr=False)
    interval: Interval = Interval.D1
    runs: int = 0

    def __post_init__(self) -> None:
        found = sessions(self.market, self.first, self.first + timedelta(days=2 * self.days + 30))
        self.sessions = found[: self.days]

    def time(self, position: int) -> datetime:
        """Midnight of a session; of the one after the last for the position beyond."""
        if position == len(self.sessions):
            return midnight(self.sessions[-1].date) + timedelta(days=1)
        return midnight(self.sessions[position].date)

    def window(self, start: int, end: int) -> Window:
        return Window(self.time(start), self.time(end))

    @property
    def now(self) -> datetime:
        """After the last session."""
        return self.time(len(self.sessions))

    def load(
        self,
        answers: Mapping[str, Any],
        start: int,
        end: int,
        *,
        run_id: str | None = None,
        now: datetime | None = None,
        reason: str | None = None,
    ) -> str:
        """One run over `[start, end)`: per ticker the positions it brings, or a letter of FAILURES; returns its id."""
        self.runs += 1
        run_id = f"run{self.runs}"
        failures: dict[str, HypertapeError] = {
            t: FAILURES[a] for t, a in answers.items() if isinstance(a, str)
        }
        served = {t: [p for p in a if start <= p < end] for t, a in answers.items() if t not in failures}
        request = LoadRequest(
            self.market,
            self.interval,
            run_id,
            "csv_tree",
            self.window(start, end),
            now or self.now,
            tickers=list(served),
            reason=reason,
        )
        load_bars(self.connection, self.frame(served), request)
        record_failures(self.connection, failures, request)
        return run_id

    def frame(self, served: Mapping[str, Iterable[int]]) -> Any:
        parts = [self._bars(ticker, list(positions)) for ticker, positions in sorted(served.items())]
        return pa.concat_tables(
            [part for part in parts if part is not None]
            or [bar_frame([], [], {n: [] for n in VALUE_COLUMNS})]
        )

    def _bars(self, ticker: str, positions: list[int]) -> Any:
        times = np.array([micros(self.time(p)) for p in positions], np.int64)
        values = np.linspace(10_000.0, 11_000.0, len(times)) if len(times) else np.empty(0)
        bars = Bars(times, values, values, values, values, values, values)
        return (
            bar_frame(ticker, times, {name: getattr(bars, name) for name in VALUE_COLUMNS})
            if len(times)
            else None
        )

    def refuse(self, ticker: str, position: int, row: str = '{"close": 1}') -> None:
        """A load that brings a row the gate refused."""
        self.runs += 1
        rejects = reject_frame([(ticker, self.time(position), "ohlc_order", "1", row)])
        request = LoadRequest(
            self.market, self.interval, f"run{self.runs}", "csv_tree", self.window(position, position + 1), self.now,
            rejects=rejects, tickers=[ticker],
        )  # fmt: skip
        load_bars(self.connection, self.frame({}), request)

    def note(self, run_id: str = "find", window: Window | None = None, **others: Any) -> GapCounts:
        now = others.pop("now", self.now)
        return note_gaps(self.connection, self.market, self.interval, window, now, run_id, **others)

    def picture(self, ticker: str) -> str:
        """The open entries of a ticker as letters, `.` elsewhere."""
        letters = ["."] * len(self.sessions)
        for start, end, reason in self.rows(
            "ticker = %s and closed_at is null", ticker, columns="start_time, end_time, reason"
        ):
            for position in range(len(self.sessions)):
                if start <= self.time(position) < end:
                    assert letters[position] == ".", "no bar is reported twice"
                    letters[position] = LETTERS[reason]
        return "".join(letters)

    def rows(self, where: str = "true", *parameters: Any, columns: str = "*") -> list[tuple[Any, ...]]:
        statement = f"select {columns} from gap where {where} order by ticker, start_time, gap_id"
        return self.connection.execute(statement, parameters or None).fetchall()  # type: ignore[arg-type]

    def open_entries(self) -> list[tuple[Any, ...]]:
        """What the open ledger says, without when and by whom."""
        return self.rows(
            "closed_at is null", columns="ticker, start_time, end_time, bars, sessions, reason, detail"
        )
