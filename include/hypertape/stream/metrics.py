"""What a writer tells Prometheus, under the document's names."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SIZES = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)


class WriterMetrics:
    """The meters of all writers of one registry, told apart by the label `writer` (ticks, bars).

    The status of a write is `success`, `spooled` or `failed`; each is one batch.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = Counter(
            "timescale_write_total", "Batches written.", ("writer", "status"), registry=registry
        )
        self.errors = Counter(
            "timescale_write_errors_total", "Failed tries.", ("writer", "error_type"), registry=registry
        )
        self.latency = Histogram(
            "timescale_write_latency_seconds",
            "From taking a batch to its commit.",
            ("writer",),
            registry=registry,
        )
        self.queue_depth = Gauge(
            "timescale_write_queue_depth", "Rows that wait for their batch.", ("writer",), registry=registry
        )
        self.batch_size = Histogram(
            "timescale_write_batch_size", "Rows of a batch.", ("writer",), buckets=_SIZES, registry=registry
        )
        self.accepted = Counter(
            "hypertape_stream_accepted_rows_total", "Rows stored or spooled.", ("writer",), registry=registry
        )
        self.spool_bytes = Gauge(
            "hypertape_stream_spool_bytes", "Bytes spooled.", ("writer",), registry=registry
        )


@cache
def metrics_of(registry: CollectorRegistry = REGISTRY) -> WriterMetrics:
    """The meters of a registry, made once."""
    return WriterMetrics(registry)
