"""What a running stream says of itself, as metrics; its writers keep meters of their own (`stream/metrics.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.registry import Collector

from hypertape.meters import Family, counters, gauges

RUNNING = "running"


class StreamCollector(Collector):
    """The figures of one stream. `figures` is `Stream.figures`; the limits are those of its queue and its spool."""

    def __init__(
        self, figures: Callable[[], Mapping[str, Any]], *, queue_rows: int, spool_bytes: int
    ) -> None:
        self._figures, self._queue_rows, self._spool_bytes = figures, queue_rows, spool_bytes

    def collect(self) -> Iterable[Family]:
        """The families; only the limits before the stream has begun."""
        yield gauges("hypertape_stream_queue_limit_rows", [((), self._queue_rows)])
        yield gauges("hypertape_stream_spool_limit_bytes", [((), self._spool_bytes)])
        told = self._figures()
        if not told:
            return
        feeds, sinks = told["feeds"], told["sinks"]
        running = [((name,), float(feed["state"] == RUNNING)) for name, feed in feeds.items()]
        yield gauges("hypertape_stream_feed_up", running)
        for what in ("ticks", "rejected", "gaps"):
            rows = [((name,), feed[what]) for name, feed in feeds.items()]
            yield counters(f"hypertape_stream_feed_{what}_total", rows)
        yield counters("hypertape_stream_dead_letters_total", [((), told["dead_letters"])])
        yield counters("hypertape_stream_bars_total", [((), told["bars"])])
        yield gauges("hypertape_stream_lag_seconds", [((), told["lag_seconds"])])
        dropped = [((name,), sink["dropped"]) for name, sink in sinks.items()]
        yield counters("hypertape_stream_sink_dropped_total", dropped)
        waiting = [((name,), sink["waiting"]) for name, sink in sinks.items() if "waiting" in sink]
        yield gauges("hypertape_stream_sink_waiting", waiting)
        clients = [((), sink["clients"]) for sink in sinks.values() if "clients" in sink]
        yield gauges("hypertape_stream_clients", clients)

    def describe(self) -> Iterable[Family]:
        """Nothing, so that it is not asked when it is registered."""
        return ()
