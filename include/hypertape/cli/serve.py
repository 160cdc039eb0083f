"""`hypertape serve`: the read API by itself, behind API keys."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from hypertape.cli.common import now, warehouse
from hypertape.settings import load_settings


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

    from hypertape.api.server import server_app

    settings = load_settings()
    with warehouse():
        pass  # fail here, with advice, rather than at the first request
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
        limit_concurrency=500,
        log_config=LOGGING,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended: that is how a server stops
        uvicorn.Server(config).run()


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
