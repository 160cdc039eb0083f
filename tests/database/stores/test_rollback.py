"""Cut over to the warehouse, back to SQLite, and over again: nothing that was written on the way is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lab import D1, H1, VN, changed, put, value, walk
from migration_lab import NOW, dual_write_file, in_file, in_warehouse, write

from hypertape.errors import BadInput, BatchRefused, RolledBack
from hypertape.settings import Settings
from hypertape.steps import rollback
from hypertape.steps.migration.run import migrate
from hypertape.steps.rollback import status, to_sqlite, to_warehouse
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.copy import copy
from hypertape.stores.mirrors import add_mirror
from hypertape.stores.sqlite import SqliteStore
from hypertape.warehouse import cutover

WHOLE = walk(60, seed=3)


@pytest.fixture
def cut_over(warehouse: str, tmp_path: Path) -> tuple[str, Path]:
    """A warehouse that took over a SQLite file with series D00, D01, H00, H01."""
    file = dual_write_file(tmp_path, tickers=2, bars=30)
    write(SqliteStore(tmp_path, now=NOW), "vn", D1, {"NEW": WHOLE.take(slice(40))})
    go(to_warehouse, warehouse, tmp_path, file)
    return warehouse, file


def go(verb: Any, dsn: str, state: Path, file: Path | None = None, run_id: str = "first") -> dict[str, Any]:
    address = None if file is None else f"sqlite:{file}"
    done: dict[str, Any] = verb(
        dsn,
        address,
        by="tester",
        now=NOW,
        run_id=run_id,
        settings=Settings(state_dir=state, database_url=dsn),
    )
    return done


def both_sides(dsn: str, file: Path) -> tuple[Any, Any]:
    return in_file(f"sqlite:{file}"), in_warehouse(dsn, ("vn", D1), ("vn", H1))


def test_the_whole_way_there_and_back_and_there_again_loses_nothing(
    cut_over: tuple[str, Path], connection: Any, tmp_path: Path
) -> None:
    dsn, file = cut_over
    before, after = both_sides(dsn, file)
    assert before == after

    # after the cut-over: new bars, a restatement, a new ticker
    put(connection, {"NEW": WHOLE}, VN, D1, run_id="loads")
    put(connection, {"D00": changed(walk(30, seed=0), 4, volume=123.5)}, VN, D1, run_id="loads")
    put(connection, {"LATE": walk(25, seed=8)}, VN, D1, run_id="loads")
    in_the_file, in_the_warehouse = both_sides(dsn, file)
    assert in_the_file == before
    assert in_the_warehouse != before

    back = go(to_sqlite, dsn, tmp_path, run_id="back")
    assert (back["series"], back["inserted"], back["updated"]) == (3, 20 + 25, 1)
    assert both_sides(dsn, file) == (in_the_warehouse, in_the_warehouse)

    # while SQLite is the truth: its application writes, hypertape's loads are refused
    write(SqliteStore(tmp_path, now=NOW), "vn", D1, {"LATE": walk(25, seed=8), "LATER": walk(10, seed=9)})
    with pytest.raises(RolledBack, match="rollback to-warehouse"):
        put(connection, {"STRAY": walk(5, seed=1)}, VN, D1, run_id="stray")
    assert value(connection, "select count(*) from bars.market_data_1d where ticker = 'STRAY'") == 0

    again = go(to_warehouse, dsn, tmp_path, run_id="again")
    assert (again["inserted"], again["updated"]) == (10, 0)
    in_the_file, in_the_warehouse = both_sides(dsn, file)
    assert in_the_file == in_the_warehouse
    assert in_the_file["vn", D1, "LATER"].rows == 10
    assert in_the_file["vn", D1, "NEW"].rows == 60
    put(connection, {"STRAY": walk(5, seed=1)}, VN, D1, run_id="stray")  # and loads are welcome again
    assert [(each.truth, each.decided_by) for each in status(dsn)] == [
        ("warehouse", "tester"), ("sqlite", "tester"), ("warehouse", "tester"),
    ]  # fmt: skip


def test_only_what_was_written_since_is_carried_back(
    cut_over: tuple[str, Path], connection: Any, tmp_path: Path
) -> None:
    dsn, _ = cut_over
    assert go(to_sqlite, dsn, tmp_path, run_id="back")["series"] == 0
    go(to_warehouse, dsn, tmp_path, run_id="again")
    put(connection, {"NEW": WHOLE.take(slice(30, 42))}, VN, D1, run_id="loads")
    back = go(to_sqlite, dsn, tmp_path, run_id="back again")
    assert (back["series"], back["inserted"], back["updated"], back["unchanged"]) == (1, 2, 0, 0)


def test_the_same_switch_twice_does_nothing(
    cut_over: tuple[str, Path], connection: Any, tmp_path: Path
) -> None:
    dsn, file = cut_over
    put(connection, {"NEW": changed(WHOLE, 0, volume=1.0)}, VN, D1, run_id="loads")
    newer = in_warehouse(dsn, ("vn", D1))
    assert not go(to_warehouse, dsn, tmp_path, file, run_id="again")["switched"]
    assert in_warehouse(dsn, ("vn", D1)) == newer  # the older file did not overwrite it
    assert go(to_sqlite, dsn, tmp_path, run_id="back")["switched"]
    assert not go(to_sqlite, dsn, tmp_path, run_id="back again")["switched"]
    assert len(status(dsn)) == 2


def test_without_a_cutover_everything_goes_into_a_new_file(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    put(connection, {"AAA": walk(20, seed=1), "BBB": walk(20, seed=2)}, VN, D1)
    file = tmp_path / "fresh.db"
    back = go(to_sqlite, warehouse, tmp_path, file)
    assert (back["series"], back["inserted"]) == (2, 40)
    assert in_file(f"sqlite:{file}") == in_warehouse(warehouse, ("vn", D1))


def test_the_pair_is_where_it_was_named_whatever_the_variables_say(
    cut_over: tuple[str, Path], connection: Any, tmp_path: Path
) -> None:
    dsn, file = cut_over
    elsewhere = tmp_path / "elsewhere" / "vn.db"
    settings = Settings(state_dir=tmp_path, database_url=dsn, vn_database_path=elsewhere)
    go(to_sqlite, dsn, tmp_path, run_id="file")
    go(to_warehouse, dsn, tmp_path, file.parent, run_id="directory")
    put(connection, {"NEW": WHOLE}, VN, D1, run_id="loads")
    back = to_sqlite(dsn, by="tester", now=NOW, run_id="back", settings=settings)
    assert (back["address"], back["inserted"]) == (f"sqlite:{file.parent}", 20)
    assert not elsewhere.exists()
    one, other = both_sides(dsn, file)
    assert one == other


def test_while_sqlite_is_the_truth_another_sqlite_file_is_a_stray(
    cut_over: tuple[str, Path], connection: Any, tmp_path: Path
) -> None:
    dsn, file = cut_over
    go(to_sqlite, dsn, tmp_path, run_id="back")
    (tmp_path / "stray").mkdir()
    stray = dual_write_file(tmp_path / "stray", tickers=1, bars=40)  # the same name in another directory
    with pytest.raises(RolledBack):
        copy(*places(dsn, stray), Selection(), now=NOW)
    settings = Settings(state_dir=tmp_path, database_url=dsn)
    with pytest.raises(BatchRefused, match="has been the truth since"):
        migrate(dsn, [str(stray)], run_id="stray", now=NOW, settings=settings)
    assert value(connection, "select count(*) from load where run_id = 'stray' and status = 'loaded'") == 0

    write(SqliteStore(tmp_path, now=NOW), "vn", D1, {"LATE": walk(25, seed=8)})
    followed = copy(*places(dsn, file), Selection(), now=NOW)
    assert (followed.written.inserted, followed.failed) == (25, ())
    write(SqliteStore(tmp_path, now=NOW), "vn", D1, {"LATER": walk(25, seed=9)})
    followed_again = migrate(dsn, [str(file)], run_id="follow", now=NOW, settings=settings)
    assert followed_again.reported.totals.inserted == 25


def places(dsn: str, file: Path) -> list[Opening]:
    """Both sides of a copy into the warehouse, as the command line opens them."""
    source = f"sqlite:{file}"
    return [Opening(place, Settings(), NOW, "copy", dsn, source=source) for place in (source, "warehouse")]


def test_the_switch_to_the_warehouse_lets_nobody_write_to_the_files(
    cut_over: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, file = cut_over
    go(to_sqlite, dsn, tmp_path, run_id="back")
    outcomes = []

    def write_late(connection: Any) -> None:
        """What the files' own program tries at the moment of the decision."""
        with closing(sqlite3.connect(file, timeout=0)) as late:
            try:
                late.execute("update vn_daily set volume = volume + 1")
                late.commit()
                outcomes.append("written")
            except sqlite3.OperationalError as error:
                outcomes.append(str(error))
        hold_loads(connection)

    hold_loads = cutover.hold_loads
    monkeypatch.setattr(cutover, "hold_loads", write_late)
    assert go(to_warehouse, dsn, tmp_path, run_id="again")["switched"]
    assert outcomes == ["database is locked"]
    one, other = both_sides(dsn, file)
    assert one == other


def test_a_cutover_starts_over_when_the_files_change_and_gives_up_in_the_end(
    cut_over: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, _ = cut_over
    go(to_sqlite, dsn, tmp_path, run_id="back")
    store, days = SqliteStore(tmp_path, now=NOW), iter(range(20, 60))

    def migrate_and_write(*arguments: Any, **options: Any) -> dict[str, Any]:
        done = migrate(*arguments, **options)
        write(store, "vn", D1, {"BUSY": WHOLE.take(slice(next(days)))})
        return done

    monkeypatch.setattr(rollback, "migrate", migrate_and_write)
    with pytest.raises(BadInput, match="keeps writing"):
        go(to_warehouse, dsn, tmp_path, run_id="again")
    assert status(dsn)[0].truth == "sqlite"


def test_a_cutover_is_handed_on_to_the_mirrors(warehouse: str, connection: Any, tmp_path: Path) -> None:
    file = dual_write_file(tmp_path, tickers=2, bars=30)
    add_mirror(connection, "copy", f"csv:{tmp_path}/mirror")
    go(to_warehouse, warehouse, tmp_path, file)
    assert value(connection, "select count(*) from mirror_outbox") == 0
    assert in_file(f"csv:{tmp_path}/mirror") == in_warehouse(warehouse, ("vn", D1), ("vn", H1))


@pytest.mark.parametrize(
    ("address", "message", "reason"),
    [
        (None, "has to be named", "there was no cut-over"),
        ("stockula:file.db", "cannot be written", "a Stockula file is only read"),
        ("csv:tree", "cannot be written", "a CSV tree is no SQLite store"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(
    warehouse: str, tmp_path: Path, address: str | None, message: str, reason: str
) -> None:
    for verb in (to_sqlite, to_warehouse):
        with pytest.raises(BadInput, match=message):
            verb(warehouse, address, by="tester", now=NOW, run_id="x", settings=Settings(state_dir=tmp_path))
    assert status(warehouse) == []
