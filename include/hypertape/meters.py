"""The metrics hypertape exposes: names, kinds, labels and meanings, declared here and nowhere else.

Whoever measures something makes its meter or family from the declaration; docs/reference/metrics.md is this list.
Names follow Prometheus' conventions (base units, `_total` for counters); `timescale_write_*` are a document's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for

METRICS = "/metrics"
"""The path, whoever answers it."""

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `generate_latest` gives."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared metric. `kind` is gauge, counter, histogram or summary; `where` says whose /metrics has it."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    where: str = "warehouse"


def _declared(where: str, *rows: tuple[str, str, str, str]) -> list[Metric]:
    return [Metric(name, kind, text, tuple(labels.split()), where) for name, kind, labels, text in rows]


_PLACE = "market interval"

CATALOG: tuple[Metric, ...] = (
    *_declared(
        "every",
        ("hypertape_build_info", "gauge", "version", "1, with the version of hypertape."),
        ("hypertape_up", "gauge", "", "1 where the warehouse answers this process, else 0."),
        ("hypertape_memory_used_bytes", "gauge", "", "Memory in use, of the container or the machine."),
        ("hypertape_memory_limit_bytes", "gauge", "", "Memory there is: the container's limit, else all."),
        ("hypertape_disk_free_bytes", "gauge", "place", "Free bytes of the disk of the state directory or spool."),
        ("hypertape_disk_size_bytes", "gauge", "place", "Size of that disk."),
    ),
    *_declared(
        "warehouse",
        ("hypertape_collect_success", "gauge", "part", "1 where this part of the figures was read in time, else 0."),
        ("hypertape_collect_seconds", "gauge", "", "Time it took to read the figures of the warehouse."),
        ("hypertape_findings", "gauge", f"{_PLACE} kind severity", "Findings that are open and not acknowledged."),
        ("hypertape_market_open", "gauge", "market", "1 while the market trades, else 0."),
        ("hypertape_staleness_sessions", "gauge", _PLACE, "Sessions that closed since the newest bar of any ticker."),
        ("hypertape_staleness_allowed_sessions", "gauge", "market", "Sessions a series may be behind."),
        ("hypertape_tickers", "gauge", _PLACE, "Tickers with bars."),
        ("hypertape_last_bar_timestamp_seconds", "gauge", _PLACE, "Opening of the newest bar."),
        ("hypertape_watermark_timestamp_seconds", "gauge", _PLACE, "Oldest watermark of a series."),
        ("hypertape_bars", "gauge", _PLACE, "Bars loaded, by the load ledger."),
        ("hypertape_last_sync_timestamp_seconds", "gauge", _PLACE, "The newest load."),
        ("hypertape_loads_total", "counter", f"{_PLACE} source status", "Loads of a series by how they ended."),
        (
            "hypertape_load_rows_total", "counter", f"{_PLACE} source outcome",
            "Rows of loads: fetched, inserted, updated, recomputed, unchanged, quarantined, duplicates.",
        ),
        ("hypertape_load_seconds", "summary", f"{_PLACE} source", "Time loads took, each series' share of its batch."),
        ("hypertape_open_gap_bars", "gauge", _PLACE, "Bars that are missing and not explained away."),
        ("hypertape_open_quarantine_rows", "gauge", _PLACE, "Refused rows that were not released."),
        ("hypertape_failed_checks", "gauge", _PLACE, "Checks that failed in the newest checked run."),
        (
            "hypertape_not_evaluated_checks", "gauge", _PLACE,
            "Checks of the newest checked run that had nothing to look at.",
        ),
        ("hypertape_rollup_pending_ranges", "gauge", _PLACE, "Ranges whose rollups are older than their bars."),
        ("hypertape_claims", "gauge", "kind state", "Units of work: held by a living worker, or expired."),
        ("hypertape_workers", "gauge", "kind state", "Workers: working, idle or dead; streams: alive or dead."),
        ("hypertape_source_paused", "gauge", "source", "1 while the source is left alone after failures, else 0."),
        ("hypertape_source_failures", "gauge", "source", "Failed requests in a row."),
        ("hypertape_source_answered_timestamp_seconds", "gauge", "source", "When the source last answered."),
        ("hypertape_feed_gaps", "gauge", "", "Gaps of feeds that are open."),
        ("hypertape_dead_letters", "gauge", "", "Dead letters that were not stored since."),
        ("hypertape_tick_pending_ranges", "gauge", "", "Ranges of ticks whose candles wait for their refresh."),
        ("hypertape_last_tick_timestamp_seconds", "gauge", "", "The newest tick of the last seven days."),
        ("hypertape_mirror_waiting_series", "gauge", "mirror", "Series that a mirror has not received."),
        ("hypertape_messages_waiting", "gauge", "", "Messages that no channel has taken yet."),
        ("hypertape_backup_made_timestamp_seconds", "gauge", "", "When the newest backup was made."),
        ("hypertape_backup_verified_timestamp_seconds", "gauge", "", "When a backup was last found whole."),
        ("hypertape_backup_bytes", "gauge", "", "Size of the newest backup."),
        ("hypertape_backup_seconds", "gauge", "", "Time the newest backup took."),
        ("hypertape_database_bytes", "gauge", "", "Size of the warehouse's database."),
        ("hypertape_connections", "gauge", "", "Connections that clients hold to the server."),
        ("hypertape_connections_allowed", "gauge", "", "Connections the server has for those who are no superuser."),
    ),
    *_declared(
        "api",
        ("hypertape_api_requests_total", "counter", "route status", "Requests by route and status."),
        ("hypertape_api_request_seconds", "histogram", "route", "Time to the last byte."),
    ),
    *_declared(
        "stream",
        ("timescale_write_total", "counter", "writer status", "Batches written: success, spooled or failed."),
        ("timescale_write_errors_total", "counter", "writer error_type", "Failed tries."),
        ("timescale_write_latency_seconds", "histogram", "writer", "From taking a batch to its commit."),
        ("timescale_write_queue_depth", "gauge", "writer", "Rows that wait for their batch."),
        ("timescale_write_batch_size", "histogram", "writer", "Rows of a batch."),
        ("hypertape_stream_accepted_rows_total", "counter", "writer", "Rows stored or spooled."),
        ("hypertape_stream_spool_bytes", "gauge", "writer", "Bytes spooled."),
        ("hypertape_stream_queue_limit_rows", "gauge", "", "Rows that may wait before the feed has to."),
        ("hypertape_stream_spool_limit_bytes", "gauge", "", "Bytes the spool may have before ticks are refused."),
        ("hypertape_stream_feed_up", "gauge", "feed", "1 while the feed runs, 0 when it failed or ended."),
        ("hypertape_stream_feed_ticks_total", "counter", "feed", "Ticks the feed brought."),
        ("hypertape_stream_feed_rejected_total", "counter", "feed", "Records of the feed that are no ticks."),
        ("hypertape_stream_feed_gaps_total", "counter", "feed", "Gaps the feed noticed."),
        ("hypertape_stream_dead_letters_total", "counter", "", "Records and ticks that this stream could not store."),
        ("hypertape_stream_bars_total", "counter", "", "Minutes finalised."),
        ("hypertape_stream_lag_seconds", "gauge", "", "How old the newest tick is."),
        ("hypertape_stream_sink_dropped_total", "counter", "sink", "What a sink beside the database left out."),
        ("hypertape_stream_sink_waiting", "gauge", "sink", "Batches that wait for a sink beside the database."),
        ("hypertape_stream_clients", "gauge", "", "Clients that listen."),
    ),
    *_declared(
        "worker",
        ("hypertape_worker_rounds_total", "counter", f"{_PLACE} outcome", "Rounds: ok, or failed in part."),
        (
            "hypertape_worker_series_total", "counter", f"{_PLACE} outcome",
            "Series of rounds: asked, failed, skipped, reclaimed from the dead, lost.",
        ),
        (
            "hypertape_worker_rows_total", "counter", f"{_PLACE} outcome",
            "Rows of rounds: inserted, updated, unchanged, quarantined.",
        ),
        ("hypertape_worker_waits_total", "counter", "error", "Times the worker had to wait for the warehouse."),
        ("hypertape_worker_last_round_timestamp_seconds", "gauge", _PLACE, "When its newest round with work ended."),
    ),
)  # fmt: skip
"""Every metric, grouped by whose it is: `every` process's, the `warehouse`'s (read off its ledgers by the API), and
those of the `api`, a `stream` or a `worker`."""

_BY_NAME = {metric.name: metric for metric in CATALOG}


def declared(name: str) -> Metric:
    """The declaration of a metric."""
    return _BY_NAME[name]


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """A counter that a process keeps."""
    metric = declared(name)
    return Counter(name, metric.help, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """A gauge that a process keeps."""
    metric = declared(name)
    return Gauge(name, metric.help, metric.labels, registry=registry)


def histogram(
    name: str, registry: CollectorRegistry, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS
) -> Histogram:
    """A histogram that a process keeps."""
    metric = declared(name)
    return Histogram(name, metric.help, metric.labels, registry=registry, buckets=buckets)


Family = GaugeMetricFamily | CounterMetricFamily | SummaryMetricFamily


def gauges(name: str, rows: Sequence[tuple[Sequence[str], float | None]]) -> GaugeMetricFamily:
    """A family of gauges that was read somewhere: labels and value of each; None is left out."""
    metric = declared(name)
    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        if value is not None:
            family.add_metric(list(labels), value)
    return family


def counters(name: str, rows: Sequence[tuple[Sequence[str], float]]) -> CounterMetricFamily:
    """The same of counters."""
    metric = declared(name)
    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(list(labels), value)
    return family


def summaries(name: str, rows: Sequence[tuple[Sequence[str], int, float]]) -> SummaryMetricFamily:
    """The same of summaries: labels, how many, and their sum."""
    metric = declared(name)
    family = SummaryMetricFamily(name, metric.help, labels=metric.labels)
    for labels, count, total in rows:
        family.add_metric(list(labels), count, total)
    return family
