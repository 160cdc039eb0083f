"""Airflow and the embedded warehouse: `python -m hypertape.orchestration.standalone up|down|status|run`.

There are two warehouses on a machine: one's own, in the state directory, and the one that `make demo` has left in
`demo` below it. `up` starts the one or the other, `down` stops both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from hypertape.errors import AirflowFailed, BadInput, HypertapeError
from hypertape.orchestration.airflow_home import USER, AirflowHome, Running, typed
from hypertape.orchestration.health import Status
from hypertape.orchestration.lifecycle import Standalone as Standalone
from hypertape.orchestration.progress import Progress
from hypertape.settings import Settings, load_settings
from hypertape.warehouse.embedded.server import EmbeddedServer

DEMO = "demo"
"""The directory, in the state directory, of the demo's warehouse."""

Say = Callable[..., None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    asked = _parser().parse_args(arguments)
    say = Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print
    try:
        return int(asked.verb(load_settings(), asked, say))
    except HypertapeError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False).print(str(error))
        return error.exit_code


def of_warehouse(settings: Settings, warehouse: str) -> Settings:
    """The settings for `own` or `demo`. Raises BadInput where no demo has run."""
    if warehouse == "own":
        return settings
    directory = settings.state_dir.absolute() / DEMO
    server = EmbeddedServer(settings.model_copy(update={"state_dir": directory}))
    if not (server.data_directory / "PG_VERSION").exists():
        raise BadInput(
            "There is no warehouse of a demo yet",
            next_step=f"Make it with `{typed('demo')}`, or start your own with `{typed('up')}`.",
        )
    return settings.model_copy(update={"state_dir": directory, "database_url": None, "landing_url": None})


def start(settings: Settings, say: Say, *, warehouse: str = "own", executor: str = "local") -> Running:
    """`make up`: start everything, say how it goes, and return when all is healthy; it goes on without us.

    Ends with the address, the user and the password. Ctrl-C stops what was started and raises KeyboardInterrupt.
    Raises what `Standalone.up` does, and BadInput where there is no warehouse of a demo.
    """
    standalone = Standalone(of_warehouse(settings, warehouse), executor=executor)
    with Progress(say) as step:
        try:
            running = standalone.up(step)
        except KeyboardInterrupt:
            say("Stopping ...")
            standalone.down()
            raise
    say(
        _UP.format(
            url=running.url,
            user=USER,
            password=standalone.home.password(),
            status=typed("status"),
            down=typed("down"),
        )
    )
    return running


def stop(settings: Settings, say: Say) -> int:
    """`make down`: stop one's own warehouse and the demo's; returns how many ran.

    The demo's server goes with its Airflow, whichever of them was there first: nobody else has it.
    """
    stopped = [one for one in _both(settings) if Standalone(one).down()]
    for one in stopped:
        if one is not settings:
            EmbeddedServer(one).down()
    say("Stopped." if stopped else "Nothing was running.")
    return len(stopped)


def statuses(settings: Settings) -> list[tuple[Settings, Status]]:
    """What runs of each warehouse that may run here, by its settings: one's own, and the demo's where there is one."""
    return [(one, Standalone(one).status()) for one in _both(settings)]


def is_up(found: Sequence[tuple[Settings, Status]]) -> bool:
    """True where something runs, and all that runs is healthy."""
    running = [status for _, status in found if status.running is not None]
    return bool(running) and all(status.is_healthy for status in running)


def status_rows(settings: Settings, found: Sequence[tuple[Settings, Status]]) -> list[dict[str, Any]]:
    """`statuses` as JSON objects: where each Airflow is, null where none runs, and how its components are."""
    return [
        {
            "warehouse": "own" if one is settings else DEMO,
            "url": status.running.url if status.running else None,
            "pid": status.running.pid if status.running else None,
            "healthy": status.is_healthy,
            "components": dict(status.health),
        }
        for one, status in found
    ]


def describe(settings: Settings, say: Say) -> bool:
    """`make status`: say what runs, where, and how its components are. False unless something runs and is healthy."""
    found = statuses(settings)
    if not any(status.running for _, status in found):
        say(f"Airflow does not run. Start it with `{typed('up')}`.")
    for one, status in found:
        if status.running is None:
            continue
        of_demo = " with the demo's warehouse" if one is not settings else ""
        say(f"Airflow{of_demo} is at {status.running.url} (process {status.running.pid})")
        say(f"  user {USER}, password in {AirflowHome(one).password_file}")
        for name, state in sorted(status.health.items()):
            say(f"  {name:14} {state}")
    return is_up(found)


_UP = """
Airflow is at {url}
  user      {user}
  password  {password}

`{status}` says how it is, `{down}` stops it. It goes on when this terminal is closed."""


def _both(settings: Settings) -> list[Settings]:
    """The settings of every warehouse that may run here."""
    demo = settings.model_copy(update={"state_dir": settings.state_dir.absolute() / DEMO})
    return [settings, demo] if demo.state_dir.is_dir() else [settings]


def _up(settings: Settings, asked: argparse.Namespace, say: Say) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT: ignored in a background job
        signal.signal(number, signal.default_int_handler)
    try:
        if asked.foreground:
            return _stay(Standalone(of_warehouse(settings, asked.warehouse), executor=asked.executor), say)
        start(settings, say, warehouse=asked.warehouse, executor=asked.executor)
        return 0
    except KeyboardInterrupt:
        return 0


def _stay(standalone: Standalone, say: Say) -> int:
    """Run until Ctrl-C, or until this process ends in any other way."""
    try:
        ran_before = standalone.status().running is not None
        with Progress(say) as step:
            running = standalone.up(step, stop_with=os.getpid())
        say(f"Airflow is at {running.url}: user {USER}, password in {standalone.home.password_file}")
        if ran_before:
            return 0
        say("Ctrl-C stops it.")
        while standalone.status().running:
            time.sleep(1)
        raise AirflowFailed("Airflow stopped", next_step=f"See {standalone.home.log('supervisor')}.")
    except KeyboardInterrupt:
        say("Stopping ...")
        standalone.down()
        return 0


def _down(settings: Settings, asked: argparse.Namespace, say: Say) -> int:
    stop(settings, say)
    return 0


def _status(settings: Settings, asked: argparse.Namespace, say: Say) -> int:
    return 0 if describe(settings, say) else 1


def _run(settings: Settings, asked: argparse.Namespace, say: Say) -> int:
    with Standalone(settings).client() as airflow:
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
    up = verbs.add_parser("up", help="start everything, and return when it is healthy")
    up.add_argument("--foreground", action="store_true", help="stay, and stop everything at Ctrl-C")
    up.add_argument(
        "--warehouse", choices=("own", DEMO), default="own", help="demo: what `make demo` has loaded"
    )
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
