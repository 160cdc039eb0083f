"""A real RabbitMQ for the tests: on free loopback ports, as an unprivileged user, with directories of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services import NONE, find_rabbitmq

START_SECONDS = 180


@dataclass
class Broker:
    """A broker: its address, and what stops and starts it again."""

    url: str
    port: int
    directory: Path
    environment: dict[str, str]
    bin: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = (self.directory / "server.log").open("ab")
        self.process = subprocess.Popen(
            [self.bin / "rabbitmq-server"],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **_somebody(),
        )
        log.close()
        limit = time.monotonic() + START_SECONDS
        while not _takes_connections(self.port):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < limit, self.said()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once: the session of the script and the Erlang machine under it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def said(self) -> str:
        """What it wrote."""
        return (self.directory / "server.log").read_text(errors="replace")[-3000:]


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Run a broker until the block ends. A machine without RabbitMQ fails: nothing here can be proved without it."""
    bin_directory = find_rabbitmq()
    assert bin_directory is not None, NONE
    directory = Path(tempfile.mkdtemp(prefix="hypertape-rabbitmq-"))
    if somebody := _somebody():
        os.chown(directory, somebody["user"], somebody["group"])
    port, distribution, mapper = _free_ports(3)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
        "RABBITMQ_NODENAME": f"t{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(directory / "data"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(directory / "none"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none-env"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    mapper_process = subprocess.Popen(
        ["epmd", "-port", str(mapper), "-address", "127.0.0.1"], env=environment, **_somebody()
    )
    broker = Broker(f"amqp://guest:guest@127.0.0.1:{port}/", port, directory, environment, bin_directory)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        mapper_process.kill()
        mapper_process.wait()
        shutil.rmtree(directory)


def _somebody() -> dict[str, int]:
    """The account that root's broker runs under; nobody's other broker, so `nobody` will do."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _takes_connections(port: int) -> bool:
    """True when an AMQP handshake is answered: the port alone opens a little earlier."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(5)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False
