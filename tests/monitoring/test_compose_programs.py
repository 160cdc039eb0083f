"""The programs of docker-compose.yaml, as far as they can be had without a container engine, started from the very
files and command lines that compose gives them.

Docker Compose itself reads the file with each of its profiles (`docker-compose config` needs no engine).
RabbitMQ has no file of ours (tests/stream starts it), postgres-exporter is in the scene of the alerts. Not started:
Grafana and the OpenTelemetry collector, which cannot be had here, and the images themselves.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from monitors import DEPLOY, ROOT, free_port, program, until
from psycopg import conninfo

from hypertape.warehouse.connect import connect, is_pooled
from services import (
    NO_BROKER,
    NO_COMPOSE,
    NO_PGBOUNCER,
    find_broker,
    find_compose,
    find_monitor,
    find_pgbouncer,
)

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]


PROFILES = sorted({profile for service in SERVICES.values() for profile in service.get("profiles", ())})


def compose(place: Path, *words: str, filled: str = "filled") -> subprocess.CompletedProcess[str]:
    """Docker Compose over the file, with `.env.example` filled in as its reader is told to."""
    found = find_compose()
    assert found is not None, NO_COMPOSE
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    (place / "env").write_text("\n".join(re.sub(r"^(\w+)=$", rf"\1={filled}", line) for line in lines))
    command = [
        found,
        "--project-directory",
        ROOT,
        "--file",
        ROOT / "docker-compose.yaml",
        "--env-file",
        place / "env",
    ]
    clean = {"PATH": os.environ["PATH"], "HOME": str(place)}
    return subprocess.run([*command, *words], env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("profile", ["", *PROFILES, "*"])
def test_docker_compose_reads_the_file_with_each_profile(profile: str, tmp_path: Path) -> None:
    done = compose(tmp_path, *(["--profile", profile] if profile else []), "config", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    wanted = {
        name
        for name, service in SERVICES.items()
        if profile == "*" or profile in service.get("profiles", [profile])
    }
    assert set(json.loads(done.stdout)["services"]) == wanted


def test_docker_compose_wants_the_secrets(tmp_path: Path) -> None:
    refused = compose(tmp_path, "config", "--quiet", filled="")
    assert refused.returncode != 0
    assert re.search(r"required variable \w+ is missing a value", refused.stderr)


def of_compose(service: str, **places: str) -> list[str]:
    """The service's command, with what it mounts found here and its addresses on loopback."""
    words = []
    for word in SERVICES[service]["command"]:
        given = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word)
        for old, new in places.items():
            given = given.replace(old, new)
        words.append(given)
    return words


def test_prometheus_takes_the_files_as_they_are(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    words = of_compose(
        "prometheus", **{"/etc/prometheus": str(DEPLOY / "prometheus"), "=/prometheus": f"={tmp_path}"}
    )
    command = [find_monitor("prometheus"), *words, f"--web.listen-address={at}"]
    with program(command, tmp_path / "log", f"http://{at}/-/ready"):
        groups = httpx.get(f"http://{at}/api/v1/rules").json()["data"]["groups"]
        pools = httpx.get(f"http://{at}/api/v1/status/config").json()["data"]["yaml"]
    assert sum(len(group["rules"]) for group in groups) == 31
    assert "credentials_file: /run/hypertape/prometheus.key" in pools
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["prometheus"]["volumes"])
    assert (mounts["./deploy/prometheus"], mounts["keys"]) == ("/etc/prometheus", "/run/hypertape")


def test_alertmanager_takes_the_file_as_it_is(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    moved = {"/etc/alertmanager": str(DEPLOY / "alertmanager"), "=/alertmanager": f"={tmp_path}"}
    command = [find_monitor("prometheus-alertmanager"), *of_compose("alertmanager", **moved)]
    with program([*command, f"--web.listen-address={at}"], tmp_path / "log", f"http://{at}/-/ready"):
        assert (
            "api_url_file: /run/secrets/alert_url"
            in httpx.get(f"http://{at}/api/v2/status").json()["config"]["original"]
        )


def test_the_broker_wants_its_password(tmp_path: Path) -> None:
    found = find_broker()
    assert found is not None, NO_BROKER
    (password,) = [re.search(r"\$\{(\w+):\?", word) for word in SERVICES["broker"]["command"] if "${" in word]
    assert password is not None
    words = [re.sub(r"\$\{\w+:\?[^}]*\}", "sesame", word) for word in SERVICES["broker"]["command"][1:]]
    port = free_port()
    command = [found, *words, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: said(port, "PING").startswith("-NOAUTH"), "it answers without a password")
            assert said(port, "AUTH sesame", "PING") == "+OK\r\n+PONG\r\n"
        finally:
            process.kill()


def said(port: int, *lines: str) -> str:
    """What a Redis answers to some lines."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            answer = b""
            for line in lines:
                connection.sendall(f"{line}\r\n".encode())
                answer += connection.recv(1000)
            return answer.decode()
    except ConnectionError:
        return ""


@contextmanager
def pgbouncer(dsn: str, password: str) -> Iterator[str]:
    """PgBouncer by compose's own script and file, before a server of the tests; yields the pooler's address."""
    found = find_pgbouncer()
    assert found is not None, NO_PGBOUNCER
    given = conninfo.conninfo_to_dict(dsn)
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in SERVICES["pgbouncer"]["volumes"]}
    (start,) = SERVICES["pgbouncer"]["entrypoint"]
    named = dict(SERVICES["pgbouncer"]["environment"])
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        port = free_port()
        ini = Path(place) / "deploy"
        ini.mkdir()
        for target, source in mounted.items():
            text = (ROOT / source).read_text().replace("listen_port = 6432", f"listen_port = {port}")
            (ini / Path(target).name).write_text(text)
            (ini / Path(target).name).chmod(0o755)
        here = {
            "WAREHOUSE_HOST": str(given["host"]), "WAREHOUSE_PORT": str(given["port"]),
            "WAREHOUSE_NAME": str(given["dbname"]), "WRITER": str(given["user"]), "WRITER_PASSWORD": password,
            "READER": "nobody_else", "READER_PASSWORD": "other",
        }  # fmt: skip
        assert here.keys() == named.keys()
        environment = {
            **os.environ,
            **here,
            "PGBOUNCER": str(found),
            "RUN_DIR": place,
            "LISTEN_ADDR": "127.0.0.1",
        }
        as_nobody: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        with (
            (Path(place) / "log").open("wb") as log,
            subprocess.Popen(
                ["sh", ini / Path(start).name], env=environment, stdout=log, stderr=log, **as_nobody
            ) as it,
        ):
            try:
                time.sleep(0.3)
                assert it.poll() is None, (Path(place) / "log").read_text()
                yield conninfo.make_conninfo(dsn, host="127.0.0.1", port=port)
            finally:
                it.kill()


def test_pgbouncer_pools_for_who_has_the_password(warehouse: str) -> None:
    secret = str(conninfo.conninfo_to_dict(warehouse).get("password") or "")
    with pgbouncer(warehouse, secret) as address:
        with connect(address, autocommit=True) as connection:
            assert is_pooled(connection)
            assert connection.execute("select count(*) from series").fetchone() == (0,)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(conninfo.make_conninfo(address, password="wrong"))
        assert secret
