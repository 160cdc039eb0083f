"""The tasks of `maintain_warehouse` beside `prove`: backups, and what is removed or compressed by age.

DAG files import it, so it imports what a task needs inside the task.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from hypertape.orchestration.connection import server_dsn, use_landing_connection, warehouse_dsn
from hypertape.orchestration.xcom import Json
from hypertape.settings import Settings, load_settings

DAILY_HOUR = 3
NO_PLACE = "HYPERTAPE_BACKUP_URL is not set: no backup is made and none is verified"


def place_or_skip(settings: Settings) -> str:
    """The place of the backups; skip in plain sight where nobody named one."""
    if settings.backup_url is None:
        raise AirflowSkipException(NO_PLACE)
    use_landing_connection(settings)
    return settings.backup_url


def once_a_day() -> None:
    """Skip all scheduled runs of a day but one; a run by hand does everything."""
    run = get_current_context()["dag_run"]
    if run.run_type == "scheduled" and run.logical_date and run.logical_date.hour != DAILY_HOUR:
        raise AirflowSkipException(f"Done once a day, in the run of {DAILY_HOUR:02}:30 UTC")


@task(execution_timeout=timedelta(hours=6))
def backup() -> Json:
    """Make the backup of the day."""
    from hypertape.steps.backup import create
    from hypertape.steps.backup_files import BackupPlace
    from hypertape.steps.maintain import backup_is_due

    settings, now = load_settings(), datetime.now(UTC)
    place = BackupPlace(place_or_skip(settings))
    if not backup_is_due(place.backups(), now):
        raise AirflowSkipException("The backup of the day is there")
    made = create(
        server_dsn(), place, run_id=get_current_context()["run_id"], now=now, bindir=settings.pg_bindir,
        fresh_for=timedelta(hours=settings.backup_fresh_hours),
    )  # fmt: skip
    return {"name": made.name, "bytes": made.bytes, "rows": made.rows, "seconds": made.seconds}


@task(execution_timeout=timedelta(hours=6), trigger_rule=TriggerRule.ALL_DONE)
def verify_backup() -> Json:
    """Restore the newest backup into a scratch database and compare it; read the files of the others."""
    from hypertape.steps.backup_files import BackupPlace
    from hypertape.steps.findings import note_backup_findings
    from hypertape.steps.maintain import require_whole, verify_all

    settings, now = load_settings(), datetime.now(UTC)
    place, run_id = BackupPlace(place_or_skip(settings)), get_current_context()["run_id"]
    found = verify_all(server_dsn(), place, now=now, settings=settings)
    note_backup_findings(warehouse_dsn(), run_id, now=now, settings=settings)
    require_whole(found)
    return {"verified": len(found), "restored": sum(each.restored for each in found)}


@task(execution_timeout=timedelta(minutes=30), trigger_rule=TriggerRule.NONE_FAILED)
def prune_backups() -> Json:
    """Remove backups that are too old; the newest verified one stays."""
    from hypertape.steps.backup import prune
    from hypertape.steps.backup_files import BackupPlace

    settings = load_settings()
    place = BackupPlace(place_or_skip(settings))
    gone = prune(warehouse_dsn(), place, now=datetime.now(UTC), keep_days=settings.backup_days)
    return {"removed": [each.name for each in gone]}


@task(execution_timeout=timedelta(hours=6))
def run_policies() -> Json:
    """Drop bars older than their market keeps them, and compress what loads left open (TimescaleDB)."""
    from hypertape.steps.maintain import run_policies as run

    once_a_day()
    done = run(warehouse_dsn())
    if done is None:
        raise AirflowSkipException("Plain PostgreSQL has no chunks to drop or compress")
    return {"ran": done}


@task(execution_timeout=timedelta(hours=1))
def sweep() -> Json:
    """Remove old landed files and raw answers, refused rows settled long ago, leftovers of killed verifications."""
    from hypertape.steps.maintain import sweep_leftovers

    once_a_day()
    return sweep_leftovers(server_dsn(), now=datetime.now(UTC), settings=load_settings()).to_json()
