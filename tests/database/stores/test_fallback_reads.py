"""Ordered reads over the real stores: the warehouse, SQLite files and CSV trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest
from lab import D1, NOW, VN, put, walk

from hypertape.errors import StoreAway
from hypertape.frame import times_of
from hypertape.settings import Settings, load_settings
from hypertape.steps.mirror import deliver_mirrors
from hypertape.stores.fallback import reader_of
from hypertape.stores.mirrors import add_mirror

BARS = walk(60)


@pytest.fixture
def stores(warehouse, connection, tmp_path) -> list[str]:
    """The warehouse and two mirrors of it: all three have A and B, what is loaded later only the warehouse has."""
    put(connection, {"A": BARS.take(slice(0, 50)), "B": BARS}, VN)
    addresses = [f"sqlite:{tmp_path / 'vn_data.db'}", f"csv:{tmp_path / 'market_data'}"]
    for name, address in zip(("files", "tree"), addresses, strict=True):
        add_mirror(connection, name, address, markets=["vn"])
    assert {done.left for done in deliver_mirrors(warehouse, now=NOW, settings=Settings()).values()} == {0}
    return ["warehouse", *addresses]


def read(dsn: str, settings: Settings, *tickers: str) -> dict[str, tuple[str, int, bool]]:
    """Per ticker: the stores that served it by kind, how many bars came, whether they are the ones that were loaded."""
    reader = reader_of(settings, now=NOW, run_id="read", dsn=dsn)
    found: dict[str, tuple[str, int, bool]] = {}
    for served in reader.read(VN, D1, tickers, now=NOW):
        kinds, rows, right = found.get(served.series.ticker, ("", 0, True))
        kind, times = served.store.partition(":")[0], times_of(served.block.bars)
        right &= np.array_equal(times, BARS.time[rows : rows + len(times)])
        found[served.series.ticker] = (f"{kinds} {kind}".strip(), rows + len(times), right)
    reader.close()
    return found


def away(dsn: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, port=1)


@pytest.mark.parametrize("first", [0, 1, 2], ids=["warehouse", "sqlite", "csv"])
def test_each_store_serves_when_it_is_first(warehouse, stores, first) -> None:
    order = Settings(read_stores=",".join([stores[first], *stores]))
    kind = stores[first].partition(":")[0]
    assert read(warehouse, order, "A", "B") == {"A": (kind, 50, True), "B": (kind, 60, True)}


@pytest.mark.parametrize(
    ("first", "expected"),
    [(1, "warehouse"), (2, "csv warehouse")],
    ids=["sqlite is passed over", "csv is continued"],
)
def test_a_mirror_that_is_behind_does_not_truncate_history(
    warehouse, connection, stores, first, expected
) -> None:
    put(connection, {"A": BARS, "C": BARS}, VN)
    order = Settings(read_stores=f"{stores[first]},warehouse")
    kind = stores[first].partition(":")[0]
    assert read(warehouse, order, "A", "B", "C") == {
        "A": (expected, 60, True),
        "B": (kind, 60, True),
        "C": ("warehouse", 60, True),
    }


def test_without_the_warehouse_the_mirrors_serve(warehouse, stores) -> None:
    order = Settings(read_stores=",".join(stores))
    assert read(away(warehouse), order, "A", "B") == {"A": ("sqlite", 50, True), "B": ("sqlite", 60, True)}


def test_the_documents_variables_name_the_stores(warehouse, stores, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("HYPERTAPE_READ_STORES", raising=False)
    monkeypatch.setenv("VN_DATABASE_PATH", str(tmp_path / "vn_data.db"))
    assert read(warehouse, load_settings(), "A") == {"A": ("warehouse", 50, True)}
    assert read(away(warehouse), load_settings(), "A") == {"A": ("sqlite", 50, True)}


def test_fallback_to_csv_may_be_forbidden(warehouse, stores, monkeypatch) -> None:
    monkeypatch.setenv("HYPERTAPE_READ_STORES", f"warehouse,{stores[2]}")
    assert read(away(warehouse), load_settings(), "A") == {"A": ("csv", 50, True)}
    monkeypatch.setenv("FALLBACK_TO_CSV", "false")
    with pytest.raises(StoreAway, match="No store answers: warehouse"):
        read(away(warehouse), load_settings(), "A")


def test_a_file_that_is_taken_away_is_passed_over(warehouse, stores, tmp_path: Path) -> None:
    (tmp_path / "vn_data.db").rename(tmp_path / "gone.db")
    order = Settings(read_stores=f"{stores[1]},{stores[2]}")
    assert read(warehouse, order, "B") == {"B": ("csv", 60, True)}
