"""Bars that come in by a file: what follows a load follows every one, and what cannot be right is refused and named."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import D1, query, scaled, to_frame, value, walk
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.frame import Bars
from hypertape.markets import get_market
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.exchange import copy, finish, plan
from hypertape.steps.migration.run import Inspected, Part, Planned, after_load, inspect
from hypertape.steps.migration.run import copy as copy_units
from hypertape.steps.migration.run import plan as plan_migration
from hypertape.stores import Block
from hypertape.stores.addresses import CsvOptions
from hypertape.stores.csv import CsvStore
from hypertape.stores.sqlite import SqliteStore

CRYPTO, VN = get_market("crypto"), get_market("vn")
NOW = utc(2026)
HOLE = (20, 21, 22)


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    code = getattr(done.exception, "exit_code", done.exit_code)
    return code, done.output + (str(done.exception) if done.exception else "")


@pytest.fixture(autouse=True)
def environment(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "400")


def tree(root: Path, bars: Bars, ticker: str = "AAA", market: Any = CRYPTO) -> Path:
    CsvStore(root, CsvOptions(market=market.code)).write(market, D1, [Block(to_frame({ticker: bars}))])
    return root


def file(root: Path, bars: Bars, ticker: str = "AAA", market: Any = CRYPTO) -> Path:
    store = SqliteStore(root, now=NOW)
    store.write(market, D1, [Block(to_frame({ticker: bars}))])
    return store.path(market.code)


def holed(bars: int = 60) -> Bars:
    whole = walk(bars)
    return whole.take(np.setdiff1d(np.arange(bars), HOLE))


def by_import(dsn: str, root: Path, bars: Bars, market: Any) -> tuple[int, str]:
    return command("import", "--input", tree(root, bars, market=market), "--market", market.code)


def by_copy(dsn: str, root: Path, bars: Bars, market: Any) -> tuple[int, str]:
    return command("copy", f"sqlite:{file(root, bars, market=market).parent}", "warehouse")


def by_migration(dsn: str, root: Path, bars: Bars, market: Any) -> tuple[int, str]:
    return command("migrate", "sqlite", file(root, bars, market=market))


def by_import_dag(dsn: str, root: Path, bars: Bars, market: Any) -> tuple[int, str]:
    settings = Settings(database_url=dsn, state_dir=root.parent / "state")
    planned, parts = plan(
        dsn, "import", run_id="dag", now=NOW, directory=str(tree(root, bars, market=market)), market=market.code,
        settings=settings,
    )  # fmt: skip
    finish(
        dsn,
        planned,
        [copy(dsn, planned, part, settings=settings) for part in parts],
        now=NOW,
        settings=settings,
    )
    return 0, ""


def by_migration_dag(dsn: str, root: Path, bars: Bars, market: Any) -> tuple[int, str]:
    settings = Settings(database_url=dsn, state_dir=root.parent / "state")
    found = inspect([str(file(root, bars, market=market))])
    inspected = Inspected.from_json(found.to_json())
    assert inspected == found
    planned = plan_migration(dsn, inspected, run_id="dag", now=NOW, settings=settings)
    assert Planned.from_json(planned.to_json()) == planned
    for part in planned.parts:
        copy_units(dsn, Part.from_json(part.to_json()), settings=settings)
    after_load(dsn, planned, now=NOW, settings=settings)
    return 0, ""


COMMANDS = [by_import, by_copy, by_migration]
WAYS = [*COMMANDS, by_import_dag, by_migration_dag]
Way = Callable[[str, Path, Bars, Any], tuple[int, str]]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_three_rows_that_are_not_there_are_gaps_checked_and_in_the_report(
    warehouse: str, connection: Any, tmp_path: Path, way: Way
) -> None:
    way(warehouse, tmp_path / "crypto_data", holed(), CRYPTO)
    (run_id,) = {run for (run,) in query(connection, "select run_id from load where ticker = 'AAA'")}
    assert query(connection, "select start_time::date::text, sessions from gap") == [("2020-01-21", 3)]
    assert command("gaps", "list", "--strict")[0] != 0
    assert value(connection, "select count(*) from quality_result where run_id = %s", run_id) > 5
    assert value(connection, "select count(*) from rollup_pending") == 0
    pages = {path.name: path.read_text() for path in (tmp_path / "state" / "reports").iterdir()}
    assert "2020-01-21" in pages[f"{run_id}.html"]


@pytest.mark.parametrize("way", COMMANDS, ids=lambda way: way.__name__)
def test_prices_in_thousands_are_refused_from_the_first_load_on_and_the_option_that_mends_it_is_named(
    warehouse: str, connection: Any, tmp_path: Path, way: Way
) -> None:
    thousands = scaled(walk(60), 0.001)  # 3 for 3 000 dong
    code, said = way(warehouse, tmp_path / "market_data", thousands, VN)
    assert code != 0
    assert "--legacy-scale" in said
    assert value(connection, "select count(*) from bars.market_data_1d") == 0


@pytest.mark.parametrize(
    "words",
    [("import", "--dry-run", "--market", "vn", "--input"), ("migrate", "sqlite", "--dry-run")],
    ids=" ".join,
)
def test_a_rehearsal_says_that_prices_in_thousands_would_be_refused(
    connection: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    make = tree if words[0] == "import" else file
    code, said = command(*words, make(tmp_path / "market_data", scaled(walk(60), 0.001), market=VN))
    assert (code != 0, "--legacy-scale" in said) == (True, True)
    assert value(connection, "select count(*) from load") == 0


def test_stored_bars_of_a_wrong_unit_are_replaced_by_the_command_that_the_refusal_names(
    connection: Any, tmp_path: Path
) -> None:
    root = tree(tmp_path / "market_data", scaled(walk(60), 0.001), market=VN)
    assert command("import", "--input", root, "--market", "vn", "--legacy-scale")[0] == 0
    right = value(connection, "select max(close) from bars.market_data_1d")
    names = ", ".join(f"{name} = {name} / 1000" for name in ("open", "high", "low", "close"))
    connection.execute(f"update bars.market_data_1d set {names}")  # as an older program left them
    again = ("import", "--input", root, "--market", "vn", "--legacy-scale", "--force")
    code, said = command(*again)
    assert (code != 0, "--mode restate" in said, "--accept-scale" in said) == (True, True, True)
    assert command(*again, "--accept-scale")[0] == 0
    assert value(connection, "select max(close) from bars.market_data_1d") == right


def test_what_is_no_readable_file_is_named_and_the_rest_is_loaded(connection: Any, tmp_path: Path) -> None:
    root = tree(tmp_path / "crypto_data", walk(30))
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0\n")
    for name in ("PIPE", "LINK", "AWAY", "DEVICE", "PACKED", "CAPITALS"):
        (root / name).mkdir()
    os.mkfifo(root / "PIPE" / "1D.csv")
    (root / "LINK" / "1D.csv").symlink_to(root / "nothing")
    (root / "AWAY" / "1D.csv").symlink_to(secret)
    (root / "DEVICE" / "1D.csv").symlink_to("/dev/zero")
    (root / "PACKED" / "1D.csv.gz").write_bytes(b"\x1f\x8b")
    (root / "CAPITALS" / "1D.CSV").write_text("ticker,time\n")
    (root / "GONE").symlink_to(root / "nowhere")
    (root / "ELSEWHERE").symlink_to(tmp_path)
    (root / "AAA" / "1D.csv.gz").write_bytes(b"\x1f\x8b")
    code, said = command("import", "--input", root, "--market", "crypto")
    assert code == 4
    for name in (
        "PIPE",
        "LINK",
        "AWAY",
        "DEVICE",
        "PACKED",
        "CAPITALS",
        "GONE",
        "ELSEWHERE",
        "AAA/1D.csv.gz",
    ):
        assert name in said, name
    assert "root:x" not in said
    assert value(connection, "select count(*) from bars.crypto_data_1d") == 30


def test_adjusted_closes_that_went_wrong_between_copy_and_proof_are_found(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    from hypertape.steps.migration.run import verify

    settings = Settings(database_url=warehouse, state_dir=tmp_path)
    inspected = inspect([str(file(tmp_path / "files", walk(1000)))])
    planned = plan_migration(warehouse, inspected, run_id="adjusted", now=NOW, settings=settings)
    copy_units(warehouse, Part(planned.migration_id), settings=settings)
    assert verify(warehouse, planned, now=NOW, settings=settings).equal == 1
    done = connection.execute(
        "update bars.crypto_data_1d set adjusted_close = 1 "
        "where time < timestamptz '2020-01-01 00:00Z' + interval '615 days'"
    )
    assert done.rowcount == 615
    found = verify(warehouse, planned, now=NOW, settings=settings)
    assert (found.different, found.rows_different) == (1, 615)
    (sample,) = query(connection, "select sample -> 0 ->> 'problem' from migration_unit")
    assert sample == ("adjusted_close",)


def test_a_file_of_zoned_midnights_is_read_as_its_sessions(connection: Any, tmp_path: Path) -> None:
    from stockula_files import bar, stockula_file

    days = [f"2024-01-{day:02d}" for day in (2, 3, 4, 5, 8)]
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", f"{day} 00:00:00-05:00") for day in days])
    command("migrate", "sqlite", path)
    stored = query(connection, "select time::date::text from bars.us_data_1d order by 1")
    assert [day for (day,) in stored] == days


def test_a_ticker_that_is_none_ends_with_its_own_exit_code(connection: Any, tmp_path: Path) -> None:
    path = file(tmp_path / "files", walk(30))
    with closing(sqlite3.connect(path)) as changed, changed:
        changed.execute(
            "insert into crypto_daily (ticker, time, open, high, low, close, volume) "
            "select cast(x'4142ff' as text), time, open, high, low, close, volume from crypto_daily"
        )
    for words in (("copy", f"sqlite:{path}", "warehouse"), ("migrate", "sqlite", path)):
        code, said = command(*words)
        assert code == 4, said
        assert "bad_ticker" in said
    assert value(connection, "select count(*) from bars.crypto_data_1d") == 30
    assert value(connection, "select count(*) from quarantine where ticker = 'AB\\xff'") == 30


@pytest.mark.parametrize("way", ["import", "copy", "sync"])
def test_a_directory_in_other_letters_makes_no_second_series(
    connection: Any, tmp_path: Path, way: str
) -> None:
    """`btc` beside BTC; one that is stored already under its odd name stays what it is."""
    for ticker in ("BTC", "btc", "eth", "AAA", "aaa"):
        tree(tmp_path / "tape", walk(30), ticker)
    words = {
        "import": ("import", "--input", tmp_path / "tape", "--market", "crypto"),
        "copy": ("copy", f"csv:{tmp_path / 'tape'}", "warehouse", "--market", "crypto"),
        "sync": (
            "sync", "-m", "crypto", "-i", "1d", "--source", "csv_tree", "--source-dir", tmp_path / "tape",
            "--start-date", "2020-01-01", "--end-date", "2022-01-01",
        ),
    }[way]  # fmt: skip
    code, said = command(*words)
    assert code == 4, said
    for name, meant in (("btc", "BTC"), ("eth", "ETH"), ("aaa", "AAA")):
        assert f"The directory {name} is {meant} in other letters" in said
    assert query(connection, "select ticker from series order by 1") == [("AAA",), ("BTC",)]
    assert value(connection, "select count(*) from gap where ticker = any(%s)", ["btc", "eth", "aaa"]) == 0


def test_what_is_stored_under_an_odd_name_can_be_copied_again(connection: Any, tmp_path: Path) -> None:
    command("migrate", "sqlite", file(tmp_path / "files", walk(30), "btc"))
    assert query(connection, "select ticker from series") == [("btc",)]
    tape = tree(tmp_path / "tape", walk(30), "btc")
    code, said = command("copy", f"csv:{tape}", "warehouse", "--market", "crypto")
    assert code == 0, said


def test_a_name_that_can_be_no_ticker_misses_no_bar(connection: Any, tmp_path: Path) -> None:
    """Its rows are refused whatever they say, so it has nothing that could be missing."""
    tape, odd = tree(tmp_path / "tape", holed(), "BTC"), ("a b", "..x", "=cmd()", "X\n", "\x1b[31m")
    for name in odd:
        (tape / name).mkdir()
        (tape / name / "1D.csv").write_bytes((tape / "BTC" / "1D.csv").read_bytes())
    window = ("--start-date", "2020-01-01", "--end-date", "2021-01-01")
    command("sync", "-m", "crypto", "-i", "1d", "--source", "csv_tree", "--source-dir", tape, *window)
    assert query(connection, "select distinct ticker from gap") == [("BTC",)]
    assert value(connection, "select count(distinct ticker) from quarantine") == len(odd)


def test_a_tree_in_thousands_is_copied_and_verified_with_the_option_that_the_refusal_names(
    connection: Any, tmp_path: Path
) -> None:
    whole = walk(30)
    thousands = Bars(
        whole.time, *(getattr(whole, name) / 1000 for name in ("open", "high", "low", "close")),
        whole.volume, whole.adjusted_close,
    )  # fmt: skip
    words = (f"csv:{tree(tmp_path / 'tape', thousands, 'VIC', VN)}", "warehouse", "--market", "vn")
    code, said = command("copy", *words)
    assert (code, "give --legacy-scale" in said) == (1, True), said
    assert command("copy", *words, "--legacy-scale", "--verify")[0] == 0
    assert command("verify", *words, "--legacy-scale")[0] == 0
    assert command("verify", *words)[0] == 3
    (close,) = query(connection, "select close from bars.market_data_1d order by time limit 1")[0]
    assert close == pytest.approx(whole.close[0])
