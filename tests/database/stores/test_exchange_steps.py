"""CSV trees in and out in parts, as the DAGs do it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from lab import D1, VN, put, scaled, to_frame, walk
from migration_lab import NOW, ask, in_warehouse

from hypertape.errors import BadInput, BatchRefused
from hypertape.settings import Settings
from hypertape.steps.exchange import Copied, Exchange, copy, finish, plan
from hypertape.stores import Block
from hypertape.stores.addresses import CsvOptions
from hypertape.stores.csv import CsvStore
from hypertape.stores.mirrors import add_mirror


def move(dsn: str, direction: str, directory: Path, **wishes: Any) -> list[dict[str, Any]]:
    settings = Settings(database_url=dsn, state_dir=directory.parent / "state")
    run_id = f"{direction}_{uuid.uuid4().hex[:8]}"
    planned, parts = plan(
        dsn, direction, run_id=run_id, now=NOW, directory=str(directory), settings=settings, **wishes
    )
    planned = Exchange.from_json(json.loads(json.dumps(planned.to_json())))
    done = [copy(dsn, planned, part, settings=settings) for part in parts]
    told = [dict(part.counts) for part in done]
    if direction == "export":
        return told
    counts, after = finish(
        dsn, planned, [Copied.from_json(part.to_json()) for part in done], now=NOW, settings=settings
    )
    sums = {name: sum(getattr(each.rollups, name) for each in after) for name in ("buckets", "differing")}
    return [*told, {**counts, **sums, "mirrors": after[0].published.mirrors}]


def test_out_and_in_again_is_the_same_and_writes_nothing(
    warehouse: str, connection: Any, tmp_path: Path, new_warehouse: Any
) -> None:
    put(connection, {name: walk(30, seed=at) for at, name in enumerate(("AAA", "BBB", "CCC"))}, VN, D1)
    parts = move(warehouse, "export", tmp_path, market="vn", workers=2)
    assert [part["series"] for part in parts] == [2, 1]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")) == [
        "AAA/1D.csv", "BBB/1D.csv", "CCC/1D.csv",
    ]  # fmt: skip
    (*_, same) = move(warehouse, "import", tmp_path, market="vn", workers=2)
    assert (same["equal"], same["inserted"]) == (3, 0)
    assert same["buckets"] > 0  # nobody had refreshed the rollups of what was loaded before
    (*_, again) = move(warehouse, "import", tmp_path, market="vn", workers=2)
    assert (again["equal"], again["inserted"], again["buckets"]) == (3, 0, 0)
    with new_warehouse() as other:
        (*_, fresh) = move(other, "import", tmp_path, market="vn", workers=2)
        assert (fresh["inserted"], fresh["differing"]) == (90, 0)
        assert fresh["buckets"] > 0
        assert in_warehouse(other, ("vn", D1)) == in_warehouse(warehouse, ("vn", D1))
        assert ask(other, "select count(*) from rollup_pending") == [(0,)]


def test_a_part_goes_into_a_warehouse_that_has_more(warehouse: str, connection: Any, tmp_path: Path) -> None:
    put(connection, {"AAA": walk(30, seed=1).take(slice(20))}, VN, D1)
    move(warehouse, "export", tmp_path, market="vn")
    put(connection, {"AAA": walk(30, seed=1)}, VN, D1)
    (*_, again) = move(warehouse, "import", tmp_path, market="vn")
    assert (again["equal"], again["extra"]) == (1, 10)


def test_an_export_keeps_what_only_the_tree_has_unless_it_replaces(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    bars = walk(30, seed=1)
    CsvStore(tmp_path, CsvOptions(market="vn")).write(VN, D1, [Block(to_frame({"AAA": bars}))])
    put(connection, {"AAA": bars.take(slice(20))}, VN, D1)
    (laid,) = move(warehouse, "export", tmp_path, market="vn")
    (anew,) = move(warehouse, "export", tmp_path, market="vn", anew=True)
    assert (laid["extra"], anew["extra"], anew["inserted"]) == (10, 0, 20)
    assert (tmp_path / "AAA" / "1D.csv").read_text().count("AAA") == 20


def test_a_series_that_fails_costs_itself_only(warehouse: str, connection: Any, tmp_path: Path) -> None:
    put(connection, {"AAA": walk(30, seed=1), "BBB": walk(30, seed=2)}, VN, D1)
    move(warehouse, "export", tmp_path, market="vn")
    connection.execute("delete from bars.market_data_1d")
    connection.execute("delete from series")
    put(connection, {"AAA": scaled(walk(30, seed=1), 1000.0)}, VN, D1)
    with pytest.raises(BatchRefused, match="1 series failed and the others are copied: vn/1d/AAA"):
        move(warehouse, "import", tmp_path, market="vn")
    assert {key[2]: each.rows for key, each in in_warehouse(warehouse, ("vn", D1)).items()} == {
        "AAA": 30,
        "BBB": 30,
    }


def test_an_import_is_handed_on_to_the_mirrors(warehouse: str, connection: Any, tmp_path: Path) -> None:
    CsvStore(tmp_path / "AAA-tree").write(VN, D1, [Block(to_frame({"AAA": walk(30, seed=1)}))])
    add_mirror(connection, "files", f"csv:{tmp_path}/mirror", markets=["vn"])
    (*_, done) = move(warehouse, "import", tmp_path / "AAA-tree", workers=1)
    assert (done["mirrors"]["files"].written.inserted, done["mirrors"]["files"].left) == (30, 0)
    assert ask(warehouse, "select count(*) from mirror_outbox") == [(0,)]


def test_nothing_to_move_is_said(warehouse: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no bars"):
        move(warehouse, "export", tmp_path)
