"""Backups as files: what is whole, what may go, and what stays; in a directory and in an object store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import fsspec
import pytest

from hypertape.errors import BackupBroken, BadInput, BadSetting
from hypertape.model import utc
from hypertape.steps.backup import newest_good, prune
from hypertape.steps.backup_files import BackupPlace, Verdict, new_name
from hypertape.warehouse.backup import Manifest, Relation, differences
from object_store import object_store, own_bucket

NOW = utc(2026, 11, 30, 12)
DAY = timedelta(days=1)
NOBODY = "postgresql://nobody:secret@127.0.0.1:1/none"
"""No warehouse answers there: backups are looked after all the same."""


def put(place: BackupPlace, age: timedelta, state: str = "unverified", name: str | None = None) -> str:
    """A backup of that age and state."""
    made_at = NOW - age
    name = name or new_name(made_at)
    size, sha256 = place.write_dump(name, io.BytesIO(b"dump" * 1000), lambda size: None)
    if state == "unfinished":
        return name
    place.write_manifest(
        Manifest(
            name,
            made_at,
            "hypertape",
            "18.6",
            "plain",
            {},
            "migrations/0001.sql",
            "0",
            size,
            sha256,
            1.0,
            {"public.load": Relation(3, "17")},
        )
    )
    if state != "unverified":
        place.write_verdict(name, Verdict(state == "verified", "", NOW, NOW if state == "verified" else None))
    return name


@pytest.fixture
def place(tmp_path: Path) -> BackupPlace:
    return BackupPlace(str(tmp_path / "backups"))


@pytest.mark.parametrize(
    ("ages_and_states", "keep_days", "broken", "stay"),
    [
        pytest.param([(1, "verified"), (8, "verified")], 7, False, [1], id="what is too old goes"),
        pytest.param([(8, "verified"), (9, "verified")], 7, False, [8], id="the newest verified one stays"),
        pytest.param(
            [(1, "unverified"), (9, "verified")], 7, False, [1, 9], id="a newer unverified is no reason"
        ),
        pytest.param([(1, "broken"), (9, "verified")], 7, False, [1, 9], id="nor is a broken one"),
        pytest.param(
            [(8, "unverified"), (9, "unverified")], 7, False, [8], id="none verified: the newest stays"
        ),
        pytest.param([(8, "broken"), (9, "unverified")], 7, False, [9], id="a broken one is not it"),
        pytest.param([(1, "broken"), (2, "verified")], 7, True, [2], id="broken ones go when asked"),
        pytest.param(
            [(2, "unfinished"), (3, "verified")], 7, False, [3], id="unfinished ones go after a day"
        ),
        pytest.param([(0, "unfinished"), (3, "verified")], 7, True, [0, 3], id="but may be under way before"),
        pytest.param([(1, "broken")], 7, True, [], id="broken is no backup, not even as the last one"),
    ],
)
def test_what_may_go(
    place: BackupPlace, ages_and_states: list[tuple[int, str]], keep_days: int, broken: bool, stay: list[int]
) -> None:
    names = {put(place, age * DAY, state): age for age, state in ages_and_states}
    gone = prune(NOBODY, place, now=NOW, keep_days=keep_days, broken=broken)
    left = [names[each.name] for each in place.backups()]
    assert left == stay
    assert sorted([*left, *(names[each.name] for each in gone)]) == sorted(names.values())


def test_a_backup_without_a_manifest_is_never_whole(place: BackupPlace) -> None:
    name = put(place, DAY, "unfinished")
    (found,) = place.backups()
    assert (found.name, found.state, found.bytes) == (name, "unfinished", 4000)
    assert newest_good([found]) is None
    with pytest.raises(BadInput, match=f"no finished backup in .*There are: {name}"):
        place.find(None)


def test_a_manifest_that_is_another_backups_is_none(place: BackupPlace) -> None:
    name = put(place, DAY)
    Path(place.url, f"{name}.json").rename(Path(place.url, f"{new_name(NOW)}.json"))
    assert {each.state for each in place.backups()} == {"unfinished", "broken"}


def test_foreign_files_are_left_alone(place: BackupPlace) -> None:
    name = put(place, 9 * DAY, "broken")
    for foreign in ("notes.txt", "hypertape-yesterday.dump", "hypertape-20261130T120000Z.dump"):
        Path(place.url, foreign).write_text("mine")
    assert [each.name for each in place.backups()] == [name]
    prune(NOBODY, place, now=NOW, keep_days=1, broken=True)
    assert len(list(Path(place.url).iterdir())) == 3


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"a": Relation(1, "5")}, []),
        ({"a": Relation(2, "5")}, ["a has 2 rows, not 1"]),
        ({"a": Relation(1, "6")}, ["a has other values in its 1 rows"]),
        ({}, ["a is missing"]),
        ({"a": Relation(1, "5"), "b": Relation(0, "0")}, ["b is not of the backup"]),
    ],
)
def test_differences_are_named(found: dict[str, Relation], says: list[str]) -> None:
    assert differences({"a": Relation(1, "5")}, found) == says


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(server: str) -> Iterator[str]:
    """A bucket of the test's own."""
    with own_bucket(server, "backups") as name:
        yield name


def test_an_object_store_keeps_them_as_well(bucket: str) -> None:
    place = BackupPlace(f"s3://{bucket}/here")
    assert place.backups() == []
    old, new, unfinished = (
        put(place, 9 * DAY, "verified"),
        put(place, DAY, "verified"),
        put(place, 2 * DAY, "unfinished"),
    )
    assert [(each.name, each.state) for each in place.backups()] == [
        (new, "verified"), (unfinished, "unfinished"), (old, "verified"),
    ]  # fmt: skip
    found = place.find(new)
    assert found.manifest is not None
    with place.dump_file(found.manifest, lambda size: None) as file:
        assert file.read_bytes() == b"dump" * 1000
    fsspec.filesystem("s3").pipe(f"{bucket}/here/{new}.dump", b"dumb" * 1000)
    with pytest.raises(BackupBroken, match="sha256"), place.dump_file(found.manifest, lambda size: None):
        pass
    gone = prune(NOBODY, place, now=NOW, keep_days=7)
    assert {each.name for each in gone} == {old, unfinished}
    assert [each.name for each in place.backups()] == [new]


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(BadSetting, match=r"bucket is missing.*HYPERTAPE_BACKUP_URL"):
        put(BackupPlace(f"s3://{bucket}-no/here"), DAY)


def test_names_sort_by_time() -> None:
    names = [new_name(datetime(2026, 1, day, tzinfo=NOW.tzinfo)) for day in (1, 2, 11)]
    assert names == sorted(names)
