"""Copies with the warehouse on one side, and the verbs of the command line over them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import lab
import pytest
from lab import CRYPTO, D1, M1, NOW, VN, hear_interrupts, query, to_frame, value, walk

from hypertape.errors import SuspectScale
from hypertape.model import Series, utc
from hypertape.settings import Settings
from hypertape.stores import Block, Selection
from hypertape.stores.addresses import CsvOptions, Opening
from hypertape.stores.copy import copy
from hypertape.stores.csv import CsvStore
from hypertape.stores.sqlite import SqliteStore
from hypertape.stores.stockula import StockulaStore
from hypertape.stores.warehouse import WarehouseStore
from hypertape.warehouse.locks import lock_series
from stockula_files import bar, stockula_file

ALL = Selection()
NOW_AND_LATER = utc(2026)


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def fill(store, tickers=("AAA", "BBB", "CCC")):
    """Daily bars of two markets and minutes of one."""
    for seed, ticker in enumerate(tickers):
        store.write(VN, D1, [Block(to_frame({ticker: walk(300, seed=seed)}))])
    store.write(CRYPTO, D1, [Block(to_frame({"AAA": walk(250, seed=7)}))])
    store.write(VN, M1, [Block(to_frame({"AAA": walk(400, interval=M1)}))])
    return store


@pytest.fixture
def hypertape(warehouse, tmp_path, monkeypatch, hypertape_here):
    """Run the command line here, against the test's own warehouse; returns the exit code and all it said."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        code, said, complained = hypertape_here(*words)
        return code, said + complained

    return run


@pytest.fixture
def store(warehouse):
    opened = WarehouseStore(warehouse, NOW, "run")
    yield opened
    opened.close()


def opening(address, dsn=None):
    return Opening(str(address), Settings(), NOW, "run", dsn)


# --- laws ---


def test_export_import_export_is_the_same_bytes(new_warehouse, store, tmp_path):
    copy(fill(store), CsvStore(tmp_path / "1"), ALL, now=NOW)
    with new_warehouse() as other:
        second = WarehouseStore(other, NOW, "run")
        assert copy(CsvStore(tmp_path / "1"), second, ALL, now=NOW, verify=True).discrepancies == ()
        copy(second, CsvStore(tmp_path / "2"), ALL, now=NOW)
        second.close()
    assert tree(tmp_path / "2") == tree(tmp_path / "1")
    assert len(tree(tmp_path / "1")) == 5


def test_the_real_files_after_one_normalising_pass(new_warehouse, shared_data, tmp_path):
    """In their own unit, thousands of dong: as they are written they are refused (test_ways_in)."""
    options = CsvOptions(legacy_scale=True)
    trees = [CsvStore(root, options) for root in (shared_data / "csv", tmp_path / "1", tmp_path / "2")]
    for before, after in pairwise(trees):
        with new_warehouse() as dsn:
            between = WarehouseStore(dsn, NOW_AND_LATER, "run")
            for source, target in ((before, between), (between, after)):
                report = copy(source, target, ALL, now=NOW_AND_LATER, verify=True)
                assert (report.discrepancies, report.failed, len(report.series)) == ((), (), 29)
            between.close()
    files = tree(tmp_path / "1")
    assert len(files) == 29
    assert tree(tmp_path / "2") == files


def test_the_export_holds_the_warehouses_own_indicators(store, connection, tmp_path):
    copy(fill(store), CsvStore(tmp_path), Selection(markets=("vn",), intervals=(D1,)), now=NOW)
    header, *lines = (tmp_path / "market_data" / "BBB" / "1D.csv").read_text().splitlines()
    rows = query(
        connection,
        f"select {header.replace('ticker,time', 'time')} from market_data_1d where ticker = 'BBB' order by 1",
    )
    assert len(rows) == len(lines) == 300
    for row, line in zip(rows, lines, strict=True):
        assert [float(cell) if cell else None for cell in line.split(",")[2:]] == list(row[1:])


def test_an_export_of_a_part_holds_them_from_its_first_bar_on(store, hypertape, tmp_path):
    copy(fill(store), CsvStore(tmp_path / "whole"), ALL, now=NOW)
    assert (
        hypertape("export", "--output", "part", "--start-date", "2020-09-01", "-m", "vn", "-i", "1d")[0] == 0
    )
    for ticker in ("AAA", "BBB", "CCC"):
        whole, part = (
            (tmp_path / name / ticker / "1D.csv").read_text().splitlines()
            for name in ("whole/market_data", "part")
        )
        assert part == [whole[0], *(line for line in whole[1:] if line.split(",")[1] >= "2020-09-01")]
        assert part[1].split(",")[1] == "2020-09-01"


def test_the_golden_file_goes_through_the_warehouse_line_for_line(hypertape, shared_data, tmp_path):
    golden = shared_data / "golden"
    assert hypertape("import", "--input", str(golden), "--market", "vn", "--verify")[0] == 0
    code, _ = hypertape(
        "export", "--output", "out", "--market", "vn", "--tickers", "VIC", "--format", "legacy"
    )
    assert code == 0
    written = (tmp_path / "out" / "VIC" / "1D.csv").read_text().splitlines()
    assert written == (golden / "VIC" / "1D.csv").read_text().splitlines()


@pytest.mark.parametrize("middle", ["csv", "sqlite"])
def test_there_and_back_digests_are_equal(new_warehouse, store, tmp_path, middle):
    fill(store)
    there = opening(f"{middle}:{tmp_path}/middle")
    copy(store, there, ALL, now=NOW, verify=True)
    with new_warehouse() as other:
        back = WarehouseStore(other, NOW, "run")
        copy(there, back, ALL, now=NOW)
        series = [info.series for info in store.series(ALL)]
        assert [back.digest(one) for one in series] == [store.digest(one) for one in series]
        assert len(series) == 5
        back.close()


def test_copying_twice_writes_nothing(store, warehouse, connection, tmp_path):
    copy(fill(store), CsvStore(tmp_path), ALL, now=NOW)
    before = value(connection, "select count(*) from load")
    report = copy(CsvStore(tmp_path), store, ALL, now=NOW)
    assert {entry.status for entry in report.series} == {"equal"}
    assert value(connection, "select count(*) from load") == before
    forced = copy(CsvStore(tmp_path), store, ALL, now=NOW, force=True).written
    assert (forced.inserted, forced.updated, forced.unchanged) == (0, 0, 1550)


def test_an_import_keeps_the_adjusted_close_no_file_holds(store, connection, tmp_path):
    copy(fill(store), CsvStore(tmp_path), ALL, now=NOW)
    copy(CsvStore(tmp_path), store, ALL, now=NOW, force=True)
    statement = "select count(*), count(adjusted_close) from market_data_1d where ticker = 'AAA'"
    assert query(connection, statement) == [(300, 300)]


def test_two_workers_fill_the_warehouse(store, warehouse, tmp_path):
    source = fill(CsvStore(tmp_path / "from"))
    target = opening("warehouse", warehouse)
    report = copy(opening(source.address), target, ALL, now=NOW, workers=2, verify=True)
    assert (report.written.inserted, report.discrepancies) == (1550, ())
    copy(target, CsvStore(tmp_path / "to"), ALL, now=NOW, workers=1)
    assert tree(tmp_path / "to") == tree(tmp_path / "from")


def test_killed_in_the_middle_of_a_series_and_run_again(hypertape, warehouse, store, connection, tmp_path):
    source = CsvStore(tmp_path / "from")
    long = walk(130_000, interval=M1)
    for at in range(0, 130_000, 100_000):
        source.write(CRYPTO, M1, [Block(to_frame({"BTC": long.take(slice(at, at + 100_000))}))])
    source.write(VN, D1, [Block(to_frame({"AAA": walk(300)}))])
    command = [sys.executable, "-m", "hypertape.cli", "copy", source.address, "warehouse", "--workers", "2"]
    environment = {**os.environ, "HYPERTAPE_DATABASE_URL": warehouse}
    run = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    while run.poll() is None and not stored(connection):
        time.sleep(0.01)
    with connection.transaction():  # granted between two blocks, and the next one waits for it
        lock_series(connection, "crypto", "1m", ["BTC"])
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert 0 < stored(connection) < 130_000
    code, said = hypertape("copy", source.address, "warehouse", "--verify")
    assert code == 0, said
    assert store.digest(Series("crypto", "BTC", M1)) == source.digest(Series("crypto", "BTC", M1))
    duplicates = "select ticker, time from bars.crypto_data_1m group by 1, 2 having count(*) > 1"
    assert query(connection, duplicates) == []
    assert value(connection, "select count(*) from rollup_pending") == 0


def stored(connection):
    return value(connection, "select count(*) from bars.crypto_data_1m")


# --- verbs ---


def counted(said: str) -> dict[str, int]:
    """The table of counts a verb printed."""
    return {name.strip(): int(count) for name, count in re.findall(r"(?m)^([a-z ]+?) {2,}(\d+) *$", said)}


def test_copy_shows_its_counts_and_refreshes_the_rollups(hypertape, connection, tmp_path):
    fill(CsvStore(tmp_path / "from"))
    code, said = hypertape("copy", "csv:from", "warehouse", "--verify", "--workers", "2")
    assert code == 0, said
    assert "csv:from → warehouse" in said
    assert counted(said)["series copied"] == 5
    assert value(connection, "select count(*) from market_data_1w where ticker = 'BBB'") > 40
    assert value(connection, "select count(*) from rollup_pending") == 0
    assert query(connection, "select distinct source from load") == [("csv:from",)]
    code, said = hypertape("verify", "csv:from", "warehouse")
    assert (code, "series equal" in said) == (0, True)


def test_the_options_select(hypertape, connection, tmp_path):
    fill(CsvStore(tmp_path / "from"))
    options = ("--market", "vn", "--interval", "1d", "--symbols", "AAA,CCC", "--start-date", "2020-03-01")
    assert hypertape("copy", "csv:from", "warehouse", *options)[0] == 0
    found = query(
        connection,
        "select ticker, count(*), min(time)::date::text from bars.market_data_1d group by 1 order by 1",
    )
    assert found == [("AAA", 240, "2020-03-01"), ("CCC", 240, "2020-03-01")]
    assert value(connection, "select count(*) from bars.crypto_data_1d") == 0


def test_verify_exits_3_and_shows_what_differs(hypertape, store, tmp_path):
    copy(fill(store), CsvStore(tmp_path / "to"), ALL, now=NOW)
    store.write(VN, D1, [Block(to_frame({"BBB": walk(310, seed=1)}))])
    shutil.rmtree(tmp_path / "to" / "market_data" / "CCC")
    code, said = hypertape("verify", "warehouse", "csv:to")
    assert code == 3
    for part in (
        "vn/1d/BBB",
        "rows",
        "310",
        "300",
        "last",
        "sha256",
        "vn/1d/CCC",
        "missing",
        "10 bars",
        "2 of 5 series differ",
    ):
        assert part in said
    assert hypertape("verify", "csv:to", "warehouse", "--symbols", "AAA")[0] == 0


def test_a_part_is_imported_into_a_warehouse_that_has_more(hypertape, connection, tmp_path):
    whole, part = CsvStore(tmp_path / "whole"), CsvStore(tmp_path / "part")
    whole.write(VN, D1, [Block(to_frame({"AAA": walk(300)}))])
    assert hypertape("import", "--input", "whole", "--verify")[0] == 0
    part.write(
        VN, D1, [Block(to_frame({"AAA": lab.changed(walk(300), 290, volume=77.0).take(slice(280, 295))}))]
    )
    code, said = hypertape("import", "--input", "part", "--verify")
    assert code == 0, said
    assert counted(said)["bars updated"] == 1
    assert counted(said)["bars only in the target"] == 285
    code, said = hypertape("verify", "csv:part", "warehouse")
    assert code == 3
    assert counted(said)["bars only in the target"] == 285
    assert "the target has 285 more, which no copy removes" in said


def test_an_export_over_an_older_tree_says_what_stays_and_can_replace_it(hypertape, store, tmp_path):
    fill(store)
    older = CsvStore(tmp_path / "to")
    older.write(VN, D1, [Block(to_frame({"BBB": walk(310, seed=1)}))])
    code, said = hypertape("export", "--output", "to", "--verify")
    assert code == 0, said
    assert counted(said)["bars only in the target"] == 10
    code, said = hypertape("export", "--output", "to", "--replace", "--verify")
    assert code == 0, said
    assert counted(said)["series copied"] == 1
    assert hypertape("verify", "csv:to", "warehouse")[0] == 0


def test_an_adjusted_close_that_moved_is_copied_again(hypertape, connection, tmp_path):
    source = SqliteStore(tmp_path / "from", now=NOW)
    bars = walk(20)
    for adjusted, updated in ((5.0, 0), (7.0, 1)):
        source.write(VN, D1, [Block(to_frame({"AAA": lab.changed(bars, 3, adjusted_close=adjusted)}))])
        code, said = hypertape("copy", "sqlite:from", "warehouse", "--verify")
        assert (code, counted(said)["bars updated"]) == (0, updated), said
        statement = "select adjusted_close from market_data_1d where adjusted_close in (5, 7)"
        assert query(connection, statement) == [(adjusted,)]


def test_refused_rows_are_listed_quarantined_and_no_discrepancy(hypertape, connection, tmp_path):
    fill(CsvStore(tmp_path / "from"))
    path = tmp_path / "from" / "market_data" / "AAA" / "1D.csv"
    path.write_text(path.read_text() + "AAA,2021-06-01,5,4,6,5,1,,,,,,,,,,,,,\nAAA,someday" + "," * 18 + "\n")
    code, said = hypertape("copy", "csv:from", "warehouse", "--verify")
    assert code == 0, said
    assert "high_below_low" in said
    assert "bad_time" in said
    assert query(connection, "select rule from quarantine order by 1") == [("bad_time",), ("high_below_low",)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("copy", "orc:x", "warehouse"), 2, "sqlite:DIR_OR_FILE"),
        (("copy", "csv:none", "warehouse"), 2, "no directory none"),
        (("copy", "warehouse", "warehouse"), 2, "two different ones"),
        (("copy", "csv:from", "warehouse", "--market", "uk"), 2, "Markets: crypto, us, vn"),
        (("copy", "csv:from", "warehouse", "--interval", "5m"), 2, "rolled up"),
        (("copy", "csv:from", "warehouse", "--interval", "2x"), 2, "Intervals: 1m"),
        (("copy", "csv:from", "warehouse", "--start-date", "soon"), 2, "YYYY-MM-DD"),
        (("copy", "csv:from", "warehouse", "--symbols", "NONE"), 2, "no bars of NONE"),
        (("copy", "csv:from", "csv:file"), 2, "cannot be written"),
        (("copy", "csv:from", "stockula:none.db"), 2, "none.db"),
        (("verify", "csv:from", "csv:none"), 2, "no directory none"),
        (("export", "--output", "out", "--format", "legacy", "--verify"), 2, "Verify lossless ones"),
        (("import", "--input", "none"), 2, "no directory none"),
        (("import", "--input", "empty"), 2, "It has no series at all"),
        (("verify", "csv:empty", "warehouse"), 2, "It has no series at all"),
        (("verify", "csv:from", "warehouse", "--start-date", "2040-01-01"), 2, "No bar is selected"),
        (("copy", "csv:from", "csv:other", "--market", "us"), 2, "It has vn 1d (1 series)"),
        (("copy", "csv:from", "csv:/proc/none"), 2, "/proc/none cannot be written"),
        (("copy", "csv:from", "csv:../{here}/from"), 2, "two different ones"),
        (("import", "--input", "bad", "--market", "vn"), 1, "Every row was refused"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(hypertape, tmp_path, words, code, said):
    CsvStore(tmp_path / "from").write(VN, D1, [Block(to_frame({"AAA": walk(5)}))])
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad" / "VIC").mkdir(parents=True)
    (tmp_path / "bad" / "VIC" / "1D.csv").write_text(
        "ticker,time,open,high,low,close,volume\nVIC,someday,1,1,1,1,1\n"
    )
    found, text = hypertape(*(word.format(here=tmp_path.name) for word in words))
    assert said in text
    assert found == code
    assert "Traceback" not in text


def test_a_wrong_unit_fails_its_series_only(hypertape, connection, tmp_path):
    source = CsvStore(tmp_path / "from")
    for ticker in ("AAA", "BBB"):
        source.write(VN, D1, [Block(to_frame({ticker: walk(50)}))])
    assert hypertape("import", "--input", "from")[0] == 0
    source.write(
        VN,
        D1,
        [
            Block(
                to_frame(
                    {
                        "AAA": lab.scaled(walk(50), 1000.0),
                    }
                )
            )
        ],
    )
    source.write(VN, D1, [Block(to_frame({"BBB": walk(60)}))])
    code, said = hypertape("import", "--input", "from")
    assert code == 4
    assert "vn/1d/AAA" in said
    assert "×1000" in said
    assert query(connection, "select ticker, count(*) from bars.market_data_1d group by 1 order by 1") == [
        ("AAA", 50),
        ("BBB", 60),
    ]


def test_an_import_hands_on_to_the_mirrors(hypertape, connection, tmp_path):
    CsvStore(tmp_path / "from").write(VN, D1, [Block(to_frame({"AAA": walk(30)}))])
    code, said = hypertape("mirror", "add", "files", f"sqlite:{tmp_path}/mirror", "-m", "vn", "-i", "1d")
    assert code == 0, said
    code, said = hypertape("import", "--input", "from")
    assert (code, "mirror files: 30 bars inserted, 0 updated" in said) == (0, True), said
    assert value(connection, "select count(*) from mirror_outbox") == 0
    code, said = hypertape("mirror", "parity", "files")
    assert (code, "1 series are equal and nothing waits" in said) == (0, True), said


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.thorough), 2]
)  # the parent of two is one, too
def test_ctrl_c_says_what_to_do_and_nothing_else(warehouse, connection, tmp_path, workers):
    source = CsvStore(tmp_path / "from")
    for name in ("BTC", "ETH", "SOL"):
        source.write(CRYPTO, M1, [Block(to_frame({name: walk(90_000, interval=M1)}))])
    command = [sys.executable, "-m", "hypertape.cli", "copy", source.address, "warehouse"]
    run = subprocess.Popen(
        [*command, "--workers", str(workers)], env={**os.environ, "HYPERTAPE_DATABASE_URL": warehouse},
        start_new_session=True, preexec_fn=hear_interrupts, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while run.poll() is None and not stored(connection):
        time.sleep(0.01)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    deaf = [hears_no_interrupt(child) for child in children]
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (130, "")
    assert err.strip() == "stopped; run the same again, what is copied stays"
    assert deaf == [True] * (
        workers if workers > 1 else 0
    )  # the others, and one that watches over shared semaphores


def hears_no_interrupt(process: str) -> bool:
    """True when Ctrl-C is blocked or ignored there, whatever the process is at: no traceback can come of it."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return any(int(status[name], 16) & 1 << (signal.SIGINT - 1) for name in ("SigBlk", "SigIgn"))


# --- short series that go together ---


def short_series(path: Path, faults: tuple[str, ...] = ()) -> StockulaStore:
    """Ten series of three daily bars; those in `faults` have a price that is none."""
    rows = [
        bar(
            f"S{number}", f"2024-01-0{day}", "abc" if f"S{number}" in faults and day == 3 else 10.0 + day / 10
        )
        for number in range(10)
        for day in (2, 3, 4)
    ]
    return StockulaStore(stockula_file(path, rows))


@pytest.mark.parametrize("workers", [1, 2])
def test_short_series_are_written_together_and_counted_each(
    warehouse, connection, tmp_path, workers, monkeypatch
):
    monkeypatch.setattr("hypertape.stores.copy._TOGETHER", 12)  # four series a time
    source = short_series(tmp_path / "f.db", faults=("S4",))
    places = (opening(source.address), opening("warehouse", warehouse))
    report = copy(*places, ALL, now=NOW, workers=workers, verify=True)
    assert report.discrepancies == ()
    assert [
        (e.series.ticker, e.source.rows, e.written.inserted, e.written.refused) for e in report.series
    ] == [(f"S{n}", 3 - (n == 4), 3 - (n == 4), int(n == 4)) for n in range(10)]
    loads = query(connection, "select ticker, inserted, quarantined from load order by ticker")
    assert loads == [(f"S{n}", 3 - (n == 4), int(n == 4)) for n in range(10)]
    again = copy(*places, ALL, now=NOW, workers=workers)
    assert {entry.status for entry in again.series} == {"equal"}


def test_a_write_of_many_that_fails_is_done_series_by_series(store, connection, tmp_path, monkeypatch):
    refused = SuspectScale("one of them")

    def fail(*_):
        raise refused

    monkeypatch.setattr(store, "write_together", fail)
    report = copy(short_series(tmp_path / "f.db"), store, ALL, now=NOW, verify=True)
    assert (report.failed, report.discrepancies) == ((), ())
    assert report.written.inserted == 30


def test_blocks_written_together_are_all_written_or_none(store, connection):
    store.write(VN, D1, [Block(to_frame({"AAA": walk(30)}))])
    scaled = walk(30)
    thousandfold = scaled.close * 1000
    wrong = to_frame(
        {"AAA": type(scaled)(scaled.time, *(thousandfold,) * 4, scaled.volume, scaled.adjusted_close)}
    )
    with pytest.raises(SuspectScale):
        store.write_together(VN, D1, [Block(wrong), Block(to_frame({"BBB": walk(30)}))])
    assert query(connection, "select ticker, count(*) from market_data_1d group by ticker") == [("AAA", 30)]
