"""Airflow's home in the state directory, and the configuration its components start with.

| path below `<state directory>/airflow` | holds |
|---|---|
| `passwords.json` | the login of the user `admin`, mode 0600 |
| `secrets.json` | keys that sign tokens and encrypt connections, mode 0600 |
| `standalone.json` | what runs now: process, ports, URL |
| `sample_end` | the last day of the synthetic set, chosen at the first start |
| `logs/`, `<component>.log` | logs of tasks, logs of components |
"""

from __future__ import annotations

import base64
import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypertape
from hypertape.errors import AirflowFailed
from hypertape.orchestration.supervisor import broker_socket
from hypertape.project import VARIABLE
from hypertape.settings import Settings, inherited_environment
from hypertape.warehouse.embedded.process import free_port
from hypertape.warehouse.embedded.state import HOST, write_private

USER = "admin"
_USUAL_PORT = 8080
_WAREHOUSE = "AIRFLOW_CONN_HYPERTAPE_DB"
_LEFTOVERS = ("AIRFLOW", "_AIRFLOW", "PYTHON", "GUNICORN_", "UVICORN_", "SQLALCHEMY_")
"""What a shell may have set that would change our components."""
_OURS = "hypertape.orchestration.preload"
PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    _OURS,
)
"""What the process that tasks are forked from has imported. Python says nothing of a name that does not exist."""


@dataclass(frozen=True)
class Running:
    """The content of `standalone.json`: the supervisor's process (its session's leader) and Airflow's address."""

    pid: int
    started: float
    url: str
    started_database: bool


class AirflowHome:
    """The directory and what is kept there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.path = settings.state_dir.absolute() / "airflow"
        self.password_file = self.path / "passwords.json"
        self.state_file = self.path / "standalone.json"

    def prepare(self) -> None:
        """Make the directory, the login and the keys."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.password()
        self._secrets()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other start and stop waiting."""
        self._settings.state_dir.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_name("airflow.lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def password(self) -> str:
        """Return the password of `admin`, making one up the first time."""
        if not self.password_file.exists():
            write_private(self.password_file, json.dumps({USER: secrets.token_urlsafe(12)}))
        return str(json.loads(self.password_file.read_text())[USER])

    def sample_end(self, now: datetime) -> date:
        """The last day of the synthetic set here: the day before the first call, ever since; or what the settings say.

        Its bars must not move from day to day, or a second run would find all of them restated.
        """
        if self._settings.sample_end is not None:
            return self._settings.sample_end
        file = self.path / "sample_end"
        if not file.exists():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(file, (now - timedelta(days=1)).date().isoformat())
        return date.fromisoformat(file.read_text())

    def forget_sample_end(self) -> None:
        """Let the next call of `sample_end` choose anew: the warehouse is made anew, too."""
        (self.path / "sample_end").unlink(missing_ok=True)

    def running(self) -> Running | None:
        """Read `standalone.json`; None when nothing was started, or it was stopped."""
        try:
            return Running(**json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return None

    def remember(self, running: Running) -> None:
        """Write `standalone.json`."""
        write_private(self.state_file, json.dumps(asdict(running)))

    def forget(self) -> None:
        """Remove `standalone.json`."""
        self.state_file.unlink(missing_ok=True)

    def log(self, component: str) -> Path:
        """Where a component's output goes."""
        return self.path / f"{component}.log"

    def environment(
        self, metadata_dsn: str, url: str, overrides: Mapping[str, str] | None = None, executor: str = "local"
    ) -> dict[str, str]:
        """Return the whole environment of Airflow's components.

        What the caller's environment says of Airflow and Python is left out, but for the warehouse's connection.
        `overrides` are added last.
        """
        inherited = inherited_environment()
        kept = {name: value for name, value in inherited.items() if not name.startswith(_LEFTOVERS)}
        if _WAREHOUSE in inherited:
            kept[_WAREHOUSE] = inherited[_WAREHOUSE]
        else:
            # libpq's variables are meant for someone else's server, not for the embedded one.
            kept = {name: value for name, value in kept.items() if not name.startswith("PG")}
        return {
            **kept,
            **self._surroundings(kept),
            **_configuration(self.path, metadata_dsn, url, self._secrets()),
            **(_celery(self.path, metadata_dsn) if executor == "celery" else {}),
            **(overrides or {}),
        }

    def _surroundings(self, kept: Mapping[str, str]) -> dict[str, str]:
        local = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost"]))
        return {
            "AIRFLOW_HOME": str(self.path),
            "HYPERTAPE_STATE_DIR": str(self._settings.state_dir.absolute()),
            **({VARIABLE: str(project.absolute())} if (project := self._settings.project) else {}),
            "HYPERTAPE_SAMPLE_END": self.sample_end(datetime.now(UTC)).isoformat(),
            "NO_PROXY": local,
            "no_proxy": local,
            "PYTHONPATH": str(Path(hypertape.__file__).resolve().parents[1]),
            "PYTHONUNBUFFERED": "1",
        }

    def _secrets(self) -> dict[str, str]:
        file = self.path / "secrets.json"
        if not file.exists():
            fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            made = {"fernet": fernet, "api": secrets.token_hex(32), "jwt": secrets.token_hex(32)}
            write_private(file, json.dumps(made))
        kept: dict[str, str] = json.loads(file.read_text())
        return kept


def free_url() -> str:
    """Return an address on loopback that is free now: port 8080 if it can be."""
    return f"http://{HOST}:{free_port(_USUAL_PORT)}"


def typed(verb: str, make: str = "", options: str = "") -> str:
    """A verb as a user of this installation types it: `make up` in a checkout, `hypertape up` without one.

    `make` and `options` are what follows in the one and in the other.
    """
    is_wheel = (Path(hypertape.__file__).resolve().parent / "_dags").is_dir()
    return f"hypertape {verb} {options}".rstrip() if is_wheel else f"make {verb} {make}".rstrip()


def folder(name: str) -> Path:
    """Return the directory `dags` or `plugins`: in the wheel, else in the checkout. Raises AirflowFailed for none."""
    package = Path(hypertape.__file__).resolve().parent
    for place in (package / f"_{name}", package.parents[1] / name):
        if place.is_dir():
            return place
    raise AirflowFailed(
        f"There is no directory {name} in {package.parents[1]}",
        next_step="Install hypertape again, or run this from a checkout of the repository.",
    )


def _celery(home: Path, metadata_dsn: str) -> dict[str, str]:
    """What the CeleryExecutor needs beside that: its broker, and a worker that died found in a minute, not in five."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": f"redis+socket://{broker_socket(home)}",
        "AIRFLOW__CELERY__RESULT_BACKEND": metadata_dsn.replace(
            "postgresql://", "db+postgresql+psycopg2://", 1
        ),
        # The worker imports them before it forks the processes that run tasks.
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": [_OURS]}),
        # An unacknowledged task is given to another worker after this: longer than any task may take.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }


def _configuration(home: Path, metadata_dsn: str, url: str, keys: Mapping[str, str]) -> dict[str, str]:
    """Airflow's options as environment variables, by section."""
    address = urlsplit(url)
    sections: dict[str, dict[str, Any]] = {
        "CORE": {
            "DAGS_FOLDER": folder("dags"),
            "PLUGINS_FOLDER": folder("plugins"),
            "LOAD_EXAMPLES": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": 4,
            "FERNET_KEY": keys["fernet"],
            "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": home / "passwords.json",
            "EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "DEFAULT_TASK_RETRY_DELAY": 60,
            "MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
        },
        "DATABASE": {
            "SQL_ALCHEMY_CONN": metadata_dsn.replace("postgresql://", "postgresql+psycopg2://", 1),
            "LOAD_DEFAULT_CONNECTIONS": False,
        },
        "API": {"HOST": address.hostname, "PORT": address.port, "BASE_URL": url, "SECRET_KEY": keys["api"]},
        "API_AUTH": {"JWT_SECRET": keys["jwt"]},
        "LOGGING": {"BASE_LOG_FOLDER": home / "logs"},
        # Measured: ten small tasks in a row take 2.6 s with these two, 11 s without.
        "SCHEDULER": {
            "SCHEDULER_IDLE_SLEEP_TIME": 0.1,
            "ENABLE_HEALTH_CHECK": False,
            "MP_START_METHOD": "forkserver",
        },
        "WORKERS": {"MIN_HEARTBEAT_INTERVAL": 1},
        "USAGE_DATA_COLLECTION": {"ENABLED": False},
    }
    return {
        f"AIRFLOW__{section}__{name}": str(value)
        for section, options in sections.items()
        for name, value in options.items()
    }
