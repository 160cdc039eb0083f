"""PgBouncer in transaction pooling, before a server of the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo

from services import NO_PGBOUNCER, find_pgbouncer

_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
max_prepared_statements = 200
query_wait_timeout = 60
"""


@contextmanager
def pooled(dsn: str, *, size: int = 1) -> Iterator[str]:
    """The address of a pooler with `size` connections to the server: with one, whoever needs two at once waits for ever
    and is told so after a minute."""
    program = find_pgbouncer()
    assert program is not None, NO_PGBOUNCER
    given = conninfo.conninfo_to_dict(dsn)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        names = {name: given[name] for name in ("host", "port", "user", "password")}
        (directory / "pgbouncer.ini").write_text(_CONFIGURATION.format(listen=port, size=size, **names))
        command = [
            str(program),
            *(["-u", "nobody"] if os.geteuid() == 0 else []),
            str(directory / "pgbouncer.ini"),
        ]
        with (
            (directory / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as process,
        ):
            try:
                address = conninfo.make_conninfo(dsn, host="127.0.0.1", port=port)
                _wait(address, directory / "log")
                yield address
            finally:
                process.kill()


def _wait(address: str, log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
