"""Counts and times of requests, by route and status, for /metrics."""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds in seconds of the latency histogram."""


class Meter:
    """Counts by (route, status) and a histogram of seconds by route; safe between threads.

    Routes are templates such as `/api/v1/symbols/{symbol_id}`, so what callers make up adds no series.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, list[float]] = {}

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one request that took so many seconds until its last byte."""
        with self._lock:
            self.requests[route, status] = self.requests.get((route, status), 0) + 1
            cells = self.seconds.setdefault(route, [0.0] * (len(BUCKETS) + 2))
            cells[bisect_left(BUCKETS, seconds)] += 1
            cells[-1] += seconds

    def lines(self) -> list[str]:
        """The figures in Prometheus' text format."""
        with self._lock:
            requests, seconds = (
                dict(self.requests),
                {route: list(cells) for route, cells in self.seconds.items()},
            )
        name = "hypertape_api_request"
        lines = [f"# HELP {name}s_total Requests by route and status.", f"# TYPE {name}s_total counter"]
        lines += [
            f'{name}s_total{{route="{escaped(route)}",status="{status}"}} {count}'
            for (route, status), count in sorted(requests.items())
        ]
        lines += [f"# HELP {name}_seconds Time to the last byte.", f"# TYPE {name}_seconds histogram"]
        for route, cells in sorted(seconds.items()):
            label, total = f'route="{escaped(route)}"', 0.0
            for bound, count in zip((*BUCKETS, "+Inf"), cells, strict=False):
                total += count
                lines.append(f'{name}_seconds_bucket{{{label},le="{bound}"}} {total:.0f}')
            lines.append(f"{name}_seconds_sum{{{label}}} {cells[-1]:.6f}")
            lines.append(f"{name}_seconds_count{{{label}}} {total:.0f}")
        return lines


def escaped(text: str) -> str:
    """A label's value."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
