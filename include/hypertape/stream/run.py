"""The running stream: feeds in, database and fan-out behind them, candles and bars in step.

A batch of a feed is stored (or spooled) before it is fanned out and before the feed is asked for the next one.
Each further sink has a queue of its own (`Outlet`). A feed that fails for good ends alone; the others go on,
and the stream ends with its error when all have ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypertape.errors import BadInput, HypertapeError, TransientError
from hypertape.stream.bars import BarStream
from hypertape.stream.database import DatabaseSink
from hypertape.stream.downtime import Downtime
from hypertape.stream.event_table import Notice
from hypertape.stream.feeds import ALWAYS
from hypertape.stream.gaps import close_filled_gaps
from hypertape.stream.letters import letters_since
from hypertape.stream.model import Event, Feed, FeedGap, GapFilled, Rejected, Tick
from hypertape.stream.outlet import Outlet
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.sinks.websocket import WebSocketSink
from hypertape.stream.summary import FeedFigures, Summary, gap_line, sink_figures
from hypertape.stream.workers import beat, sign_off
from hypertape.warehouse.connect import connect

BEAT_SECONDS = 2.0
CANDLE_SECONDS = 5.0
"""How often the candles are refreshed where ticks came."""

_FULL_SECONDS = 1.0
_FORGET_AFTER = timedelta(days=1)

log = logging.getLogger("hypertape.stream")


class Stream:
    """Joins feeds and sinks. `dsn` is the warehouse, where the candles are refreshed and the stream reports itself.

    `database` None: nothing is stored. `clock` gives microseconds. `calendars` say when feeds should speak, by their
    names. `resumes`: what feeds missed since their earlier run is a gap; a replay resumes nothing.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        dsn: str | None = None,
        database: DatabaseSink | None = None,
        websocket: WebSocketSink | None = None,
        outlets: Sequence[Outlet] = (),
        bars: BarStream | None = None,
        calendars: Mapping[str, str] | None = None,
        resumes: bool = True,
        clock: Callable[[], int],
        on_started: Callable[[], None] | None = None,
    ) -> None:
        self._feeds, self._dsn, self._clock = list(feeds), dsn, clock
        self._database, self._websocket, self._outlets, self._bars = database, websocket, list(outlets), bars
        named = {feed.name: (calendars or {}).get(feed.name, ALWAYS) for feed in feeds}
        self._figures = {feed.name: FeedFigures(calendar=named[feed.name], live=feed.live) for feed in feeds}
        self._downtime = Downtime({feed.name: feed.numbering for feed in feeds}, named)
        self._resumes = resumes and database is not None
        if len(self._figures) < len(self._feeds):
            raise BadInput("Two feeds have one name", next_step="Give one of them another: ?source=NAME.")
        self._errors: list[HypertapeError] = []
        self._on_started = on_started
        self._stopping = asyncio.Event()
        self._letters = 0
        self._dirty = False
        self._rate = 0.0
        self.name = f"{socket.gethostname()}-{os.getpid()}"

    async def run(self) -> Summary:
        """Run until every feed has ended, or `stop`. What was accepted is flushed; the summary has the first
        error.
        """
        self._started = datetime.fromtimestamp(self._clock() / 1e6, UTC)
        await self._start()
        keeping = [asyncio.create_task(self._every(seconds, work)) for seconds, work in self._chores()]
        try:
            async with asyncio.TaskGroup() as group:
                for feed in self._feeds:
                    group.create_task(self._pump(feed))
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await self._finish()
        return self._summary()

    async def stop(self) -> None:
        """Close the feeds; `run` ends when what they delivered is accepted."""
        self._stopping.set()
        await asyncio.gather(*(feed.close() for feed in self._feeds), return_exceptions=True)

    def figures(self) -> dict[str, Any]:
        """What the stream says of itself: feeds, writer, sinks, ticks a second, and how late the newest tick is."""
        times = [figures.last_tick for figures in self._figures.values() if figures.last_tick is not None]
        return {
            **self._summary().to_json(),
            "writer": asdict(self._database.status) if self._database else None,
            "rate": round(self._rate, 1),
            "lag_seconds": round((self._clock() - max(times)) / 1e6, 3) if times else None,
        }

    # --- feeds

    async def _pump(self, feed: Feed) -> None:
        figures = self._figures[feed.name]
        try:
            async with aclosing(feed.run()) as batches:  # type: ignore[type-var]
                async for events in batches:
                    await self._take(events, figures)
            figures.state = "ended"
        except HypertapeError as error:
            figures.state, figures.error = "failed", str(error)
            self._errors.append(error)
            log.error("%s: %s", feed.name, error)

    async def _take(self, events: list[Event], figures: FeedFigures) -> None:
        """Accept a batch: notices and ticks are durable before anybody hears of them."""
        ticks = [event for event in events if isinstance(event, Tick)]
        notices: list[Notice] = [event for event in events if not isinstance(event, Tick | GapFilled)]
        filled: list[Notice] = [event for event in events if isinstance(event, GapFilled)]
        if self._database is not None:
            database = self._database
            if notices:
                await self._insist(lambda: database.record(notices))
            if ticks:
                await self._insist(lambda: database.publish(ticks))
            if filled:  # after what fills it: a kill between the two leaves a gap open, never closed wrongly
                await self._insist(lambda: database.record(filled))
        self._count(figures, ticks, [*notices, *filled])
        if ticks:
            if self._resumes:
                self._downtime.see(ticks[0].source, ticks, figures.heard_at or 0)
            if self._websocket is not None:
                await self._websocket.publish(ticks)
            for outlet in self._outlets:
                outlet.offer(ticks)

    async def _insist(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Try until it is accepted: with the spool full the feed waits. Raises what refuses it when the stream
        ends.
        """
        while True:
            try:
                return await accept()
            except TransientError as error:
                if self._stopping.is_set():
                    raise
                log.warning("the feed waits: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _FULL_SECONDS)

    def _count(self, figures: FeedFigures, ticks: list[Tick], notices: list[Notice]) -> None:
        figures.ticks += len(ticks)
        for notice in notices:
            if isinstance(notice, Rejected):
                figures.rejected += 1
                log.warning("%s: not a tick: %s", notice.source, notice.error)
            elif isinstance(notice, FeedGap):
                figures.gaps += 1
                log.warning("%s", gap_line(notice))
            elif isinstance(notice, GapFilled):
                figures.filled += 1
        if ticks:
            self._dirty = True
            figures.heard_at = self._clock()
            figures.last_tick = max(figures.last_tick or 0, max(tick.time for tick in ticks))

    # --- what is done beside them

    def _chores(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        chores: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        if self._dsn is not None:
            chores.append((BEAT_SECONDS, self._beat))
        if self._database is not None:
            chores.append((CANDLE_SECONDS, self._refresh))
            chores.append((BEAT_SECONDS, self._look_back))
        if self._bars is not None:
            chores.append((1.0, self._build))
        return chores

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, and again so many seconds later; a warehouse that is away is tried again the next time."""
        while True:
            try:
                await work()
            except HypertapeError as error:
                log.warning("tried again in %g s: %s", seconds, error)
            await asyncio.sleep(seconds)

    async def _start(self) -> None:
        if self._websocket is not None:
            await self._websocket.start()
        if self._database is not None:
            await self._database.start()
        for outlet in self._outlets:
            outlet.start()
        if self._on_started is not None:
            self._on_started()
        self._counted, self._counted_at = 0, time.monotonic()

    async def _finish(self) -> None:
        """Accept what is queued, then everything that follows from stored ticks; a warehouse that is away ends
        none of it.
        """
        if self._database is not None:
            await self._database.close()
            build = partial(self._build, idle=True)
            for work in (
                self._refresh,
                build,
                self._look_back,
                self._close_gaps,
                self._count_letters,
                self._leave,
            ):
                try:
                    await work()
                except HypertapeError as error:
                    log.warning("left for the next run: %s", error)
        for outlet in self._outlets:
            await outlet.close()
        if self._websocket is not None:
            await self._websocket.close()

    async def _beat(self) -> None:
        now, total = time.monotonic(), sum(figures.ticks for figures in self._figures.values())
        if now > self._counted_at:
            self._rate = (total - self._counted) / (now - self._counted_at)
        self._counted, self._counted_at = total, now
        await self._on_connection(
            lambda connection: beat(connection, self.name, self._started, self.figures())
        )

    async def _refresh(self) -> None:
        if self._dirty:
            self._dirty = False
            if await self._on_connection(lambda connection: refresh_candles(connection, self.name)) is None:
                self._dirty = True  # somebody else refreshes: look again

    async def _build(self, *, idle: bool = False) -> None:
        if self._bars is not None:
            await self._bars.build(idle=idle)

    async def _look_back(self) -> None:
        """Note what feeds missed since their earlier run, once what was accepted is stored."""
        assert self._database is not None
        if not self._downtime.waiting or self._database.status.spool_records:
            return
        for gap in await self._on_connection(lambda known: self._downtime.compare(known, self._started)):
            self._figures[gap.source].gaps += 1
            log.warning("%s (since the earlier run)", gap_line(gap))

    async def _close_gaps(self) -> None:
        await self._on_connection(lambda connection: close_filled_gaps(connection, "replay"))

    async def _count_letters(self) -> None:
        """The warehouse knows of more than we do: ticks too old, keys that another tick has."""
        self._letters = await self._on_connection(lambda known: letters_since(known, self._started))

    async def _leave(self) -> None:
        silent_since = datetime.fromtimestamp(self._clock() / 1e6, UTC) - _FORGET_AFTER
        await self._on_connection(lambda connection: sign_off(connection, self.name, silent_since))

    async def _on_connection(self, work: Callable[[Any], Any]) -> Any:
        dsn = self._dsn
        assert dsn is not None

        def done() -> Any:
            with connect(dsn, autocommit=True, application_name="hypertape stream") as connection:
                return work(connection)

        return await asyncio.to_thread(done)

    def _summary(self) -> Summary:
        return Summary(
            self._figures,
            buried=self._database.status.buried if self._database else 0,
            letters=self._letters,
            bars=self._bars.built if self._bars else 0,
            corrected=self._bars.corrected if self._bars else 0,
            sinks=sink_figures(self._outlets, self._websocket),
            error=self._errors[0] if self._errors else None,
        )
