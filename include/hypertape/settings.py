"""Typed settings, read from the environment here and nowhere else. Every name starts with `HYPERTAPE_`, but for those
that the documents name. An empty variable counts as not set. Of what is secret (addresses with passwords, the password
of a feed) `NAME_FILE` names a file that holds it. What the environment does not say, the `hypertape.toml` of the user's
project may, by the field's name (`batch_size = 20`); paths there are relative to the project.

| variable | meaning |
|---|---|
| HYPERTAPE_PROJECT | the user's project (default: the directory with `hypertape.toml`, from the working one upward) |
| HYPERTAPE_DATABASE_URL | the warehouse; next comes AIRFLOW_CONN_HYPERTAPE_DB, then the embedded server |
| HYPERTAPE_DIRECT_DATABASE_URL | the server itself, where HYPERTAPE_DATABASE_URL names a pooler: for what needs it |
| HYPERTAPE_READER_DATABASE_URL | the warehouse as its reader, which the read API reads with (default: as all others) |
| HYPERTAPE_WRITER_ROLE | the group whose members load and mend; `schema apply` grants it (default `hypertape_writer`) |
| HYPERTAPE_READER_ROLE | the group whose members only read, likewise (default `hypertape_reader`) |
| HYPERTAPE_STATE_DIR | what this machine keeps: embedded server, landing files, Airflow's home (default `.hypertape`) |
| HYPERTAPE_PG_BINDIR | directory of `postgres` and `initdb` for the embedded server |
| HYPERTAPE_EXTENSION_DIR | a directory with TimescaleDB for the embedded server's major version |
| HYPERTAPE_LANDING_URL | where bars wait between tasks (default: `landing` in the state directory; any fsspec URL) |
| HYPERTAPE_ARCHIVE_URL | a Parquet store to which bars go before retention drops them (any fsspec URL) |
| HYPERTAPE_LANDING_DAYS | days landed files are kept |
| HYPERTAPE_BATCH_SIZE | tickers per batch |
| HYPERTAPE_BACKFILL_BARS | bars a unit of a backfill asks for at most: so long are its windows |
| HYPERTAPE_OVERLAP_BARS | final bars a scheduled run reads again to detect restatements |
| HYPERTAPE_SOURCE | the one source asked instead of each market's own: `sample`, `csv_tree`, `vci`, `ccxt`, `yahoo` |
| HYPERTAPE_SOURCE_DIR | directory of the `csv_tree` source |
| HYPERTAPE_SAMPLE_END | last day of the synthetic set `sample` (2025-06-30; made by `make demo`: the day before) |
| HYPERTAPE_LEGACY_SCALE | csv_tree prices are in the documents' legacy unit (thousands for vn) |
| HYPERTAPE_SOURCE_RATES | requests a second, all workers together: `vci=1,yahoo=0.5`; 0: no limit |
| HYPERTAPE_SOURCE_ENDPOINTS | servers asked in place of the vendors: `vci=http://127.0.0.1:8080` |
| HYPERTAPE_SOURCE_FAILURES | requests failed in a row after which a source is left alone |
| HYPERTAPE_SOURCE_PAUSE | seconds it is left alone, then one request tries it |
| HYPERTAPE_SOURCE_BYTES | bytes, unpacked, that a vendor's answer to one request may have |
| HYPERTAPE_SOURCE_SECONDS | seconds that one request to a vendor may take, from asking to its last byte |
| HYPERTAPE_SOURCE_PAGES | pages that one question to a vendor (some tickers, one window) may take |
| HYPERTAPE_FILE_BYTES | bytes that a file of a CSV tree may have |
| HYPERTAPE_SYMBOLS_PER_REQUEST | tickers asked for in one request where the vendor takes several (vci) |
| HYPERTAPE_RAW_DAYS | days the vendors' raw answers are kept, for `--replay` (0: none is kept) |
| HYPERTAPE_WORKER_EVERY | between the rounds of `hypertape worker` while the market trades: `15s` |
| HYPERTAPE_WORKER_IDLE_EVERY | between its rounds otherwise: `5m` |
| HYPERTAPE_WORKER_FRESH | after which a series that anybody loaded is asked for again: `10s` |
| HYPERTAPE_WORKER_TICKERS | tickers that a worker takes at once |
| HYPERTAPE_WORKER_LEASE | after which a silent worker counts as dead, the same on every host: `5m` |
| HYPERTAPE_RULE_SECONDS | seconds a rule of the quality suite may take; then it is ended and not evaluated |
| HYPERTAPE_MIRRORS | what is written: mirrors this machine delivers to, by name (default: all; `none`: to none) |
| HYPERTAPE_READ_STORES | what is read: stores in order, the first that has a ticker complete serves it |
| FALLBACK_TO_CSV | `false` leaves `csv:` stores out of reads, but for the first one (default true) |
| VN_DATABASE_PATH | SQLite file of the vn bars: read after the warehouse unless HYPERTAPE_READ_STORES is set |
| CRYPTO_DATABASE_PATH | SQLite file of the crypto bars, likewise |
| HYPERTAPE_API_CONNECTIONS | connections to the warehouse that one process of the read API keeps |
| HYPERTAPE_API_STATEMENT_SECONDS | seconds after which the read API gives up a statement |
| HYPERTAPE_API_STREAMS | long answers that one process of the read API writes at once |
| HYPERTAPE_API_ORIGINS | further origins whose pages may write, where a proxy changes Host: `https://a.example` |
| HYPERTAPE_API_RATE | requests a second that `hypertape serve` takes of one key, and of an address without a good one |
| HYPERTAPE_API_REQUEST_BYTES | bytes that `hypertape serve` takes of a request's head, and of its body |
| HYPERTAPE_API_REQUEST_SECONDS | seconds in which a request's head has to arrive, and then its body |
| HYPERTAPE_API_STALL_SECONDS | seconds after which a reader who takes nothing of an answer is cut off |
| HYPERTAPE_API_CLIENTS | connections that `hypertape serve` holds at once |
| HYPERTAPE_API_CLIENTS_EACH | of those, how many of one address (IPv6: of one /64) |
| TICK_BATCH_SIZE | ticks written to the database at once |
| TICK_FLUSH_INTERVAL_MS | milliseconds after which a batch of ticks is written that is not full |
| BARS_DB_WRITE_BATCH_SIZE | finalised bars written at once |
| BARS_DB_WRITE_INTERVAL | after which a batch of bars is written that is not full: `1s`, `500ms` |
| BARS_DB_WRITE_QUEUE_SIZE | ticks, and bars, that wait for the database before their feed has to wait |
| BARS_DB_MAX_RETRIES | tries of a batch before it goes to the spool |
| BARS_DB_RETRY_DELAY | pause before the second try, doubled for each further one: `100ms` |
| HYPERTAPE_NOTIFY | who is told of findings: Apprise addresses, each after `critical=`, `warning@vn,us=` or `digest=` |
| HYPERTAPE_SPOOL_DIR | where a stream keeps what the database could not take (default: `spool` in the state one) |
| HYPERTAPE_SPOOL_MEGABYTES | most that it keeps there; then it refuses ticks |
| HYPERTAPE_TICK_CHUNK_HOURS | width of the chunks of ticks (TimescaleDB) |
| HYPERTAPE_TICK_COMPRESS_DAYS | days after which chunks of ticks are compressed (TimescaleDB) |
| HYPERTAPE_TICK_KEEP_DAYS | days ticks are kept; those that come later than a day before that are refused |
| HYPERTAPE_BAR_LATENESS_SECONDS | how much later than its end a minute of ticks becomes final, in the ticks' own time |
| HYPERTAPE_RABBITMQ_URL | the broker of the feed `amqp:` and of `stream --to rabbitmq`: `amqp://user:password@host/` |
| HYPERTAPE_FIX_PASSWORD | password of the feed `fix:`; its user stands in the address |
| HYPERTAPE_AIRFLOW_URL | `http://localhost:8080`: reports link to its runs, its logins may listen to `stream run` |
| HYPERTAPE_OWNERS | who minds what, for the reports: `vn=Data desk, vn 1m=intraday, backup=ops, *=who else` |
| HYPERTAPE_BACKUP_URL | where backups lie (default: `backups` in the state directory; any fsspec URL) |
| HYPERTAPE_BACKUP_DAYS | days backups are kept |
| HYPERTAPE_BACKUP_FRESH_HOURS | hours after which the newest verified backup is too old: a finding |
| HYPERTAPE_BACKUP_SCRATCH_URL | the server that verifications restore into (default: the warehouse's) |
| HYPERTAPE_QUARANTINE_DAYS | days refused rows are kept after they were settled; open ones stay |
| HYPERTAPE_WAL_ARCHIVE_DIR | a directory to which the embedded server archives its log, for a point in time |
"""

from __future__ import annotations

import math
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from hypertape.errors import BadSetting
from hypertape.project import MARKET_TABLES, bad, find_project, line_of, read_toml, require_keys
from hypertape.secrecy import Holds, masked, secret_in_file


def _seconds(text: object) -> object:
    """`1s`, `100ms`, `1m30s` as seconds; numbers are seconds already."""
    if not isinstance(text, str) or not (parts := _DURATION.fullmatch(text.strip())):
        return text
    return sum(
        float(part) * unit for part, unit in zip(parts.groups("0"), (3600.0, 60.0, 1.0, 0.001), strict=True)
    )


_DURATION = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?(?:(\d+)ms)?")
Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A duration, written as the documents do (`1s`, `100ms`) or as seconds."""


Address = Annotated[str | None, Field(repr=False), Holds.ADDRESS]
"""An address that may have a password in it: shown without it, and read from a file too."""

Secret = Annotated[str | None, Field(repr=False), Holds.SECRET]
"""What is never shown, and read from a file too."""


class _SecretFiles(PydanticBaseSettingsSource):
    """What stands in the files of secrets and of addresses."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        may_be_in_file = holds(field_name) is not None
        secret = secret_in_file(variable_of(field_name), os.environ) if may_be_in_file else None
        return secret, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in Settings.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """One snapshot of the environment and the project."""

    model_config = SettingsConfigDict(
        env_prefix="HYPERTAPE_", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    project: Path | None = None
    database_url: Address = None
    direct_database_url: Address = None
    reader_database_url: Address = None
    writer_role: str = "hypertape_writer"
    reader_role: str = "hypertape_reader"
    state_dir: Path = Path(".hypertape")
    pg_bindir: Path | None = None
    extension_dir: Path | None = None
    landing_url: str | None = None
    archive_url: str | None = None
    landing_days: int = Field(default=7, ge=0)
    batch_size: int = Field(default=50, ge=1, le=2_000)  # a lock per ticker; the server has some thousands
    backfill_bars: int = Field(default=1_000_000, ge=1)
    overlap_bars: int = Field(default=10, ge=0)
    source: str | None = None
    source_dir: Path | None = None
    sample_end: date | None = None
    legacy_scale: bool = False
    source_rates: str | None = None
    source_endpoints: str | None = None
    source_failures: int = Field(default=5, ge=1)
    source_pause: float = Field(default=60.0, gt=0)
    source_bytes: int = Field(default=32 * 2**20, ge=1024)
    source_seconds: float = Field(default=60.0, gt=0, le=3_600)
    source_pages: int = Field(default=5_000, ge=1)
    file_bytes: int = Field(default=2**30, ge=1024)
    symbols_per_request: int = Field(default=10, ge=1)
    raw_days: int = Field(default=14, ge=0)
    worker_every: Seconds = Field(default=15.0, ge=1, le=86_400)
    worker_idle_every: Seconds = Field(default=300.0, ge=1, le=86_400)
    worker_fresh: Seconds = Field(default=10.0, ge=0, le=86_400)
    worker_tickers: int = Field(default=10, ge=1, le=2_000)
    worker_lease: Seconds = Field(default=300.0, ge=1, le=86_400)
    rule_seconds: float = Field(default=300.0, gt=0)
    mirrors: str | None = None
    read_stores: str | None = None
    fallback_to_csv: bool = Field(default=True, validation_alias="FALLBACK_TO_CSV")
    vn_database_path: Path | None = Field(default=None, validation_alias="VN_DATABASE_PATH")
    crypto_database_path: Path | None = Field(default=None, validation_alias="CRYPTO_DATABASE_PATH")
    api_connections: int = Field(default=8, ge=1, le=100)
    api_statement_seconds: float = Field(default=30.0, gt=0)
    api_streams: int = Field(default=16, ge=1, le=1000)
    api_origins: str = ""
    api_rate: float = Field(default=20.0, gt=0)
    api_request_bytes: int = Field(default=65_536, ge=1_024, le=1_048_576)
    api_request_seconds: float = Field(default=10.0, gt=0)
    api_stall_seconds: float = Field(default=30.0, gt=0)
    api_clients: int = Field(default=500, ge=1, le=100_000)
    api_clients_each: int = Field(default=100, ge=1, le=100_000)
    tick_batch_size: int = Field(default=1000, ge=1, le=100_000, validation_alias="TICK_BATCH_SIZE")
    tick_flush_interval_ms: int = Field(default=100, ge=1, validation_alias="TICK_FLUSH_INTERVAL_MS")
    bars_db_write_batch_size: int = Field(default=1000, ge=1, validation_alias="BARS_DB_WRITE_BATCH_SIZE")
    bars_db_write_interval: Seconds = Field(default=1.0, gt=0, validation_alias="BARS_DB_WRITE_INTERVAL")
    bars_db_write_queue_size: int = Field(default=10_000, ge=1, validation_alias="BARS_DB_WRITE_QUEUE_SIZE")
    bars_db_max_retries: int = Field(default=3, ge=1, validation_alias="BARS_DB_MAX_RETRIES")
    bars_db_retry_delay: Seconds = Field(default=0.1, gt=0, validation_alias="BARS_DB_RETRY_DELAY")
    notify: Secret = None
    spool_dir: Path | None = None
    spool_megabytes: int = Field(default=1024, ge=1)
    tick_chunk_hours: int = Field(default=24, ge=1, le=24 * 31)
    tick_compress_days: int = Field(default=7, ge=1)
    tick_keep_days: int = Field(default=90, ge=2)
    bar_lateness_seconds: float = Field(default=5.0, ge=0)
    rabbitmq_url: Address = None
    fix_password: Secret = None
    airflow_url: str | None = None
    owners: str | None = None
    backup_url: str | None = None
    backup_days: int = Field(default=7, ge=1)
    backup_fresh_hours: float = Field(default=30.0, gt=0)
    backup_scratch_url: Address = None
    quarantine_days: int = Field(default=90, ge=1)
    wal_archive_dir: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given counts first, then the environment, then the files that it names, then the project."""
        project = InitSettingsSource(settings_cls, _of_project())
        return init_settings, env_settings, _SecretFiles(settings_cls), project

    @property
    def landing(self) -> str:
        """The fsspec URL of the landing area."""
        return self.landing_url or (self.state_dir.absolute() / "landing").as_uri()

    @property
    def backups(self) -> str:
        """The directory or URL of the backups."""
        return self.backup_url or str(self.state_dir.absolute() / "backups")

    @property
    def spool(self) -> Path:
        """The directory of the spools of a stream."""
        return self.spool_dir or self.state_dir.absolute() / "spool"

    @property
    def given_dsn(self) -> str | None:
        """The DSN the environment names, or None when the embedded server is meant."""
        return self.database_url or os.environ.get("AIRFLOW_CONN_HYPERTAPE_DB")

    @property
    def executor(self) -> str:
        """Airflow's executor, as far as the environment says."""
        return os.environ.get("AIRFLOW__CORE__EXECUTOR") or "LocalExecutor"

    @property
    def parallelism(self) -> int:
        """How many tasks Airflow runs at once, as far as the environment says; its own default is 32."""
        given = os.environ.get("AIRFLOW__CORE__PARALLELISM", "")
        return int(given) if given.isdecimal() else 32

    @property
    def writing_origins(self) -> frozenset[str]:
        """Origins beside the server's own whose pages may write."""
        return frozenset(
            origin.strip().rstrip("/") for origin in self.api_origins.split(",") if origin.strip()
        )

    @property
    def read_order(self) -> tuple[str, ...]:
        """The addresses of the stores that are read, in order.

        HYPERTAPE_READ_STORES as written, else the warehouse and then the documents' SQLite files. CSV trees are only
        fallen back to where FALLBACK_TO_CSV allows it; one that is named first is no fallback and stays.
        """
        files = (self.vn_database_path, self.crypto_database_path)
        defaults = ["warehouse", *(f"sqlite:{path}" for path in files if path is not None)]
        order = dict.fromkeys(_words(self.read_stores) or defaults)
        first = next(iter(order))
        return tuple(a for a in order if self.fallback_to_csv or a == first or not a.startswith("csv:"))

    @field_validator("source_rates", "source_endpoints")
    @classmethod
    def _pairs(cls, text: str | None, info: ValidationInfo) -> str | None:
        pairs = _pairs_of(text)
        if not all(pairs.values()):
            raise ValueError("write name=value, separated by commas")
        if info.field_name == "source_rates" and not all(map(_is_rate, pairs.values())):
            raise ValueError("a rate is a number of requests a second, 0 for no limit")
        if info.field_name == "source_endpoints" and not all("://" in value for value in pairs.values()):
            raise ValueError("an endpoint starts with http:// or https://")
        return text

    @property
    def rates(self) -> dict[str, float]:
        """Requests a second by source, as far as HYPERTAPE_SOURCE_RATES says; 0: no limit."""
        return {name: float(value) for name, value in _pairs_of(self.source_rates).items()}

    def endpoint_of(self, source: str) -> str | None:
        """The server asked in place of a source's vendor, where HYPERTAPE_SOURCE_ENDPOINTS names one."""
        return _pairs_of(self.source_endpoints).get(source)

    def delivers_to(self, mirror: str) -> bool:
        """True when this machine delivers to the mirror of that name."""
        return self.mirrors is None or mirror in _words(self.mirrors)


PATHS = tuple(
    name for name, it in Settings.model_fields.items() if Path in (it.annotation, *get_args(it.annotation))
)
"""The settings that are paths of this machine."""


def variable_of(field: str) -> str:
    """The environment variable a setting is read from."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"HYPERTAPE_{field}".upper()


def holds(field: str) -> Holds | None:
    """What a setting says of itself that is not for every eye; None: anybody may read it."""
    return next((it for it in Settings.model_fields[field].metadata if isinstance(it, Holds)), None)


def shown(field: str, value: object) -> str | int | float | bool | None:
    """A setting's value as it may be shown."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return masked(str(value), holds(field))


def origin_of(field: str) -> str:
    """Where a value comes from: `environment`, the file of a secret, the project's file with the line, or `default`."""
    if os.environ.get(variable_of(field)):
        return "environment"
    if holds(field) is not None and (path := os.environ.get(f"{variable_of(field)}_FILE")):
        return path
    project = find_project()
    if project is not None and field == "project":
        return str(project.file)
    if project is not None and field in read_toml(project.file):
        return f"{project.file}:{line_of(project.file, field)}"
    return "default"


def _of_project() -> dict[str, Any]:
    """The settings of the project's file; without one of its own it keeps its state in `.hypertape` beside that."""
    project = find_project()
    if project is None:
        return {}
    given = read_toml(project.file)
    known = [name for name in Settings.model_fields if name != "project"]
    require_keys(project.file, given, [*known, MARKET_TABLES])
    values = {"project": project.root, "state_dir": ".hypertape"} | given
    values.pop(MARKET_TABLES, None)
    for name, text in values.items():
        if name in PATHS and isinstance(text, str):
            values[name] = project.root / Path(text).expanduser()
    return {str(Settings.model_fields[name].validation_alias or name): it for name, it in values.items()}


def inherited_environment() -> dict[str, str]:
    """Return a copy of the environment, for the processes we start."""
    return dict(os.environ)


def load_settings(**overrides: object) -> Settings:
    """Read the environment and the project; `overrides` (None means not given) win.

    Raises BadSetting naming the variable, and BadProject naming the line.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name, problem = str(first["loc"][0]), f"{first.get('input')!r} cannot be used: {first['msg']}"
        field = next((it for it in Settings.model_fields if name in (it, variable_of(it))), name)
        project = find_project()
        if project is not None and field not in given and origin_of(field) not in ("environment", "default"):
            line = line_of(project.file, field)
            raise bad(project.file, line, f"{field}={problem}", "Correct or remove it.") from error
        name = variable_of(field) if field in Settings.model_fields else name
        raise BadSetting(f"{name}={problem}", next_step="Correct or unset it.") from error


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _pairs_of(text: str | None) -> dict[str, str]:
    parted = (word.partition("=") for word in _words(text))
    return {name.strip(): value.strip() for name, _, value in parted}


def _is_rate(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False
