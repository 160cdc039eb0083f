"""Whether Airflow runs and how its components are: asked of our own processes only, whoever else listens there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from hypertape.errors import AirflowFailed
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import Running, typed


@dataclass(frozen=True)
class Status:
    """What runs. `health` is Airflow's word on each component, empty while nothing of ours answers."""

    running: Running | None
    health: Mapping[str, str]

    @property
    def is_healthy(self) -> bool:
        """True when every component says so."""
        return bool(self.health) and set(self.health.values()) == {"healthy"}

    def waiting(self) -> str:
        """What a start still waits for, as a sentence."""
        if not self.health:
            return "waiting for the API server"
        ill = sorted(name for name, state in self.health.items() if state != "healthy")
        return "waiting for " + ", ".join(ill)


def is_ours(running: Running) -> bool:
    """True when the server at Airflow's address is a process of the session that was started: safe to log in to."""
    address = urlsplit(running.url)
    return processes.listens(running.pid, str(address.hostname), address.port or 0)


def require_ours(running: Running) -> None:
    """Raise AirflowFailed unless it is our own Airflow that a request, with what it carries, would reach."""
    if is_ours(running):
        return
    if not _is_taken(running):
        raise AirflowFailed(
            f"Airflow at {running.url} does not answer", next_step=f"Start it with `{typed('up')}`."
        )
    raise AirflowFailed(
        f"Another program listens at {running.url}, so nothing was sent to it",
        next_step=f"End it, or run `{typed('down')}` and `{typed('up')}`: another port is taken then.",
    )


def health_of(running: Running) -> dict[str, str]:
    """What Airflow says of its components; nothing while our API server does not answer."""
    if not is_ours(running):
        return {}
    try:
        answer: dict[str, Any] = httpx.get(
            f"{running.url}/api/v2/monitor/health", timeout=10, trust_env=False
        ).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return {name: str(part["status"]) for name, part in answer.items()}


def is_a_strangers(running: Running) -> bool:
    """True when the address is taken, and not by us: a start that waits for it waits in vain."""
    return _is_taken(running) and not is_ours(running)


def _is_taken(running: Running) -> bool:
    address = urlsplit(running.url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=2).close()
    except OSError:
        return False
    return True
