"""The servers that tests run and no wheel brings: find them, or as a command (`make services`) install them.

RabbitMQ, and the Erlang under it, from Debian, for tests/stream; Prometheus, Alertmanager and postgres-exporter from
Debian, for tests/monitoring. PgBouncer 1.21 or newer, for tests/database: from
Debian where that is new enough, else built from the source of a newer Debian. Docker Compose, which reads its file
without an engine, for tests/monitoring: the program of a newer Debian. As with the browser: where
HYPERTAPE_BROWSER=required says that this is CI a machine without one is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NONE = (
    "there is no RabbitMQ for tests/stream. Install it (Debian, as root: apt-get install rabbitmq-server; it need not "
    "run as a service), or name the directory of its scripts in HYPERTAPE_RABBITMQ_BIN"
)
NO_PGBOUNCER = (
    "there is no PgBouncer 1.21 or newer for tests/database/connect. Install it, or name its program in "
    "HYPERTAPE_PGBOUNCER"
)
NO_COMPOSE = (
    "there is no Docker Compose 2 for tests/monitoring (no engine is needed). Install it, or name its program in "
    "HYPERTAPE_COMPOSE"
)
NO_BROKER = "there is no Valkey or Redis for tests/dags (Debian, as root: apt-get install redis-server)"
MONITORS = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
}
"""The programs of tests/monitoring, each with its package of Debian."""

_PLACES = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_POOLERS = ("/usr/local/bin/pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer")
_OLDEST_POOLER = (1, 21)
_PLUGIN = "docker/cli-plugins/docker-compose"
_COMPOSES = (
    "/usr/local/bin/docker-compose",
    f"/usr/libexec/{_PLUGIN}",
    f"/usr/local/lib/{_PLUGIN}",
    f"/usr/lib/{_PLUGIN}",
)
_OLDEST_COMPOSE = (2, 20)
_NEWER = "trixie"
_BUILT_WITH = ("dpkg-dev", "gcc", "make", "pkg-config", "libevent-dev", "libssl-dev", "libc-ares-dev")
_MINUTES = 15


def find_rabbitmq() -> Path | None:
    """The directory of RabbitMQ's own scripts (not of the packages' wrappers, which change the user)."""
    named = os.environ.get("HYPERTAPE_RABBITMQ_BIN")
    places = map(Path, [named] if named else _PLACES)
    found = next((place for place in places if (place / "rabbitmq-server").is_file()), None)
    return found if found and shutil.which("epmd") else None


def find_pgbouncer() -> Path | None:
    """The program of a PgBouncer that keeps prepared statements in transaction pooling."""
    named = os.environ.get("HYPERTAPE_PGBOUNCER")
    places = map(Path, [named] if named else _POOLERS)
    return next((place for place in places if place.is_file() and _version(place) >= _OLDEST_POOLER), None)


def find_broker() -> str | None:
    """The program that Celery's workers get their tasks from."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def find_compose() -> Path | None:
    """Docker Compose 2, as a program of its own."""
    named = os.environ.get("HYPERTAPE_COMPOSE")
    places = map(Path, [named] if named else _COMPOSES)
    said = r"version v?(\d+)\.(\d+)"
    return next(
        (
            place
            for place in places
            if place.is_file() and _version(place, "version", said) >= _OLDEST_COMPOSE
        ),
        None,
    )


def find_monitor(name: str) -> str:
    """A program of `MONITORS`. Without it the tests that need it fail, saying how to get it."""
    found = shutil.which(name)
    assert found is not None, f"there is no {name} for tests/monitoring: apt-get install {MONITORS[name]}"
    return found


def _version(
    program: Path, asked: str = "--version", pattern: str = r"PgBouncer (\d+)\.(\d+)"
) -> tuple[int, int]:
    said = subprocess.run([program, asked], capture_output=True, text=True, check=False).stdout
    found = re.search(pattern, said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def main() -> None:
    """Install what is not there. Without it the tests themselves say so: one place, one message."""
    can_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if can_install and find_rabbitmq() is None:
        _told(_install, "rabbitmq-server")
    if can_install and find_broker() is None:
        _told(_install, "redis-server")
    missing = {package for name, package in MONITORS.items() if shutil.which(name) is None}
    if can_install and missing:
        _told(_install, *sorted(missing))
    if can_install and find_pgbouncer() is None:
        _told(_install, *_BUILT_WITH)
        _told(_build_pgbouncer)
    if can_install and find_compose() is None:
        _told(_fetch_compose)
    print(f"services: {find_rabbitmq() or NONE}")
    print(f"services: {find_pgbouncer() or NO_PGBOUNCER}")
    print(f"services: {find_broker() or NO_BROKER}")
    print(f"services: {find_compose() or NO_COMPOSE}")
    for name, package in MONITORS.items():
        print(
            f"services: {shutil.which(name) or f'there is no {name} (Debian: {package}) for tests/monitoring'}"
        )


def _told(step: object, *words: str) -> None:
    try:
        step(*words)  # type: ignore[operator]
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        print(f"services: {error}", flush=True)


def _install(*packages: str) -> None:
    _run(["apt-get", "update", "--quiet=2"])
    _run(["apt-get", "install", "--quiet=2", "--no-install-recommends", *packages])


@contextmanager
def _newer_debian(kind: str) -> Iterator[tuple[Path, list[str]]]:
    """A directory, and apt over a newer Debian with lists of its own: the machine's stay as they are."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        (directory / "lists" / "partial").mkdir(parents=True)
        (directory / "source.list").write_text(f"{kind} {_archive()} {_NEWER} main\n")
        options = [
            f"Dir::Etc::sourcelist={directory}/source.list",
            "Dir::Etc::sourceparts=/dev/null",
            f"Dir::State::lists={directory}/lists",
        ]
        apt = ["apt-get", "--quiet=2", *(word for option in options for word in ("-o", option))]
        _run([*apt, "update"], directory)
        yield directory, apt


def _fetch_compose() -> None:
    """The one program of the package: it needs neither an engine nor a newer system."""
    with _newer_debian("deb") as (directory, apt):
        _run([*apt, "download", "docker-compose"], directory)
        (package,) = directory.glob("docker-compose_*.deb")
        _run(["dpkg", "--extract", str(package), str(directory / "out")], directory)
        shutil.copy(directory / "out/usr/libexec" / _PLUGIN, "/usr/local/bin/docker-compose")


def _build_pgbouncer() -> None:
    with _newer_debian("deb-src") as (directory, apt):
        _run([*apt, "source", "--download-only", "pgbouncer"], directory)
        (archive,) = directory.glob("pgbouncer_*.orig.tar.gz")
        _run(["tar", "--extract", "--file", str(archive), "--strip-components=1"], directory)
        _run(["./configure", "--prefix=/usr/local", "--without-systemd"], directory)
        _run(["make", "pgbouncer"], directory)
        shutil.copy(directory / "pgbouncer", "/usr/local/bin/pgbouncer")


def _archive() -> str:
    """Where this machine has Debian's packages from."""
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    main = [line.split() for line in known if "security" not in line]
    return next((uri for uri, *origin in main if origin[:1] == ["Debian"]), "")


def _run(command: Sequence[str], directory: Path | None = None) -> None:
    print(f"services: {' '.join(command)}", flush=True)
    # Debian starts a service when it can; the tests start their own, so none is wanted.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(
        command, check=True, cwd=directory, env=environment, timeout=60 * _MINUTES,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if directory else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
