"""What a worker counts of its rounds, for /metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry

from hypertape.errors import HypertapeError
from hypertape.meters import counter, gauge


class WorkerMeters:
    """Rounds, their series and rows, and waits; give `round_ended` and `waits` to the worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = counter("hypertape_worker_rounds_total", registry)
        self._series = counter("hypertape_worker_series_total", registry)
        self._rows = counter("hypertape_worker_rows_total", registry)
        self._waits = counter("hypertape_worker_waits_total", registry)
        self._ended = gauge("hypertape_worker_last_round_timestamp_seconds", registry)

    def round_ended(
        self,
        market: str,
        interval: str,
        *,
        series: Mapping[str, int],
        rows: Mapping[str, int],
        ok: bool,
        now: datetime,
    ) -> None:
        """Count a round: its series by what became of them, its rows, and whether all of it went well."""
        self._rounds.labels(market, interval, "ok" if ok else "failed").inc()
        for outcome, number in series.items():
            self._series.labels(market, interval, outcome).inc(number)
        for outcome in ("inserted", "updated", "unchanged", "quarantined"):
            self._rows.labels(market, interval, outcome).inc(rows[outcome])
        self._ended.labels(market, interval).set(now.timestamp())

    def waits(self, error: HypertapeError) -> None:
        """Count a wait for the warehouse."""
        self._waits.labels(type(error).__name__).inc()
