"""What a writer tells Prometheus, under the document's names."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from hypertape.meters import counter, gauge, histogram

_SIZES = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)


class WriterMetrics:
    """The meters of all writers of one registry, told apart by the label `writer` (ticks, bars).

    The status of a write is `success`, `spooled` or `failed`; each is one batch.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = counter("timescale_write_total", registry)
        self.errors = counter("timescale_write_errors_total", registry)
        self.latency = histogram("timescale_write_latency_seconds", registry)
        self.queue_depth = gauge("timescale_write_queue_depth", registry)
        self.batch_size = histogram("timescale_write_batch_size", registry, _SIZES)
        self.accepted = counter("hypertape_stream_accepted_rows_total", registry)
        self.spool_bytes = gauge("hypertape_stream_spool_bytes", registry)

    @property
    def all(self) -> tuple[Counter | Gauge | Histogram, ...]:
        """Every meter."""
        return (
            self.writes,
            self.errors,
            self.latency,
            self.queue_depth,
            self.batch_size,
            self.accepted,
            self.spool_bytes,
        )


@cache
def metrics_of(registry: CollectorRegistry = REGISTRY) -> WriterMetrics:
    """The meters of a registry, made once."""
    return WriterMetrics(registry)
