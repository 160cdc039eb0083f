"""`hypertape serve`: the read API by itself, behind API keys."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import now, warehouse
from hypertape.settings import Settings, load_settings

if TYPE_CHECKING:
    from hypertape.api.connection_limits import ConnectionLimits


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless named.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free one.")] = 8600,
    proxies: Annotated[
        str,
        typer.Option(
            help="Addresses of proxies whose X-Forwarded-For is believed, by commas; none unless named. "
            "Name only proxies that write the header themselves."
        ),
    ] = "",
) -> None:
    """Serve the read API over HTTP until it is stopped (Ctrl-C, SIGTERM); answers under way are finished first.

    Callers need a key of `hypertape keys create`. There is no TLS: put a proxy in front to serve other machines.
    """
    import uvicorn

    from hypertape.api.http_protocol import limited_protocol
    from hypertape.api.server import load_calendars, server_app

    settings = load_settings()
    with warehouse():
        pass  # fail here, with advice, rather than at the first request
    load_calendars(now())
    config = uvicorn.Config(
        server_app(settings, clock=now),
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or None,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=20,
        http=limited_protocol(_limits(settings, proxies)),
        ws="none",
        log_config=LOGGING,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended: that is how a server stops
        uvicorn.Server(config).run()


def _limits(settings: Settings, proxies: str) -> ConnectionLimits:
    from hypertape.api.connection_limits import ConnectionLimits, proxy_networks

    return ConnectionLimits(
        request_bytes=settings.api_request_bytes,
        request_seconds=settings.api_request_seconds,
        stall_seconds=settings.api_stall_seconds,
        clients=settings.api_clients,
        clients_each=settings.api_clients_each,
        proxies=proxy_networks(proxies),
        all_proxies="*" in proxies,
    )


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "hypertape": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
