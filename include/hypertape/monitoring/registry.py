"""The registry of a process: what its /metrics answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    generate_latest,
    start_http_server,
)

from hypertape.errors import BadInput
from hypertape.monitoring.collector import WarehouseCollector
from hypertape.monitoring.process_figures import MachineCollector
from hypertape.monitoring.warehouse_figures import PARTS, Part
from hypertape.settings import Settings


def registry_of(
    settings: Settings,
    dsn: Callable[[], str] | None,
    *,
    clock: Callable[[], datetime],
    parts: Mapping[str, Part] = PARTS,
    one_process: bool = True,
) -> tuple[CollectorRegistry, WarehouseCollector | None]:
    """A registry with the process, its machine and (where there is one) its warehouse, and the warehouse's collector.

    The API tells everything of the warehouse; others pass no `parts` and tell whether they reach it. `one_process`
    False leaves the process out: the next scrape may be answered by another one.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR) if one_process else ():
        registry.register(collector)
    registry.register(MachineCollector({"state": settings.state_dir, "spool": settings.spool}))
    if dsn is None:
        return registry, None
    lease = timedelta(seconds=settings.worker_lease)
    warehouse = WarehouseCollector(dsn, clock=clock, lease=lease, pause=settings.source_pause, parts=parts)
    registry.register(warehouse)
    return registry, warehouse


def page(registry: CollectorRegistry) -> bytes:
    """What /metrics answers: Prometheus' text format."""
    return generate_latest(registry)


def listen(registry: CollectorRegistry, host: str, port: int) -> tuple[WSGIServer, int]:
    """Serve a registry by itself, without a login; returns the server and its port. Raises BadInput."""
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise BadInput(
            f"{host}:{port} cannot be listened on: {error.strerror}", next_step="Name another --metrics-port."
        ) from error
    return server, server.server_port
