from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from hypertape import settings
from hypertape.errors import BadSetting
from hypertape.settings import Settings, holds, load_settings, origin_of, variable_of

DOCUMENTS = (
    "FALLBACK_TO_CSV", "VN_DATABASE_PATH", "CRYPTO_DATABASE_PATH", "TICK_BATCH_SIZE", "TICK_FLUSH_INTERVAL_MS",
    "BARS_DB_WRITE_BATCH_SIZE", "BARS_DB_WRITE_INTERVAL", "BARS_DB_WRITE_QUEUE_SIZE", "BARS_DB_MAX_RETRIES",
    "BARS_DB_RETRY_DELAY",
)  # fmt: skip
"""Variables that keep the documents' names."""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HYPERTAPE_") or name in DOCUMENTS or name == "AIRFLOW_CONN_HYPERTAPE_DB":
            monkeypatch.delenv(name)


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = re.findall(r"^\| ([A-Z_]+) \|", settings.__doc__ or "", re.MULTILINE)
    assert documented == [variable_of(name) for name in Settings.model_fields]


def test_only_the_documents_variables_have_another_prefix() -> None:
    names = [variable_of(field) for field in Settings.model_fields]
    assert [name for name in names if not name.startswith("HYPERTAPE_")] == list(DOCUMENTS)


def test_defaults_need_no_environment() -> None:
    found = load_settings()
    assert found.state_dir == Path(".hypertape")
    assert (found.given_dsn, found.source, found.legacy_scale) == (None, None, False)
    assert found.landing == (Path.cwd() / ".hypertape/landing").as_uri()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HYPERTAPE_DATABASE_URL", "postgresql://x", "database_url", "postgresql://x"),
        ("HYPERTAPE_STATE_DIR", "/srv/tape", "state_dir", Path("/srv/tape")),
        ("HYPERTAPE_BATCH_SIZE", "7", "batch_size", 7),
        ("HYPERTAPE_LEGACY_SCALE", "true", "legacy_scale", True),
        ("HYPERTAPE_LEGACY_SCALE", "0", "legacy_scale", False),
        ("HYPERTAPE_LANDING_URL", "s3://bucket/tape", "landing", "s3://bucket/tape"),
        ("HYPERTAPE_EXTENSION_DIR", "", "extension_dir", None),
        ("FALLBACK_TO_CSV", "false", "fallback_to_csv", False),
        ("FALLBACK_TO_CSV", "", "fallback_to_csv", True),
        ("VN_DATABASE_PATH", "/srv/vn_data.db", "vn_database_path", Path("/srv/vn_data.db")),
        ("CRYPTO_DATABASE_PATH", "/srv/c.db", "crypto_database_path", Path("/srv/c.db")),
        ("HYPERTAPE_BATCH_SIZE", "", "batch_size", 50),
        ("TICK_BATCH_SIZE", "500", "tick_batch_size", 500),
        ("TICK_FLUSH_INTERVAL_MS", "20", "tick_flush_interval_ms", 20),
        ("BARS_DB_WRITE_INTERVAL", "1m1.5s", "bars_db_write_interval", 61.5),
        ("BARS_DB_RETRY_DELAY", "100ms", "bars_db_retry_delay", 0.1),
        ("BARS_DB_RETRY_DELAY", "0.25", "bars_db_retry_delay", 0.25),
        ("HYPERTAPE_SPOOL_DIR", "/srv/spool", "spool", Path("/srv/spool")),
        ("UNRELATED_BATCH_SIZE", "7", "batch_size", 50),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("HYPERTAPE_BATCH_SIZE", "many", "HYPERTAPE_BATCH_SIZE='many' cannot be used: .*integer"),
        (
            "HYPERTAPE_BATCH_SIZE",
            "0",
            "HYPERTAPE_BATCH_SIZE='0' cannot be used: .*greater than or equal to 1",
        ),
        ("HYPERTAPE_LANDING_DAYS", "-1", "HYPERTAPE_LANDING_DAYS='-1' cannot be used"),
        ("HYPERTAPE_LEGACY_SCALE", "perhaps", "HYPERTAPE_LEGACY_SCALE='perhaps' cannot be used: .*boolean"),
        ("FALLBACK_TO_CSV", "perhaps", "^FALLBACK_TO_CSV='perhaps' cannot be used: .*boolean"),
        ("HYPERTAPE_SOURCE_RATES", "vci", "HYPERTAPE_SOURCE_RATES='vci' cannot be used: .*name=value"),
        (
            "HYPERTAPE_SOURCE_RATES",
            "vci=fast",
            "HYPERTAPE_SOURCE_RATES='vci=fast' cannot be used: .*number",
        ),
        (
            "HYPERTAPE_SOURCE_RATES",
            "vci=-1",
            "HYPERTAPE_SOURCE_RATES='vci=-1' cannot be used: .*number",
        ),
        (
            "HYPERTAPE_SOURCE_RATES",
            "vci=nan",
            "HYPERTAPE_SOURCE_RATES='vci=nan' cannot be used: .*number",
        ),
        (
            "HYPERTAPE_SOURCE_ENDPOINTS",
            "http://h",
            "HYPERTAPE_SOURCE_ENDPOINTS='http://h' .*name=value",
        ),
        (
            "HYPERTAPE_SOURCE_ENDPOINTS",
            "vci=h:80",
            "HYPERTAPE_SOURCE_ENDPOINTS='vci=h:80' cannot be used: .*http://",
        ),
        ("HYPERTAPE_SOURCE_PAUSE", "0", "HYPERTAPE_SOURCE_PAUSE='0' cannot be used"),
        ("BARS_DB_WRITE_INTERVAL", "soon", "BARS_DB_WRITE_INTERVAL='soon' cannot be used: .*number"),
        ("BARS_DB_RETRY_DELAY", "0ms", "BARS_DB_RETRY_DELAY=0.0 cannot be used"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, says: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadSetting, match=rf"{says}.*Correct or unset it\."):
        load_settings()


def test_what_the_caller_gives_wins_and_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_BATCH_SIZE", "7")
    assert load_settings(batch_size=9).batch_size == 9
    assert load_settings(batch_size=None).batch_size == 7


@pytest.mark.parametrize(
    ("ours", "airflows", "wanted"),
    [
        ("postgresql://ours", "postgresql://airflows", "postgresql://ours"),
        (None, "postgresql://airflows", "postgresql://airflows"),
        ("", "postgresql://airflows", "postgresql://airflows"),
        (None, None, None),
    ],
)
def test_our_own_variable_wins_over_airflows_connection(
    monkeypatch: pytest.MonkeyPatch, ours: str | None, airflows: str | None, wanted: str | None
) -> None:
    for name, text in (("HYPERTAPE_DATABASE_URL", ours), ("AIRFLOW_CONN_HYPERTAPE_DB", airflows)):
        if text is not None:
            monkeypatch.setenv(name, text)
    assert load_settings().given_dsn == wanted


def test_settings_are_a_snapshot() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().batch_size = 1


def test_a_started_process_gets_a_copy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_SOURCE", "sample")
    copied = settings.inherited_environment()
    assert copied["HYPERTAPE_SOURCE"] == "sample"
    copied["HYPERTAPE_SOURCE"] = "changed"
    assert load_settings().source == "sample"


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({}, ["warehouse"]),
        ({"VN_DATABASE_PATH": "/v.db", "CRYPTO_DATABASE_PATH": "/c.db"}, ["warehouse", "sqlite:/v.db", "sqlite:/c.db"]),
        ({"HYPERTAPE_READ_STORES": "sqlite:/d, csv:/t", "VN_DATABASE_PATH": "/v.db"}, ["sqlite:/d", "csv:/t"]),
        ({"HYPERTAPE_READ_STORES": "sqlite:/d,csv:/t", "FALLBACK_TO_CSV": "false"}, ["sqlite:/d"]),
        ({"HYPERTAPE_READ_STORES": "csv:/t,csv:/u", "FALLBACK_TO_CSV": "false"}, ["csv:/t"]),
        ({"HYPERTAPE_READ_STORES": "csv:/t,warehouse,csv:/t"}, ["csv:/t", "warehouse"]),
    ],
    ids=["nothing set", "the documents' files", "an order wins", "no fallback", "the first is no fallback", "twice"],
)  # fmt: skip
def test_the_order_of_reading(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], order: list[str]
) -> None:
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    assert list(load_settings().read_order) == order


def test_rates_and_endpoints_are_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0.5, ccxt:kraken = 2,yahoo=0")
    monkeypatch.setenv("HYPERTAPE_SOURCE_ENDPOINTS", "vci=http://127.0.0.1:8080/?a=b")
    found = load_settings()
    assert found.rates == {"vci": 0.5, "ccxt:kraken": 2.0, "yahoo": 0.0}
    assert found.endpoint_of("vci") == "http://127.0.0.1:8080/?a=b"
    assert found.endpoint_of("yahoo") is None


@pytest.mark.parametrize(
    ("mirrors", "expected"),
    [(None, True), ("", True), ("nightly, tree", True), ("nightly", False), ("none", False)],
)
def test_which_mirrors_a_machine_delivers_to(
    monkeypatch: pytest.MonkeyPatch, mirrors: str | None, expected: bool
) -> None:
    if mirrors is not None:
        monkeypatch.setenv("HYPERTAPE_MIRRORS", mirrors)
    assert load_settings().delivers_to("tree") is expected


SECRETS = ("HYPERTAPE_DATABASE_URL", "HYPERTAPE_DIRECT_DATABASE_URL", "HYPERTAPE_READER_DATABASE_URL",
           "HYPERTAPE_NOTIFY", "HYPERTAPE_RABBITMQ_URL", "HYPERTAPE_FIX_PASSWORD")  # fmt: skip


def test_secrets_are_never_shown() -> None:
    """What reads as a secret is declared as one, and so read from files and left out of `repr`."""
    secret = {variable_of(name) for name in Settings.model_fields if holds(name) is not None}
    assert secret == {variable_of(name) for name, field in Settings.model_fields.items() if not field.repr}
    assert secret >= set(SECRETS)
    words = re.compile(r"(^|_)(PASSWORD|SECRET|TOKEN|DATABASE_URL|RABBITMQ_URL|NOTIFY)$")
    assert {name for name in map(variable_of, Settings.model_fields) if words.search(name)} <= secret


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_may_stand_in_a_file(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("  kept://aside\n")
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "secret"))
    field = variable.removeprefix("HYPERTAPE_").lower()
    assert getattr(load_settings(), field) == "kept://aside"
    assert origin_of(field) == str(tmp_path / "secret")
    assert getattr(load_settings(**{field: "given"}), field) == "given"
    assert "aside" not in repr(load_settings())


@pytest.mark.parametrize(
    ("content", "environment", "told"),
    [
        pytest.param(b"a", {"HYPERTAPE_NOTIFY": "b"}, "are both set", id="two sources of one secret"),
        pytest.param(None, {}, "No such file", id="a file that is not there"),
        pytest.param(b" \n", {}, "is empty", id="an empty file"),
        pytest.param(b"\xff\xfe", {}, "is no text", id="a file that is no text"),
    ],
)
def test_a_bad_secret_file_is_named(
    content: bytes | None,
    environment: dict[str, str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    for name, text in {**environment, "HYPERTAPE_NOTIFY_FILE": str(path)}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(BadSetting, match=told) as refused:
        load_settings()
    assert "HYPERTAPE_NOTIFY_FILE" in str(refused.value)


def test_only_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seven").write_text("7")
    monkeypatch.setenv("HYPERTAPE_BATCH_SIZE_FILE", str(tmp_path / "seven"))
    assert load_settings().batch_size == 50
