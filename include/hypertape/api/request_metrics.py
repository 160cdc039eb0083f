"""Counts and times of requests, by route and status, for /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from hypertape.meters import counter, histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds in seconds of the latency histogram."""


class Meter:
    """Counts by (route, status) and a histogram of seconds by route; safe between threads.

    Routes are templates such as `/api/v1/symbols/{symbol_id}`, so what callers make up adds no series.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = counter("hypertape_api_requests_total", registry)
        self._seconds = histogram("hypertape_api_request_seconds", registry, BUCKETS)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request that took so many seconds until its last byte."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
