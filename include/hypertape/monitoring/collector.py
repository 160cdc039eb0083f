"""Collectors that read the warehouse when they are scraped: bounded, kept for some seconds, and never an error.

A scrape takes no longer than `ANSWER_SECONDS`, whatever the warehouse does: one that is away gives `hypertape_up 0`
and no figures, one that is slow gives those parts that came in time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import psycopg
from prometheus_client.registry import Collector
from psycopg import conninfo

from hypertape.errors import HypertapeError
from hypertape.meters import Family, gauges
from hypertape.monitoring.warehouse_figures import PARTS, Ask, Figures, Part, read_parts
from hypertape.warehouse.connect import connect
from hypertape.warehouse.dsn import normalise_dsn

KEPT_SECONDS = 10.0
"""How old figures may be: several who scrape cost the warehouse one reading."""

ANSWER_SECONDS = 6.0
"""What a reading may take; Prometheus gives up after ten unless told otherwise."""

_CONNECT_SECONDS = 2

log = logging.getLogger("hypertape.metrics")


class WarehouseCollector(Collector):
    """The figures of a warehouse. Without `parts` only whether it answers (`hypertape_up`).

    `dsn` names the warehouse when it is needed, `clock` the instant (UTC) that sessions are counted to.
    """

    def __init__(
        self,
        dsn: Callable[[], str],
        *,
        clock: Callable[[], datetime],
        lease: timedelta,
        pause: float,
        parts: Mapping[str, Part] = PARTS,
    ) -> None:
        self._dsn, self._clock, self._lease, self._pause = dsn, clock, lease, pause
        self._parts = parts
        self._lock = Lock()
        self._kept: tuple[float, list[Family]] | None = None

    def collect(self) -> Iterable[Family]:
        """The families; who comes while another reads waits for what that one reads."""
        with self._lock:
            if self._kept is None or time.monotonic() - self._kept[0] >= KEPT_SECONDS:
                families = list(self._read())
                self._kept = time.monotonic(), families
            return self._kept[1]

    def describe(self) -> Iterable[Family]:
        """Nothing: to be registered costs no reading."""
        return ()

    def forget(self) -> None:
        """Let the next scrape read anew."""
        self._kept = None

    def _read(self) -> Iterator[Family]:
        begun = time.monotonic()
        ask = Ask(self._clock(), self._lease, self._pause)
        figures, up = Figures(), True
        try:
            with connect(
                _in_a_hurry(self._dsn()), autocommit=True, application_name="hypertape metrics"
            ) as it:
                figures = read_parts(it, ask, lambda: begun + ANSWER_SECONDS - time.monotonic(), self._parts)
        except (HypertapeError, psycopg.Error) as error:
            up = False
            log.warning("metrics: the warehouse does not answer: %s", error)
        yield gauges("hypertape_up", [((), float(up))])
        if self._parts:
            read = [((name,), float(up and figures.read.get(name, False))) for name in self._parts]
            yield gauges("hypertape_collect_success", read)
            yield gauges("hypertape_collect_seconds", [((), time.monotonic() - begun)])
        if up:
            yield from figures.families


def _in_a_hurry(dsn: str) -> str:
    """The same address, given up sooner."""
    given: dict[str, Any] = dict(conninfo.conninfo_to_dict(normalise_dsn(dsn)))
    patience = min(int(given.get("connect_timeout") or _CONNECT_SECONDS), _CONNECT_SECONDS)
    return conninfo.make_conninfo(**{**given, "connect_timeout": patience})
