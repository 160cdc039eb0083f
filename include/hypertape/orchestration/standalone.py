"""Airflow and the embedded warehouse: `python -m hypertape.orchestration.standalone up|down|status|run`.

`up` starts the database server, brings both schemas up to date, and starts a supervisor that runs Airflow's four
components. The supervisor leads a session of its own; stopping ends every process of that session.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import psycopg
from rich.console import Console

from hypertape.errors import AirflowFailed, HypertapeError
from hypertape.markets import all_markets
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import USER, AirflowHome, Running, free_url
from hypertape.orchestration.health import Status, health_of, is_a_strangers, require_ours
from hypertape.orchestration.rest import Airflow
from hypertape.orchestration.supervisor import broker_command, components, tail
from hypertape.settings import Settings, load_settings
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer

METADATA_DATABASE = "airflow"
START_SECONDS = 180
STOP_SECONDS = 20
_POLL_SECONDS = 0.25

Progress = Callable[[str], None]
Say = Callable[..., None]


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

    def up(self, progress: Progress = lambda _: None, *, stop_with: int | None = None) -> Running:
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
            raise AirflowFailed("Airflow does not run", next_step="Start it with `make up`.")
        return Airflow(running.url, USER, self.home.password(), before_each=lambda: require_ours(running))

    def _start(self, progress: Progress, stop_with: int | None) -> Running:
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

    def _start_database(self, progress: Progress) -> None:
        dsn = self._server.up()
        if self.settings.given_dsn is None:
            progress("warehouse schema")
            with connect(dsn) as connection:
                schema.apply(
                    connection, all_markets().values(), archived=load_settings().archive_url is not None
                )

    def _metadata(self) -> str:
        return self._server.ensure_database(METADATA_DATABASE)

    def _migrate_airflow(self, environment: Mapping[str, str], progress: Progress) -> None:
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

    def _wait(self, progress: Progress) -> None:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    asked = _parser().parse_args(arguments)
    say = Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print
    standalone = Standalone(load_settings(), executor=getattr(asked, "executor", "local"))
    try:
        return int(asked.verb(standalone, asked, say))
    except HypertapeError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False).print(str(error))
        return error.exit_code


def _up(standalone: Standalone, asked: argparse.Namespace, say: Say) -> int:
    began = time.monotonic()
    ran_before = standalone.status().running is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT: ignored in a background job
        signal.signal(number, signal.default_int_handler)
    try:
        running = standalone.up(
            lambda step: say(f"  {time.monotonic() - began:4.0f} s  {step}"),
            stop_with=None if asked.detach else os.getpid(),
        )
        say(f"Airflow is at {running.url}: user {USER}, password in {standalone.home.password_file}")
        if asked.detach or ran_before:
            return 0
        say("Ctrl-C stops it.")
        while standalone.status().running:
            time.sleep(1)
        raise AirflowFailed("Airflow stopped", next_step=f"See {standalone.home.log('supervisor')}.")
    except KeyboardInterrupt:
        say("Stopping ...")
        standalone.down()
        return 0


def _down(standalone: Standalone, asked: argparse.Namespace, say: Say) -> int:
    say("Stopped." if standalone.down() else "Nothing was running.")
    return 0


def _status(standalone: Standalone, asked: argparse.Namespace, say: Say) -> int:
    status = standalone.status()
    if status.running is None:
        say("Airflow does not run. Start it with `make up`.")
        return 1
    say(f"Airflow is at {status.running.url} (process {status.running.pid})")
    for name, state in sorted(status.health.items()):
        say(f"  {name:14} {state}")
    return 0 if status.is_healthy else 1


def _run(standalone: Standalone, asked: argparse.Namespace, say: Say) -> int:
    with standalone.client() as airflow:
        airflow.wait_for_dags([asked.dag])
        airflow.pause(asked.dag, paused=False)
        run_id = airflow.trigger(asked.dag, asked.conf)
        say(f"{asked.dag}: {run_id}")
        ended = airflow.wait(asked.dag, run_id, seconds=asked.seconds)
    for task in ended.tasks:
        say(f"  {task.state or '-':16} {task.seconds or 0:6.1f} s  {task.name}")
    say(f"{ended.state}")
    return 0 if ended.state == "success" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hypertape.orchestration.standalone",
        description="Airflow and its warehouse on this machine.",
    )
    verbs = parser.add_subparsers(required=True, metavar="up|down|status|run")
    up = verbs.add_parser("up", help="start everything and stay until Ctrl-C")
    up.add_argument("--detach", action="store_true", help="return when it is healthy")
    up.add_argument(
        "--executor", choices=("local", "celery"), default="local", help="celery: two workers, a broker"
    )
    up.set_defaults(verb=_up)
    verbs.add_parser("down", help="stop everything").set_defaults(verb=_down)
    verbs.add_parser("status", help="say what runs; exits 1 unless healthy").set_defaults(verb=_status)
    run = verbs.add_parser("run", help="unpause and trigger a DAG, wait for the run, print its tasks")
    run.add_argument("dag", help="bars_vn_1d")
    run.add_argument("--conf", type=json.loads, default={}, help='the form as JSON: {"source": "sample"}')
    run.add_argument("--seconds", type=float, default=900, help="how long to wait (default 900)")
    run.set_defaults(verb=_run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
