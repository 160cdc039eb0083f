"""Streams as the settings want them: what `hypertape stream` runs, and the demo."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from hypertape.errors import BadInput
from hypertape.meters import FORMAT
from hypertape.monitoring.registry import page, registry_of
from hypertape.monitoring.stream_figures import StreamCollector
from hypertape.settings import Settings
from hypertape.stream.bars import BarStream
from hypertape.stream.database import DatabaseSink
from hypertape.stream.feeds import FeedConfig, feed_calendar, now_micros, open_feed
from hypertape.stream.metrics import metrics_of
from hypertape.stream.outlet import Outlet
from hypertape.stream.replay import Replayed, drain_spool, replay_letters
from hypertape.stream.run import Stream
from hypertape.stream.summary import Summary
from hypertape.stream.writer import WriterOptions

REPLAY = "replay"
"""The part of the spool's directory that replays use."""

TARGETS = ("database", "websocket", "rabbitmq")
"""Where ticks can go."""

log = logging.getLogger("hypertape.stream")


def read_targets(text: str) -> tuple[str, ...]:
    """Read a list of targets. Raises BadInput with the valid ones."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    strange = [name for name in names if name not in TARGETS]
    if strange or not names:
        raise BadInput(
            f"There is no target {strange[0] if strange else text!r}",
            next_step=f"Targets: {', '.join(TARGETS)}.",
        )
    return names


async def run_stream(
    settings: Settings,
    dsn: str,
    addresses: Sequence[str],
    targets: Sequence[str],
    *,
    clock: Callable[[], datetime],
    host: str = "127.0.0.1",
    port: int | None = None,
    on_listening: Callable[[int], None] | None = None,
    replay: bool = False,
) -> tuple[Summary, bool]:
    """Run feeds into targets until they end or a signal (SIGTERM, Ctrl-C) says so; return the summary and
    whether it did.

    `replay`: a stream may be running on this machine, so its spool is left alone. With a port `/metrics` and `/status`
    are served there too. Raises BadInput for what cannot be run.
    """
    config = FeedConfig(rabbitmq_url=settings.rabbitmq_url, fix_password=settings.fix_password)
    feeds = [open_feed(address, config) for address in addresses]
    calendars = {
        feed.name: feed_calendar(text, now_micros()) for feed, text in zip(feeds, addresses, strict=True)
    }
    stores = "database" in targets
    bars = BarStream(dsn, lateness=settings.bar_lateness_seconds) if stores else None
    database = database_sink(settings, dsn, bars, replay=replay) if stores else None
    outlets = [Outlet(_rabbit(settings))] if "rabbitmq" in targets else []
    stream: Stream | None = None
    websocket: Any = None
    if "websocket" in targets or port is not None:
        told = lambda: stream.figures() if stream else {}  # noqa: E731
        websocket = _websocket(settings, dsn, clock, host, port, told, stores=stores)
    stream = Stream(
        feeds,
        dsn=dsn if stores else None,
        database=database,
        websocket=websocket,
        outlets=outlets,
        bars=bars,
        calendars=calendars,
        resumes=not replay,
        clock=now_micros,
        on_started=(lambda: on_listening(websocket.port)) if on_listening and websocket else None,
    )
    with _stopping_on_signal(stream) as stopped:
        summary = await stream.run()
    return summary, stopped()


def database_sink(
    settings: Settings, dsn: str, bars: BarStream | None = None, *, replay: bool = False
) -> DatabaseSink:
    """The sink that stores, as the settings want it; one process has a spool, so a replay has one of its own."""
    options = WriterOptions(
        batch_size=settings.tick_batch_size,
        interval=settings.tick_flush_interval_ms / 1000,
        queue_size=settings.bars_db_write_queue_size,
        tries=settings.bars_db_max_retries,
        retry_delay=settings.bars_db_retry_delay,
        lanes=2,
    )
    return DatabaseSink(
        dsn,
        settings.spool / REPLAY if replay else settings.spool,
        options,
        spool_bytes=settings.spool_megabytes << 20,
        keep_days=settings.tick_keep_days,
        on_stored=bars.touch if bars else None,
    )


async def replay_dead_letters(settings: Settings, dsn: str, source: str | None) -> Replayed:
    """Store the dead letters that are ticks by now."""
    async with database_sink(settings, dsn, replay=True) as database:
        return await replay_letters(dsn, database, source=source)


async def replay_spool(settings: Settings, dsn: str) -> tuple[int, int]:
    """Store what a stream or replay that is gone left in this machine's spools; return records of ticks and notices.

    Raises BadInput while a stream runs on this machine: it empties its spool itself.
    """
    ticks = notices = 0
    for replay in (False, True):
        async with database_sink(settings, dsn, replay=replay) as database:
            found = await drain_spool(database)
        ticks, notices = ticks + found[0], notices + found[1]
    return ticks, notices


def feed_address(text: str, source: str | None) -> str:
    """The address of a file to replay: as it stands when it names a feed, else by the file's ending. Raises
    BadInput.
    """
    if ":" not in text:
        kind = {".jsonl": "jsonl", ".csv": "csv"}.get(Path(text).suffix.lower())
        if kind is None:
            raise BadInput(
                f"{text} ends neither in .jsonl nor in .csv",
                next_step="Name its feed: jsonl:FILE or csv:FILE.",
            )
        text = f"{kind}:{text}"
    if source:
        text += f"{'&' if '?' in text else '?'}source={source}"
    return text


def _rabbit(settings: Settings) -> Any:
    from hypertape.stream.sinks.rabbitmq import RabbitSink  # noqa: PLC0415  (costs a stream without it 0.2 s)

    return RabbitSink(settings.rabbitmq_url)


def _websocket(
    settings: Settings,
    dsn: str,
    clock: Callable[[], datetime],
    host: str,
    port: int | None,
    figures: Callable[[], dict[str, Any]],
    *,
    stores: bool,
) -> Any:
    from hypertape.stream.admission import Admission  # noqa: PLC0415
    from hypertape.stream.sinks.websocket import WebSocketSink  # noqa: PLC0415

    registry = _registry(settings, dsn if stores else None, clock, figures)

    def metrics() -> tuple[str, bytes]:
        return FORMAT, page(registry)

    def status() -> tuple[str, bytes]:
        return "application/json", json.dumps(figures(), default=str).encode()

    admission = Admission(dsn, clock, airflow_url=settings.airflow_url, origins=settings.writing_origins)
    pages = {"/metrics": metrics, "/status": status}
    return WebSocketSink(host, 8601 if port is None else port, admission, pages=pages)


def _registry(
    settings: Settings, dsn: str | None, clock: Callable[[], datetime], figures: Callable[[], dict[str, Any]]
) -> CollectorRegistry:
    """What /metrics of a stream tells: itself, its machine, its writers, and whether it reaches the warehouse."""
    registry, _ = registry_of(settings, (lambda: dsn) if dsn else None, clock=clock, parts={})
    limits = {
        "queue_rows": settings.bars_db_write_queue_size,
        "spool_bytes": settings.spool_megabytes << 20,
    }
    registry.register(StreamCollector(figures, **limits))
    for meter in metrics_of().all:
        registry.register(meter)
    return registry


@contextmanager
def _stopping_on_signal(stream: Stream) -> Iterator[Callable[[], bool]]:
    """The first SIGTERM or Ctrl-C lets the stream flush and end; a second one ends the process."""
    loop = asyncio.get_running_loop()
    caught: list[asyncio.Task[None]] = []

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        log.info("stopping: what was delivered is written first")
        caught.append(asyncio.ensure_future(stream.stop()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield lambda: bool(caught)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
