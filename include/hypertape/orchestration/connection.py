"""The warehouse's address inside an Airflow task."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from hypertape.errors import BadSetting
from hypertape.settings import Settings, load_settings

CONNECTION = "hypertape_db"
"""The Airflow connection that names the warehouse."""


def warehouse_dsn(settings: Settings | None = None) -> str:
    """Return the warehouse's DSN: HYPERTAPE_DATABASE_URL, else the Airflow connection `hypertape_db` wherever
    Airflow keeps it (environment, secrets backend, database), else the embedded server.

    Raises BadSetting or DatabaseUnreachable.
    """
    from hypertape.warehouse.connect import resolve_dsn  # noqa: PLC0415  (parsing a DAG needs no driver)
    from hypertape.warehouse.dsn import normalise_dsn  # noqa: PLC0415

    settings = settings or load_settings()
    if settings.database_url:
        return normalise_dsn(settings.database_url)
    try:
        kind = Connection.get(CONNECTION).conn_type
    except AirflowNotFoundException:
        return resolve_dsn(settings)
    if kind != "postgres":
        raise BadSetting(
            f"The Airflow connection {CONNECTION} is of type {kind}",
            next_step="Make it one of type postgres.",
        )
    return _from_hook()


def _from_hook() -> str:
    """Ask the provider's hook, which also exchanges cloud identities (`iam`) for a password."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: PLC0415

    from hypertape.warehouse.dsn import as_uri, normalise_dsn  # noqa: PLC0415

    hook = PostgresHook(postgres_conn_id=CONNECTION)
    address = hook.sqlalchemy_url
    options = hook.connection.extra_dejson
    parts = {
        **{name: value for name, value in options.items() if name not in hook.ignored_extra_options},
        **{"host": address.host, "port": address.port, "dbname": address.database},
        **{"user": address.username, "password": address.password},
    }
    return normalise_dsn(as_uri(parts))
