"""Where bars wait between tasks."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from fsspec.implementations.local import LocalFileSystem

from hypertape.errors import DiskFull, TransientError
from hypertape.frame import BAR_SCHEMA, bar_frame
from hypertape.model import utc
from hypertape.steps.landing import Landing, sweep
from hypertape.storage import newest, remove

NOW = utc(2024, 6, 1)


@pytest.mark.parametrize(
    "run_id",
    ["plain", "scheduled__2024-01-01T00:00:00+00:00", "../../outside", "with space/and slash", "số 1"],
)
def test_what_is_written_is_read_back(tmp_path, run_id):
    frame = bar_frame("A", [utc(2024)], {name: [1.0] for name in ("open", "high", "low", "close", "volume")})
    place = Landing(tmp_path.as_uri(), run_id, 3)
    place.write("bars", frame)
    place.write_json("answer", {"failed": {}, "name": "ộ"})
    again = Landing(tmp_path.as_uri(), run_id, 3)
    assert again.read("bars").equals(frame)
    assert again.read("bars").schema.equals(BAR_SCHEMA)
    assert again.read_json("answer") == {"failed": {}, "name": "ộ"}
    assert len(list(tmp_path.iterdir())) == 1, "every run id is one directory, inside the landing area"


def test_a_document_that_was_never_written(tmp_path):
    assert Landing(tmp_path.as_uri(), "run", 0).read_json("answer") is None


def test_a_table_that_was_never_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Landing(tmp_path.as_uri(), "run", 0).read("bars")


def test_batches_of_a_run_are_apart(tmp_path):
    for index in (0, 1):
        Landing(tmp_path.as_uri(), "run", index).write_json("answer", index)
    assert [Landing(tmp_path.as_uri(), "run", index).read_json("answer") for index in (0, 1)] == [0, 1]


def test_a_full_disk_is_told_as_such(tmp_path):
    directory = tmp_path / "run" / "0"
    directory.mkdir(parents=True)
    (directory / "bars.parquet").symlink_to("/dev/full")
    (directory / "answer.json").symlink_to("/dev/full")
    place = Landing(tmp_path.as_uri(), "run", 0)
    with pytest.raises(DiskFull, match="Free room"):
        place.write("bars", pa.table({"a": list(range(100_000))}))
    with pytest.raises(DiskFull, match="Free room"):
        place.write_json("answer", "x" * 100_000)


def test_another_failure_of_the_store_may_pass(tmp_path):
    (tmp_path / "run").write_text("a file where a directory should be")
    with pytest.raises(TransientError, match="Check HYPERTAPE_LANDING_URL"):
        Landing(tmp_path.as_uri(), "run", 0).write_json("answer", {})


def test_a_store_in_memory_will_do(tmp_path):
    place = Landing("memory://landing", "run", 0)
    place.write("table", pa.table({"a": [1]}))
    assert place.read("table").to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(("days", "left"), [(0, []), (3, ["new"]), (30, ["new", "old"])])
def test_old_runs_are_swept(tmp_path, days, left):
    for name, age in (("new", 1), ("old", 10)):
        Landing(tmp_path.as_uri(), name, 0).write_json("answer", {})
        written = (NOW - timedelta(days=age)).timestamp()
        os.utime(tmp_path / name / "0" / "answer.json", (written, written))
    assert sweep(tmp_path.as_uri(), NOW, days) == 2 - len(left)
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_run_is_as_old_as_its_newest_file(tmp_path):
    for index, age in ((0, 100), (1, 1)):
        Landing(tmp_path.as_uri(), "run", index).write_json("answer", {})
        written = (NOW - timedelta(days=age)).timestamp()
        os.utime(tmp_path / "run" / str(index) / "answer.json", (written, written))
    assert sweep(tmp_path.as_uri(), NOW, 7) == 0


def test_nothing_landed_yet(tmp_path):
    assert sweep((tmp_path / "nowhere").as_uri(), NOW, 7) == 0


class Shared(LocalFileSystem):
    """A directory where somebody else removes what was just listed."""

    def modified(self, path: str) -> datetime:
        shutil.rmtree(Path(path).parent)
        at: datetime = super().modified(path)
        return at


def test_what_others_remove_while_it_is_looked_at_is_no_failure(tmp_path):
    Landing(tmp_path.as_uri(), "run", 0).write_json("answer", {})
    assert newest(Shared(), str(tmp_path / "run")) > NOW + timedelta(days=10_000), "not to be swept"
    remove(LocalFileSystem(), str(tmp_path / "run" / "0"))
