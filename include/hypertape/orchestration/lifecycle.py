"""Starting and stopping Airflow and the embedded warehouse of one state directory.

`up` starts the database server, brings both schemas up to date, and starts a supervisor that runs Airflow's four
components. The supervisor leads a session of its own, so that it outlives the terminal; stopping ends every process of
that session.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

import psycopg

from hypertape.errors import AirflowFailed
from hypertape.markets import all_markets
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import USER, AirflowHome, Running, free_url, typed
from hypertape.orchestration.health import Status, health_of, is_a_strangers, require_ours
from hypertape.orchestration.rest import Airflow
from hypertape.orchestration.supervisor import broker_command, components, tail
from hypertape.settings import Settings
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer

METADATA_DATABASE = "airflow"
START_SECONDS = 180
STOP_SECONDS = 20
_POLL_SECONDS = 0.25

Step = Callable[[str], None]


class Standalone:
    """Airflow of one state directory. `overrides` are environment variables of its components.

    `executor` is `local`, or `celery`: then a broker and two workers run beside the others.
    """

    def __init__(
        self, settings: Settings, overrides: Mapping[str, str] | None = None, executor: str = "local"
    ) -> None:
        self.settings = settings
        self.home = AirflowHome(settings)
        self._server = EmbeddedServer(settings)
        self._overrides = overrides or {}
        self._executor = executor

    def up(self, progress: Step = lambda _: None, *, stop_with: int | None = None) -> Running:
        """Start everything that is not running, wait until it is healthy, and return its address.

        `stop_with` is a process whose end stops it all again. Raises AirflowFailed with the end of the log, and what
        starting the database raises.
        """
        with self.home.locked():
            running = self._alive() or self._start(progress, stop_with)
        self._wait(progress)
        return running

    def down(self) -> bool:
        """Stop Airflow, and the database server if `up` started it. False when nothing ran."""
        with self.home.locked():
            running = self.home.running()
            if running is None:
                return False
            self._end(running)
            if running.started_database:
                self._server.down()
            self.home.forget()
            return True

    def status(self) -> Status:
        """Say what runs."""
        running = self._alive()
        return Status(running, health_of(running) if running else {})

    def client(self) -> Airflow:
        """Return a logged-in REST client. Raises AirflowFailed when Airflow does not run or another answers."""
        running = self._alive()
        if running is None:
            raise AirflowFailed("Airflow does not run", next_step=f"Start it with `{typed('up')}`.")
        return Airflow(running.url, USER, self.home.password(), before_each=lambda: require_ours(running))

    def _start(self, progress: Step, stop_with: int | None) -> Running:
        before = self.home.running()
        if before is not None:
            self._end(before)  # a supervisor that was killed leaves its components behind
        self.home.prepare()
        if self._executor == "celery":
            broker_command(self.home.path)  # before anything runs
        started_database = before.started_database if before else self._server.status().state != "running"
        progress("database server")
        self._start_database(progress)
        metadata = self._metadata()
        self._migrate_airflow(
            self.home.environment(metadata, free_url(), self._overrides, self._executor), progress
        )
        progress("components of Airflow")
        url = free_url()  # chosen late: whoever takes it meanwhile would be in the way
        environment = self.home.environment(metadata, url, self._overrides, self._executor)
        pid = self._supervise(environment, stop_with)
        running = Running(pid, processes.started_at(pid) or 0.0, url, started_database)
        self.home.remember(running)
        return running

    def _start_database(self, progress: Step) -> None:
        dsn = self._server.up()
        if self.settings.given_dsn is None:
            progress("warehouse schema")
            with connect(dsn) as connection:
                archived = self.settings.archive_url is not None
                schema.apply(connection, all_markets().values(), archived=archived)

    def _metadata(self) -> str:
        return self._server.ensure_database(METADATA_DATABASE)

    def _migrate_airflow(self, environment: Mapping[str, str], progress: Step) -> None:
        """Bring Airflow's metadata database up to date, unless this version of Airflow left it so."""
        stamp, wanted = self.home.path / "migrated", _schema_version(self._metadata())
        if wanted and stamp.exists() and stamp.read_text() == wanted:
            return
        progress("Airflow's own database")
        log = self.home.log("migrate")
        with log.open("w") as output:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise AirflowFailed(f"Airflow's database cannot be made:\n{tail(log)}", next_step=f"See {log}.")
        stamp.write_text(_schema_version(self._metadata()) or "")

    def _supervise(self, environment: Mapping[str, str], stop_with: int | None) -> int:
        command = [
            sys.executable,
            "-m",
            "hypertape.orchestration.supervisor",
            str(self.home.path),
            self._executor,
        ]
        with self.home.log("supervisor").open("w") as output:
            supervisor = subprocess.Popen(
                [*command, *([str(stop_with)] if stop_with else [])],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        supervisor.returncode = 0  # it may outlive us; without a code Python warns that it still runs
        return supervisor.pid

    def _wait(self, progress: Step) -> None:
        deadline, said = time.monotonic() + START_SECONDS, ""
        while not (status := self.status()).is_healthy:
            if status.running is None:
                self._give_up("Airflow stopped while it was starting")
            elif is_a_strangers(status.running):
                self._give_up(
                    f"Another program listens at {status.running.url} by now; start again at another port"
                )
            if time.monotonic() > deadline:
                self._give_up(f"Airflow is not healthy after {START_SECONDS} s ({status.waiting()})")
            if (waiting := status.waiting()) != said:
                progress(waiting)
                said = waiting
            time.sleep(_POLL_SECONDS)

    def _give_up(self, what: str) -> None:
        names = ("supervisor", *components(self._executor, self.home.path))
        logs = "\n".join(f"--- {name}\n{tail(self.home.log(name))}" for name in names)
        self.down()
        raise AirflowFailed(f"{what}:\n{logs}", next_step=f"See the logs in {self.home.path}.")

    def _alive(self) -> Running | None:
        running = self.home.running()
        return running if running and processes.is_running(running.pid, running.started) else None

    def _end(self, running: Running) -> None:
        """End the supervisor and everything in its session."""
        if processes.is_running(running.pid, running.started):
            processes.terminate(running.pid)
            processes.wait_until_empty(running.pid, STOP_SECONDS)
        if processes.may_have_left_members(running.pid, running.started):
            processes.kill_session(running.pid, working_in=self.home.path)


def _schema_version(metadata_dsn: str) -> str | None:
    """The revision of Airflow's schema with the version that runs; None before the first migration."""
    try:
        with psycopg.connect(metadata_dsn) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return f"{version('apache-airflow')} {row[0]}" if row else None
