"""The landing area on an object store: moto's S3 server, asked over HTTP as a real one is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import fsspec
import pyarrow as pa
import pytest

from hypertape.errors import BadSetting, TransientError
from hypertape.frame import bar_frame
from hypertape.model import utc
from hypertape.sources import Reply
from hypertape.steps.landing import Landing, clear, sweep
from hypertape.steps.raw import RawKeeper, RawReplay, kept_runs
from object_store import object_store, own_bucket


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def root(server: str) -> Iterator[str]:
    """A landing area in a bucket of the test's own."""
    with own_bucket(server, "tape") as bucket:
        yield f"s3://{bucket}/landing"


def bars(ticker: str = "A") -> pa.Table:
    return bar_frame(
        ticker, [utc(2024)], {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    )


def test_what_one_worker_writes_another_reads(root: str):
    run = "scheduled__2024-01-01T00:00:00+00:00"
    place, other = Landing(root, run, 3), Landing(root, run, 3)
    assert other.read_json("answer") is None
    place.write("bars", bars())
    place.write_json("answer", {"failed": {}})
    assert other.read("bars").equals(bars())
    place.write("bars", pa.concat_tables([bars(), bars("B")]))
    place.write_json("answer", {"failed": {"B": "a longer answer than before"}})
    assert len(other.read("bars")) == 2, "no size or listing is remembered"
    assert other.read_json("answer") == {"failed": {"B": "a longer answer than before"}}
    with pytest.raises(FileNotFoundError):
        other.read("clean")


def test_raw_answers_are_kept_and_replayed(root: str):
    RawKeeper(root, "run 1").keep("vci", "GET /x", Reply(200, b"[]" * 1000))
    assert RawReplay(root, "run 1").find("vci", "GET /x") == Reply(200, b"[]" * 1000)
    assert RawReplay(root, "run 1").find("vci", "GET /y") is None
    assert kept_runs(root) == ["run 1"]


def test_old_runs_go_and_raw_answers_later(root: str):
    Landing(root, "run", 0).write("bars", bars())
    Landing(root, "done", 0).write("bars", bars())
    RawKeeper(root, "run").keep("vci", "GET /x", Reply(200, b"[]"))
    now = datetime.now(UTC)
    clear(root, "done")
    assert sweep(root, now + timedelta(days=1), 7, 14) == 0
    assert sweep(root, now + timedelta(days=8), 7, 14) == 1
    assert kept_runs(root) == ["run"]
    assert sweep(root, now + timedelta(days=15), 7, 14) == 1
    assert kept_runs(root) == []


def test_a_missing_bucket_is_a_wrong_address(root: str):
    with pytest.raises(BadSetting, match="HYPERTAPE_LANDING_URL"):
        Landing("s3://no-such-bucket-anywhere/landing", "run", 0).write("bars", bars())


def test_a_store_that_is_away_may_come_back(root: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(TransientError, match="landing area"):
        Landing(root, "run", 0).write("bars", bars())


def test_a_store_without_its_package_names_it():
    with pytest.raises(BadSetting, match="gcsfs"):
        Landing("gs://bucket/landing", "run", 0).write("bars", bars())
