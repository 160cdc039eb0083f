"""The warehouse's address inside an Airflow task, and the landing area's credentials."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from hypertape.errors import BadSetting
from hypertape.settings import Settings, load_settings

CONNECTION = "hypertape_db"
"""The Airflow connection that names the warehouse."""

READER = "hypertape_reader"
"""The Airflow connection that names the warehouse as its reader, for what the API reads."""

LANDING = "hypertape_landing"
"""The Airflow connection (type aws) with the endpoint and the credentials of a landing area on `s3://`."""


def warehouse_dsn(settings: Settings | None = None) -> str:
    """Return the warehouse's DSN: HYPERTAPE_DATABASE_URL, else the Airflow connection `hypertape_db` wherever
    Airflow keeps it (environment, secrets backend, database), else the embedded server.

    Every task asks for it first, so what the landing area needs of Airflow's connections is found here too. Raises
    BadSetting or DatabaseUnreachable.
    """
    use_landing_connection(settings or load_settings())
    from hypertape.warehouse.connect import resolve_dsn  # noqa: PLC0415  (parsing a DAG needs no driver)
    from hypertape.warehouse.dsn import normalise_dsn  # noqa: PLC0415

    settings = settings or load_settings()
    if settings.database_url:
        return normalise_dsn(settings.database_url)
    return _of_connection(CONNECTION) or resolve_dsn(settings)


def reader_dsn(settings: Settings | None = None) -> str:
    """Return the DSN the API reads with: HYPERTAPE_READER_DATABASE_URL, else the Airflow connection `hypertape_reader`,
    else that of `warehouse_dsn`. Raises as that does."""
    from hypertape.warehouse.dsn import normalise_dsn  # noqa: PLC0415

    settings = settings or load_settings()
    if settings.reader_database_url:
        return normalise_dsn(settings.reader_database_url)
    return _of_connection(READER) or warehouse_dsn(settings)


def _of_connection(name: str) -> str | None:
    """The DSN of one of Airflow's connections, None where it has none of that name."""
    try:
        kind = Connection.get(name).conn_type
    except AirflowNotFoundException:
        return None
    if kind != "postgres":
        raise BadSetting(
            f"The Airflow connection {name} is of type {kind}",
            next_step="Make it one of type postgres.",
        )
    return _from_hook(name)


def server_dsn(settings: Settings | None = None) -> str:
    """Return the DSN of the server itself, for what does not work through a pooler: HYPERTAPE_DIRECT_DATABASE_URL, else
    the warehouse's."""
    from hypertape.warehouse.dsn import normalise_dsn  # noqa: PLC0415

    settings = settings or load_settings()
    return (
        normalise_dsn(settings.direct_database_url)
        if settings.direct_database_url
        else warehouse_dsn(settings)
    )


def use_landing_connection(settings: Settings) -> None:
    """Let `s3://`, of the landing area and of backups, find its endpoint and credentials in the Airflow connection
    `hypertape_landing`, where there is one.

    Login and password are the key and its secret; `endpoint_url`, `region_name` and `aws_session_token` stand in its
    extra, as the Amazon provider writes them. Without it the environment's are used (`AWS_…`).
    """
    if not any(place.startswith("s3://") for place in (settings.landing, settings.backups)):
        return
    try:
        found = Connection.get(LANDING)
    except AirflowNotFoundException:
        return
    import fsspec  # noqa: PLC0415  (parsing a DAG needs no files)

    extra = found.extra_dejson
    given = {
        "key": found.login,
        "secret": found.password,
        "token": extra.get("aws_session_token"),
        "endpoint_url": extra.get("endpoint_url") or extra.get("host"),
        "client_kwargs": {"region_name": extra["region_name"]} if extra.get("region_name") else None,
    }
    fsspec.config.conf["s3"] = {name: value for name, value in given.items() if value}


def _from_hook(name: str) -> str:
    """Ask the provider's hook, which also exchanges cloud identities (`iam`) for a password."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: PLC0415

    from hypertape.warehouse.dsn import as_uri, normalise_dsn  # noqa: PLC0415

    hook = PostgresHook(postgres_conn_id=name)
    address = hook.sqlalchemy_url
    options = hook.connection.extra_dejson
    parts = {
        **{name: value for name, value in options.items() if name not in hook.ignored_extra_options},
        **{"host": address.host, "port": address.port, "dbname": address.database},
        **{"user": address.username, "password": address.password},
    }
    return normalise_dsn(as_uri(parts))
