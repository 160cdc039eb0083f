"""Copying between stores, and the proof: between CSV trees and SQLite files; the warehouse has its own tests."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from store_lab import CRYPTO, D1, H1, M1, NOW, VN, blocks, digest_of, frame, series, tree

from hypertape.errors import BadInput, DiskFull, SourceFileEmpty, SourceFileMissing
from hypertape.frame import bar_frame
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.stores import Selection
from hypertape.stores.addresses import CsvFormat, CsvOptions, Opening
from hypertape.stores.copy import copy, verify
from hypertape.stores.csv import CsvStore

ALL = Selection()


def opening(address):
    return Opening(str(address), Settings(), NOW, "run")


@pytest.fixture
def filled(tmp_path):
    """A tree of two markets, five series."""
    store = CsvStore(tmp_path / "from")
    for seed, ticker in enumerate(("AAA", "BBB", "CCC")):
        store.write(VN, D1, blocks(frame(ticker, 300, seed=seed)))
    store.write(VN, M1, blocks(frame("AAA", 500, M1)))
    store.write(CRYPTO, D1, blocks(frame("AAA", 200, seed=9)))
    return store


def statuses(report):
    return [entry.status for entry in report.series]


def test_copy_once_and_twice(filled, tmp_path):
    target = CsvStore(tmp_path / "to")
    first = copy(filled, target, ALL, now=NOW)
    assert [str(entry.series) for entry in first.series] == [
        "crypto/1d/AAA",
        "vn/1d/AAA",
        "vn/1d/BBB",
        "vn/1d/CCC",
        "vn/1m/AAA",
    ]
    assert (first.written.inserted, statuses(first)) == (1600, ["copied"] * 5)
    before = tree(tmp_path / "to")
    assert before == tree(tmp_path / "from")
    again = copy(filled, target, ALL, now=NOW)
    assert (again.written.inserted, again.written.updated, statuses(again)) == (0, 0, ["equal"] * 5)
    forced = copy(filled, target, ALL, now=NOW, force=True)
    assert (forced.written.unchanged, forced.written.inserted, statuses(forced)) == (1600, 0, ["copied"] * 5)
    assert tree(tmp_path / "to") == before


@pytest.mark.parametrize("middle", ["csv:{}/b", "sqlite:{}/b", "sqlite:{}/b.db"])
def test_there_and_back(filled, tmp_path, middle):
    there, back = opening(middle.format(tmp_path)), CsvStore(tmp_path / "c")
    assert not copy(filled, there, ALL, now=NOW, verify=True).discrepancies
    assert not copy(there, back, ALL, now=NOW, verify=True).discrepancies
    assert tree(tmp_path / "c") == tree(tmp_path / "from")


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_two_workers_do_what_one_does(filled, tmp_path, kind):
    seen = []
    report = copy(
        opening(filled.address),
        opening(f"{kind}:{tmp_path}/to"),
        ALL,
        now=NOW,
        workers=2,
        verify=True,
        on_series=lambda entry, done, total: seen.append((str(entry.series), done, total)),
    )
    assert (statuses(report), report.discrepancies) == (["copied"] * 5, ())
    assert sorted(name for name, _, _ in seen) == sorted(str(entry.series) for entry in report.series)
    assert [(done, total) for _, done, total in seen] == [(n, 5) for n in range(1, 6)]
    copy(opening(f"{kind}:{tmp_path}/to"), CsvStore(tmp_path / "back"), ALL, now=NOW)
    assert tree(tmp_path / "back") == tree(tmp_path / "from")


def test_several_workers_need_openings(filled, tmp_path):
    with pytest.raises(BadInput, match="share"):
        copy(filled, CsvStore(tmp_path / "to"), ALL, now=NOW, workers=2)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(markets=("crypto",)), {"crypto/1d/AAA": 200}),
        (Selection(intervals=(M1,)), {"vn/1m/AAA": 500}),
        (Selection(tickers=("BBB", "CCC")), {"vn/1d/BBB": 300, "vn/1d/CCC": 300}),
        (Selection(tickers=("BBB",), start=utc(2020, 2)), {"vn/1d/BBB": 269}),
        (Selection(tickers=("BBB",), start=utc(2040)), {"vn/1d/BBB": 0}),
    ],
    ids=["market", "interval", "tickers", "start", "start after the end"],
)
def test_the_selection_is_what_is_copied(filled, tmp_path, selection, expected):
    target = CsvStore(tmp_path / "to", CsvOptions(market=(selection.markets or ("vn",))[0]))
    report = copy(filled, target, selection, now=NOW, verify=True)
    assert {str(e.series): e.written.inserted for e in report.series} == expected
    assert report.discrepancies == ()
    assert verify(filled, target, selection, now=NOW).discrepancies == () if any(expected.values()) else True


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(tickers=("NONE",)), "no bars of NONE"),
        (Selection(markets=("us",)), "no bars of us"),
        (Selection(("vn",), (H1,), ("AAA",), utc(2020)), "no bars of AAA in vn 1h from 2020-01-01"),
    ],
)
@pytest.mark.parametrize("verb", [copy, verify])
def test_a_selection_of_nothing_is_no_success(filled, tmp_path, verb, selection, says):
    with pytest.raises(BadInput, match=says) as raised:
        verb(filled, CsvStore(tmp_path / "to"), selection, now=NOW)
    assert "It has crypto 1d (1 series), vn 1d (3 series), vn 1m (1 series)." in str(raised.value)
    assert not (tmp_path / "to").exists()


def test_a_tree_lists_the_files_that_are_no_bar_files(filled, tmp_path):
    for name in ("HPG.csv", "market_data/fpt/daily.csv", "market_data/VIC/1W.csv", "AAA/1D.csv"):
        path = tmp_path / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ticker\n")
    report = copy(filled, CsvStore(tmp_path / "to"), ALL, now=NOW)
    assert report.rest == "Not taken: AAA/1D.csv, HPG.csv, market_data/VIC/1W.csv, market_data/fpt/daily.csv."
    assert len(report.series) == 5
    only = CsvStore(tmp_path / "from" / "market_data" / "VIC")
    with pytest.raises(BadInput, match=r"has no bars. It has no series at all. Not taken: 1W.csv"):
        copy(only, CsvStore(tmp_path / "to"), ALL, now=NOW)


def test_a_sqlite_store_says_which_tables_are_not_taken(tmp_path, shared_data):
    source = opening(f"sqlite:{shared_data}/sqlite/stockula.db").open()
    with pytest.raises(
        BadInput, match=r"no series at all. Not taken: table price_history \(for a Stockula file: "
    ):
        verify(source, CsvStore(tmp_path), ALL, now=NOW)


def test_only_what_differs_is_written_again(filled, tmp_path):
    target = CsvStore(tmp_path / "to")
    copy(filled, target, ALL, now=NOW)
    filled.write(VN, D1, blocks(frame("BBB", 310, seed=1)))
    report = copy(filled, target, ALL, now=NOW)
    assert [(str(e.series), e.written.inserted) for e in report.series if e.status == "copied"] == [
        ("vn/1d/BBB", 10)
    ]


# --- rows that are no bars ---


def bad_tree(root):
    """Five good bars, one that no gate lets through, one unreadable row, one key twice."""
    (root / "market_data" / "VIC").mkdir(parents=True)
    rows = [f"VIC,2024-01-{day:02},5,6,4,5,10" for day in (2, 3, 4, 5, 8)]
    rows += ["VIC,2024-01-09,5,4,6,5,10", "VIC,2024-01-10,5,x,4,5,10", "VIC,2024-01-08,5,6,4,5.5,10"]
    text = "ticker,time,open,high,low,close,volume\n" + "\n".join(rows) + "\n"
    (root / "market_data" / "VIC" / "1D.csv").write_text(text)
    return CsvStore(root)


def test_rows_that_are_no_bars_are_listed_and_no_discrepancy(tmp_path):
    source, target = bad_tree(tmp_path / "from"), CsvStore(tmp_path / "to")
    report = copy(source, target, ALL, now=NOW, verify=True)
    (entry,) = report.series
    assert entry.source.refused == {"high_below_low": 1, "text_in_number": 1}
    assert sorted((s["rule"], s["time"].day) for s in entry.source.samples) == [
        ("high_below_low", 9),
        ("text_in_number", 10),
    ]
    assert (entry.source.duplicates, entry.source.rows, entry.written.inserted) == (1, 5, 5)
    assert (report.written.refused, report.discrepancies) == (2, ())
    assert verify(source, target, ALL, now=NOW).discrepancies == ()
    assert statuses(copy(source, target, ALL, now=NOW)) == ["equal"]


def test_the_present_is_the_callers(tmp_path):
    source, target = bad_tree(tmp_path / "from"), CsvStore(tmp_path / "to")
    (entry,) = copy(source, target, ALL, now=utc(2024, 1, 4, 12)).series
    assert entry.source.refused == {"future": 3, "text_in_number": 1}
    assert entry.source.last == utc(2024, 1, 4)


# --- the proof ---


def altered(table, row, name, change):
    values = table[name].to_pylist()
    values[row] = change(values[row])
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (lambda t: t, set()),
        (lambda t: t.slice(0, 299), {"rows", "last", "sha256", "missing"}),
        (lambda t: t.slice(1), {"rows", "first", "sha256", "missing"}),
        (lambda t: pa.concat_tables([t.slice(0, 100), t.slice(101)]), {"rows", "sha256", "missing"}),
        (lambda t: altered(t, 100, "close", lambda v: v * (1 + 2**-52)), {"sha256", "different"}),
        (lambda t: altered(t, 100, "volume", lambda v: v + 1), {"sha256", "different"}),
        (lambda t: t.slice(0, 0), {"missing"}),
    ],
    ids=["equal", "last lost", "first lost", "a hole", "one bit of a price", "a volume", "all lost"],
)
def test_every_difference_is_found(tmp_path, other, found):
    table = frame("AAA", 300)
    one, two = CsvStore(tmp_path / "1"), CsvStore(tmp_path / "2")
    one.write(VN, D1, blocks(table))
    two.write(VN, D1, blocks(other(table)))
    two.write(VN, D1, blocks(frame("OTHER", 3)))  # what only the target has is not asked for
    report = verify(one, two, ALL, now=NOW)
    assert {difference.what for difference in report.discrepancies} == found
    assert statuses(report) == ["differs" if found else "equal"]


def test_discrepancies_say_what_both_have(tmp_path):
    one, two = CsvStore(tmp_path / "1"), CsvStore(tmp_path / "2")
    one.write(VN, D1, blocks(frame("AAA", 3)))
    two.write(VN, D1, blocks(frame("AAA", 2)))
    by_name = {d.what: (d.source, d.target) for d in verify(one, two, ALL, now=NOW).discrepancies}
    assert by_name["rows"] == ("3", "2")
    assert by_name["last"] == ("2020-01-03 00:00:00+00:00", "2020-01-02 00:00:00+00:00")


def test_what_only_the_target_has_is_counted_and_only_a_proof_of_sameness_minds_it(tmp_path):
    table = frame("AAA", 300)
    part, whole = CsvStore(tmp_path / "part"), CsvStore(tmp_path / "whole")
    part.write(VN, D1, blocks(pa.concat_tables([table.slice(10, 50), table.slice(70, 30)])))
    whole.write(VN, D1, blocks(table))
    report = copy(part, whole, ALL, now=NOW, verify=True)
    assert (statuses(report), report.discrepancies, report.extra) == (["equal"], (), 220)
    forced = copy(part, whole, ALL, now=NOW, verify=True, force=True)
    assert (statuses(forced), forced.discrepancies, forced.extra) == (["copied"], (), 220)
    proof = verify(part, whole, ALL, now=NOW)
    assert (statuses(proof), proof.extra, proof.series[0].only_extra) == (["differs"], 220, True)
    by_name = {d.what: (d.source, d.target) for d in proof.discrepancies}
    assert by_name["extra"] == ("not there", "220 bars")
    assert set(by_name) == {"extra", "rows", "first", "last", "sha256"}
    assert not verify(whole, part, ALL, now=NOW).series[0].only_extra


def test_a_bar_that_is_another_one_in_a_longer_target_is_mended(tmp_path):
    table = frame("AAA", 300)
    part, whole = CsvStore(tmp_path / "part"), CsvStore(tmp_path / "whole")
    part.write(VN, D1, blocks(table.slice(0, 100)))
    whole.write(VN, D1, blocks(altered(table, 40, "volume", lambda v: 2 * v + 1)))
    report = copy(part, whole, ALL, now=NOW, verify=True)
    assert (statuses(report), report.written.updated, report.extra) == (["copied"], 1, 200)
    assert report.discrepancies == ()


@pytest.mark.parametrize("target", ["csv:{}/to", "sqlite:{}/to"])
def test_the_adjusted_close_is_compared_and_copied_where_the_target_keeps_it(tmp_path, target):
    def source(name, change):
        store = opening(f"sqlite:{tmp_path}/{name}").open()
        table = frame("AAA", 20, adjusted=True)
        store.write(VN, D1, blocks(altered(table, 7, "adjusted_close", change)))
        return store

    before, after, target = (
        source("1", lambda v: 5.0),
        source("2", lambda v: 7.0),
        opening(target.format(tmp_path)),
    )
    keeps = target.address.startswith("sqlite")
    assert copy(before, target, ALL, now=NOW, verify=True).discrepancies == ()
    found = verify(after, target, ALL, now=NOW)
    assert [(d.what, d.source) for d in found.discrepancies] == (
        [("adjusted_close", "1 bars")] if keeps else []
    )
    report = copy(after, target, ALL, now=NOW, verify=True)
    assert statuses(report) == (["copied"] if keeps else ["equal"])
    assert report.discrepancies == ()
    assert statuses(verify(after, target, ALL, now=NOW)) == ["equal"]


def test_a_source_without_adjusted_closes_says_nothing_of_the_targets(tmp_path):
    source, target = CsvStore(tmp_path / "from"), opening(f"sqlite:{tmp_path}/to").open()
    source.write(VN, D1, blocks(frame("AAA", 20)))
    target.write(VN, D1, blocks(frame("AAA", 20, adjusted=True)))
    assert statuses(verify(source, target, ALL, now=NOW)) == ["equal"]
    assert statuses(copy(source, target, ALL, now=NOW)) == ["equal"]


def test_a_replacing_write_leaves_what_the_source_has(tmp_path):
    source = CsvStore(tmp_path / "from")
    source.write(VN, D1, blocks(frame("AAA", 300)))
    older = CsvStore(tmp_path / "to")
    older.write(VN, D1, blocks(frame("AAA", 310)))
    older.write(VN, D1, blocks(frame("OTHER", 5)))
    assert copy(source, older, ALL, now=NOW, verify=True).extra == 10
    anew = CsvStore(tmp_path / "to", CsvOptions(replace=True))
    report = copy(source, anew, ALL, now=NOW, verify=True, strict=True)
    assert (statuses(report), report.discrepancies, report.extra) == (["copied"], (), 0)
    files = tree(tmp_path / "to")
    assert files.pop("market_data/OTHER/1D.csv")  # a series nobody asked to replace
    assert files == tree(tmp_path / "from")
    assert statuses(copy(source, anew, ALL, now=NOW, strict=True)) == ["equal"]


# --- a part of a series, with indicators ---


def lines_from(path, day):
    return [line for line in path.read_text().splitlines()[1:] if line.split(",")[1] >= day]


@pytest.mark.parametrize("format", list(CsvFormat))
@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_a_part_has_the_indicators_of_the_whole(filled, tmp_path, kind, format):
    between = opening(f"{kind}:{tmp_path}/between")
    copy(filled, between, ALL, now=NOW)
    whole, part = (CsvStore(tmp_path / name, CsvOptions(format)) for name in ("whole", "part"))
    copy(between, whole, ALL, now=NOW)
    copy(between, part, Selection(start=utc(2020, 9)), now=NOW)
    copy(
        between, part, Selection(start=utc(2020, 8), tickers=("BBB",)), now=NOW
    )  # the file grows at its start
    for ticker, day, bars in (("AAA", "2020-09-01", 56), ("BBB", "2020-08-01", 87)):
        name = f"market_data/{ticker}/1D.csv"
        found = lines_from(tmp_path / "part" / name, "2020")
        assert found == lines_from(tmp_path / "whole" / name, day)
        assert len(found) == bars
        assert "" not in found[0].split(",")  # ma200 too


def test_a_part_laid_over_older_bars_sees_those(filled, tmp_path):
    table, older = frame("LONG", 310), CsvStore(tmp_path / "to")
    filled.write(VN, D1, blocks(table))
    copy(filled, older, Selection(tickers=("AAA", "BBB", "CCC")), now=NOW)
    older.write(VN, D1, blocks(table.slice(0, 300)))
    copy(filled, older, Selection(start=utc(2020, 10)), now=NOW)
    assert tree(tmp_path / "to") == tree(tmp_path / "from")


def test_what_comes_in_several_stretches_replaces_a_file_once(tmp_path):
    CsvStore(tmp_path).write(VN, D1, blocks(frame("AAA", 310)))
    table, anew = frame("AAA", 300), CsvStore(tmp_path, CsvOptions(replace=True))
    anew.write(VN, D1, [*blocks(table.slice(100)), *blocks(table.slice(0, 100))])
    assert anew.digest(series("vn", "AAA")).rows == 300


# --- failures ---


@pytest.mark.parametrize("workers", [1, 2])
def test_one_broken_series_does_not_stop_the_others(filled, tmp_path, workers):
    (tmp_path / "from" / "market_data" / "BBB" / "1D.csv").write_text("")
    target = opening(f"csv:{tmp_path}/to")
    report = copy(opening(filled.address), target, ALL, now=NOW, workers=workers)
    assert statuses(report) == ["copied", "copied", "failed", "copied", "copied"]
    (failed,) = report.failed
    assert (str(failed.series), type(failed.error)) == ("vn/1d/BBB", SourceFileEmpty)
    assert {d.what for d in verify(filled, target, ALL, now=NOW).discrepancies} == {"error"}


@pytest.mark.parametrize("verb", [copy, verify])
def test_a_source_that_is_not_there(tmp_path, verb):
    with pytest.raises(SourceFileMissing):
        verb(CsvStore(tmp_path / "none"), CsvStore(tmp_path), ALL, now=NOW)


def test_nothing_is_compared_with_a_target_that_is_not_there(filled, tmp_path):
    with pytest.raises(SourceFileMissing):
        verify(filled, CsvStore(tmp_path / "none"), ALL, now=NOW)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("stockula:{}/stockula.db", "only read"),
        ("sqlite:{}/stockula.db", "is a Stockula file"),
        ("csv:{}/stockula.db", "cannot be written"),
        ("csv:/proc/none", "cannot be written"),
        ("sqlite:/proc/none", "cannot be written"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_read(
    filled, tmp_path, shared_data, address, says
):
    file = shutil.copy(shared_data / "sqlite" / "stockula.db", tmp_path)
    before = Path(file).read_bytes()
    (tmp_path / "from" / "market_data" / "BBB" / "1D.csv").write_text("")  # would fail by itself
    with pytest.raises(BadInput, match=says):
        copy(filled, opening(address.format(tmp_path)), ALL, now=NOW)
    assert Path(file).read_bytes() == before


def test_no_writer_makes_tables_in_a_stockula_file(tmp_path, shared_data):
    file = Path(shutil.copy(shared_data / "sqlite" / "stockula.db", tmp_path))
    before = file.read_bytes()
    with pytest.raises(BadInput, match="is a Stockula file"):
        opening(f"sqlite:{file}").open().write(VN, D1, blocks(frame("AAA", 3)))
    assert file.read_bytes() == before


def test_all_refused_is_told_from_some_refused(tmp_path):
    source = bad_tree(tmp_path / "from")
    assert not copy(source, CsvStore(tmp_path / "to"), ALL, now=NOW).all_refused
    assert not copy(source, CsvStore(tmp_path / "to"), ALL, now=NOW).all_refused  # equal now
    assert copy(source, CsvStore(tmp_path / "other"), ALL, now=utc(2024)).all_refused
    assert verify(source, CsvStore(tmp_path / "to"), ALL, now=utc(2024)).all_refused


def test_what_would_fail_for_every_series_is_raised(filled, tmp_path):
    directory = tmp_path / "to" / "crypto_data" / "AAA"
    directory.mkdir(parents=True)
    (directory / ".1D.csv.partial").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        copy(filled, CsvStore(tmp_path / "to"), ALL, now=NOW)


# --- kills ---

COPIER = """
import sys
from datetime import datetime, UTC
from hypertape.settings import Settings
from hypertape.stores import Selection
from hypertape.stores.addresses import Opening
from hypertape.stores.copy import copy
if __name__ == "__main__":
    places = [Opening(address, Settings(), datetime(2030, 1, 1, tzinfo=UTC), "run") for address in sys.argv[1:3]]
    print("ready", flush=True)
    copy(*places, Selection(), now=datetime(2030, 1, 1, tzinfo=UTC), on_series=lambda *_: print("one", flush=True))
"""


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_killed_and_run_again(tmp_path, kind):
    source = CsvStore(tmp_path / "from")
    for seed in range(12):
        source.write(VN, D1, blocks(frame(f"T{seed:02}", 1500, seed=seed)))
    script = tmp_path / "copier.py"
    script.write_text(COPIER)
    dice = random.Random(5)
    for _ in range(4):
        run = subprocess.Popen(
            [sys.executable, str(script), source.address, f"{kind}:{tmp_path}/to"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        for _ in range(dice.randrange(3)):
            run.stdout.readline()
        time.sleep(dice.uniform(0, 0.05))
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
    target = opening(f"{kind}:{tmp_path}/to")
    report = copy(source, target, ALL, now=NOW, verify=True)
    assert (len(report.series), report.discrepancies, report.failed) == (12, (), ())
    copy(target, CsvStore(tmp_path / "back"), ALL, now=NOW)
    assert tree(tmp_path / "back") == tree(tmp_path / "from")


def test_memory_stays_bounded_by_a_block(tmp_path):
    rows = 400_000
    source = CsvStore(tmp_path / "from")
    closes = [100.0 + (k % 97) / 7 for k in range(rows)]
    minute = 60_000_000
    start = 1_262_304_000_000_000
    times = [start + k * minute for k in range(rows)]
    table = bar_frame(
        "BIG",
        pa.array(times).to_numpy(),
        dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": closes},
    )
    source.write(CRYPTO, M1, blocks(table, 50_000))
    assert digest_of(table).rows == rows
    # Not ru_maxrss: a process inherits that from the one that started it, which is this large test worker.
    peak = (
        "import pathlib, sys, runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "status = pathlib.Path('/proc/self/status').read_text();"
        "print('peak', status.partition('VmHWM:')[2].split()[0])"
    )
    script = tmp_path / "copier.py"
    script.write_text(COPIER)
    run = subprocess.run(
        [sys.executable, "-c", peak, str(script), source.address, f"csv:{tmp_path}/to"],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes = int(run.stdout.rpartition("peak ")[2])
    size = (tmp_path / "from" / "crypto_data" / "BIG" / "1m.csv").stat().st_size
    assert size > 80_000_000
    assert kilobytes < 400_000
