"""Dual write: what a load changes reaches every mirror, whatever happens in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from lab import CRYPTO, D1, H1, NOW, VN, changed, put, query, tuples_written, value, walk
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import BadInput, CheckFailed, HypertapeError, StoreAway
from hypertape.frame import instant
from hypertape.model import INDICATOR_COLUMNS, Interval, Market, Series
from hypertape.settings import Settings
from hypertape.steps.mirror import check_parity, deliver_mirrors, deliver_to
from hypertape.steps.sync import sync
from hypertape.stores import Block, Written
from hypertape.stores.delivery import deliver
from hypertape.stores.mirrors import (
    add_mirror,
    enable_mirror,
    find_mirror,
    mirrors,
    note_everything,
    remove_mirror,
)
from hypertape.warehouse.claims import working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import read_bars

SETTINGS = Settings()
KINDS = ["csv:tree", "sqlite:files", "sqlite:files/all.db"]
BARS = walk(320)


@dataclass
class Double:
    """A store that keeps what it is given, and calls `before` whenever it writes."""

    rows: dict[tuple[str, int], float] = field(default_factory=dict)
    before: object = None
    blocks: list[pa.Table] = field(default_factory=list)

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        written = Written()
        for block in blocks:
            if callable(self.before):
                self.before()
            self.blocks.append(block.bars)
            for ticker, time, close in zip(
                *(block.bars[c].to_pylist() for c in ("ticker", "time", "close")), strict=True
            ):
                known = self.rows.get((ticker, time))
                self.rows[ticker, time] = close
                written += Written(known is None, known not in (None, close), known == close)
        return written

    def close(self) -> None:
        pass


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that can be taken away."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def add(connection, place: Path, kind: str = "csv:tree", name: str = "copy", **receives):
    store, _, path = kind.partition(":")
    return add_mirror(connection, name, f"{store}:{place / path}", **receives)


def hand_over(dsn: str, connection, name: str = "copy"):
    """Deliver to one mirror and return what was done."""
    (done,) = deliver_to(dsn, [find_mirror(connection, name)], now=NOW, settings=SETTINGS)
    return done


def assert_parity(dsn: str, connection, series: int, name: str = "copy") -> None:
    found = check_parity(dsn, find_mirror(connection, name), now=NOW, settings=SETTINGS)
    assert (found.series, found.waiting, found.differences) == (series, 0, ())
    assert found.holds


def notes(connection, *columns: str):
    wanted = ", ".join(columns or ("mirror", "market", "interval", "ticker"))
    return query(connection, f"select {wanted} from mirror_outbox order by mirror, market, interval, ticker")


# --- what is noted


def test_without_a_mirror_a_load_notes_nothing(connection) -> None:
    with tuples_written(connection) as written:
        put(connection, {"A": BARS})
    assert "public.rollup_pending" in written
    assert "public.mirror_outbox" not in written


def test_a_load_notes_what_it_wrote_the_recomputed_rows_included(connection, place) -> None:
    put(connection, {"A": BARS})
    add(connection, place)
    connection.execute("delete from mirror_outbox")
    corrected = changed(BARS, 119, close=lambda close: close * 1.001)
    result = put(connection, {"A": corrected.take(slice(119, 120))})["A"]
    assert result.recomputed == 199
    assert notes(connection, "ticker", "load_id", "first_changed", "last_changed") == [
        ("A", result.load_id, instant(int(BARS.time[119])), instant(int(BARS.time[318])))
    ]


def test_a_load_that_changes_nothing_notes_nothing(connection, place) -> None:
    put(connection, {"A": BARS})
    add(connection, place)
    connection.execute("delete from mirror_outbox")
    put(connection, {"A": BARS})
    assert notes(connection) == []


def test_a_load_that_fails_leaves_no_note(connection, place) -> None:
    add(connection, place)
    with connection.transaction(force_rollback=True):
        put(connection, {"A": BARS})
        assert len(notes(connection)) == 1
    assert notes(connection) == []


def test_many_loads_of_a_series_are_one_note_over_all_they_changed(connection, place) -> None:
    add(connection, place)
    for start, stop in ((100, 110), (300, 320), (0, 10)):
        last = put(connection, {"A": BARS.take(slice(start, stop))})["A"]
    assert notes(connection, "load_id", "first_changed", "last_changed") == [
        (last.load_id, instant(int(BARS.time[0])), instant(int(BARS.time[319])))
    ]


@pytest.mark.parametrize(
    ("receives", "expected"),
    [
        ({}, ["crypto 1d", "crypto 1h", "vn 1d"]),
        ({"markets": ["crypto"]}, ["crypto 1d", "crypto 1h"]),
        ({"intervals": [D1]}, ["crypto 1d", "vn 1d"]),
        ({"markets": ["vn", "us"], "intervals": [H1]}, []),
    ],
    ids=["everything", "one market", "one interval", "nothing that is stored"],
)
@pytest.mark.parametrize("first", ["mirror", "bars"])
def test_a_mirror_receives_what_was_stored_before_it_and_after_it(
    connection, place, receives, expected, first
) -> None:
    def load() -> None:
        put(connection, {"A": BARS}, VN)
        put(connection, {"A": BARS})
        put(connection, {"A": walk(30, interval=H1)}, interval=H1)

    if first == "bars":
        load()
    add(connection, place, **receives)
    if first == "mirror":
        load()
    assert [
        f"{market} {interval}" for market, interval in notes(connection, "market", "interval")
    ] == expected


def test_adding_a_mirror_waits_for_the_load_under_way(warehouse, connection, place) -> None:
    adding = threading.Thread(target=add_in_its_own_connection, args=(warehouse, place))
    with connect(warehouse, autocommit=True) as loading, loading.transaction():
        put(loading, {"A": BARS})  # not committed yet, and noted for nobody
        adding.start()
        adding.join(0.5)
        assert adding.is_alive()
        assert mirrors(connection) == []
    adding.join(30)
    assert notes(connection, "ticker") == [("A",)]


def add_in_its_own_connection(dsn: str, place: Path) -> None:
    with connect(dsn) as adding:
        add(adding, place)


# --- delivery


@pytest.mark.parametrize("kind", KINDS)
def test_a_mirror_taken_away_during_ten_loads_and_given_back_reaches_parity_by_itself(
    warehouse, connection, place, kind
) -> None:
    put(connection, {"A": BARS.take(slice(0, 200)), "B": walk(50, seed=2)})
    put(connection, {"A": BARS.take(slice(0, 90))}, VN)
    add(connection, place, kind)
    assert hand_over(warehouse, connection).left == 0
    assert_parity(warehouse, connection, 3)

    away = place.rename(place.with_name("elsewhere"))
    for step in range(10):
        if step == 5:
            place.mkdir()  # the mount point without its disk
        start = 200 + 10 * step
        put(connection, {"A": BARS.take(slice(start, start + 10)), f"N{step}": walk(20, seed=step)})
        put(connection, {"A": changed(BARS.take(slice(0, 90)), 3 * step, close=lambda c: c * 1.0001)}, VN)
        found = deliver_mirrors(warehouse, now=NOW, settings=SETTINGS)["copy"]
        assert "is not there" in (found.complaint or "")
        assert found.series == 0
    assert not any(place.iterdir()), "nothing is begun anew beside the mirror"
    behind = find_mirror(connection, "copy")
    assert (behind.waiting, behind.failing_since, "is not there" in (behind.last_error or "")) == (
        12,
        NOW,
        True,
    )

    place.rmdir()
    away.rename(place)
    found = deliver_mirrors(warehouse, now=NOW, settings=SETTINGS)["copy"]
    assert (found.series, found.left, found.complaint) == (12, 0, None)
    assert_parity(warehouse, connection, 13)
    again = find_mirror(connection, "copy")
    assert (again.delivered_at, again.failing_since, again.last_error) == (NOW, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_delivering_again_writes_nothing(warehouse, connection, place, kind) -> None:
    put(connection, {"A": BARS, "B": walk(40, seed=2)})
    mirror = add(connection, place, kind)
    first = hand_over(warehouse, connection)
    assert (first.series, first.written) == (2, Written(inserted=360))
    before = contents(place)
    assert hand_over(warehouse, connection).series == 0
    note_everything(connection, mirror)
    whole = hand_over(warehouse, connection)
    assert (whole.series, whole.written) == (2, Written(unchanged=360))
    assert contents(place) == before


def contents(place: Path) -> dict[str, object]:
    """What a mirror holds: bytes of files, rows of SQLite tables."""
    found: dict[str, object] = {}
    for path in sorted(place.rglob("*")):
        if path.suffix == ".csv":
            found[path.name] = (path.read_bytes(), path.stat().st_mtime_ns)
        elif path.suffix == ".db":
            with sqlite3.connect(path) as file:
                tables = [
                    name for (name,) in file.execute("select name from sqlite_master where type = 'table'")
                ]
                found[path.name] = {name: file.execute(f"select * from {name}").fetchall() for name in tables}
            file.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_indicators_of_a_mirror_follow_a_correction(warehouse, connection, place, kind) -> None:
    put(connection, {"A": BARS})
    add(connection, place, kind)
    hand_over(warehouse, connection)
    put(connection, {"A": changed(BARS, 50, close=lambda close: close * 1.001).take(slice(50, 51))})
    done = hand_over(warehouse, connection)
    assert done.written.updated >= 1
    assert_parity(warehouse, connection, 1)
    ours = read_bars(connection, CRYPTO, D1, ["A"])
    for name in ("close", *INDICATOR_COLUMNS):
        kept = column_of(place, kind, name)
        assert np.array_equal(kept, ours[name].to_numpy(), equal_nan=True), name


def column_of(place: Path, kind: str, name: str) -> np.ndarray:
    """A column of the one series in a mirror, read without our own code."""
    if kind.startswith("csv"):
        lines = next(place.rglob("*.csv")).read_text().splitlines()
        at = lines[0].split(",").index(name)
        cells = [line.split(",")[at] or None for line in lines[1:]]
    else:
        file = sqlite3.connect(next(path for path in place.rglob("*.db") if "vn" not in path.name))
        cells = [cell for (cell,) in file.execute(f"select {name} from crypto_daily order by time")]
        file.close()
    return np.array([np.nan if cell is None else float(cell) for cell in cells])


def test_blocks_carry_the_indicators_and_stay_bounded(connection, place, monkeypatch) -> None:
    monkeypatch.setattr("hypertape.stores.delivery._BLOCK_ROWS", 100)
    put(connection, {"A": BARS})
    mirror, double = add(connection, place), Double()
    assert deliver(connection, mirror, lambda: double, now=NOW).written == Written(inserted=320)
    assert [len(block) for block in double.blocks] == [100, 100, 100, 20]
    ours = read_bars(connection, CRYPTO, D1, ["A"])
    assert pa.concat_tables(double.blocks).select(ours.column_names).equals(ours)


def test_a_load_between_reading_and_removing_leaves_its_note(warehouse, connection, place) -> None:
    put(connection, {"A": BARS.take(slice(0, 300))})
    mirror, double = add(connection, place), Double()

    def load_more() -> None:
        double.before = None
        with connect(warehouse, autocommit=True) as other:
            put(other, {"A": BARS})

    double.before = load_more
    done = deliver(connection, mirror, lambda: double, now=NOW)
    assert (done.series, done.left, len(double.rows)) == (1, 1, 300)
    assert deliver(connection, mirror, lambda: double, now=NOW).left == 0
    assert len(double.rows) == 320


def test_a_delivery_never_waits_for_a_load(warehouse, connection, place) -> None:
    put(connection, {"A": BARS, "B": BARS})
    mirror, double = add(connection, place), Double()
    with connect(warehouse, autocommit=True) as loading, loading.transaction():
        put(loading, {"B": changed(BARS, 3, volume=1.0)})
        done = deliver(connection, mirror, lambda: double, now=NOW)
        assert (done.series, done.left, done.error) == (2, 1, None)
        assert notes(connection, "ticker") == [("B",)], "it is being renewed"
    assert deliver(connection, mirror, lambda: double, now=NOW).left == 0


def test_a_series_in_another_workers_hands_is_left_to_it(warehouse, connection, place) -> None:
    put(connection, {"A": BARS, "B": BARS})
    mirror, double = add(connection, place), Double()
    with working(warehouse, "delivery") as other:
        assert other.take(connection, "delivery", ["copy/crypto/1d/A"])
        done = deliver(connection, mirror, lambda: double, now=NOW)
        assert (done.series, done.busy, done.left, done.error) == (1, 1, 1, None)
    assert deliver(connection, mirror, lambda: double, now=NOW).series == 1


def test_two_workers_and_a_loader_at_once_end_in_parity(warehouse, connection, place) -> None:
    tickers = [f"T{n}" for n in range(6)]
    add(connection, place)
    stop, errors = threading.Event(), []

    def work() -> None:
        with connect(warehouse, autocommit=True) as own:
            while not stop.is_set():
                errors.extend(filter(None, [hand_over(warehouse, own).complaint]))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for step in range(8):
        put(connection, {ticker: BARS.take(slice(step * 40, step * 40 + 40)) for ticker in tickers})
    stop.set()
    for worker in workers:
        worker.join(60)
    assert errors == []
    assert hand_over(warehouse, connection).left == 0
    assert_parity(warehouse, connection, len(tickers))


KILLED_WHILE_DELIVERING = """
import os, signal, sys
from datetime import UTC, datetime
from hypertape.settings import Settings
from hypertape.stores.addresses import open_store
from hypertape.stores.delivery import deliver
from hypertape.stores.mirrors import find_mirror
from hypertape.warehouse.connect import connect

dsn, writes_before_the_kill = sys.argv[1], int(sys.argv[2])
now = datetime.fromisoformat(sys.argv[3])

class Killer:
    def __init__(self, store):
        self.store, self.written = store, 0
    def write(self, *arguments):
        result = self.store.write(*arguments)
        self.written += 1
        if self.written > writes_before_the_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    def close(self):
        self.store.close()

with connect(dsn, autocommit=True) as connection:
    mirror = find_mirror(connection, "copy")
    store = Killer(open_store(mirror.address, settings=Settings(), now=now, run_id="r"))
    deliver(connection, mirror, lambda: store, now=now)
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("writes_before_the_kill", [0, 1])
def test_a_kill_between_load_and_delivery_or_in_it_loses_nothing(
    warehouse, connection, place, kind, writes_before_the_kill
) -> None:
    put(connection, {"A": BARS})
    put(connection, {"B": walk(30, seed=2)}, VN)
    add(connection, place, kind)
    words = [
        sys.executable,
        "-c",
        textwrap.dedent(KILLED_WHILE_DELIVERING),
        warehouse,
        str(writes_before_the_kill),
        NOW.isoformat(),
    ]
    ended = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert len(notes(connection)) == 2 - writes_before_the_kill, (
        "what was written and not removed is still noted"
    )
    assert hand_over(warehouse, connection).left == 0
    assert_parity(warehouse, connection, 2)


def test_a_locked_file_is_away_until_it_is_free(warehouse, connection, place, monkeypatch) -> None:
    for module in ("_sqlite_file", "_sqlite_write"):
        monkeypatch.setattr(f"hypertape.stores.{module}.BUSY_SECONDS", 0.05)
    put(connection, {"A": BARS.take(slice(0, 300))})
    add(connection, place, "sqlite:files/all.db")
    hand_over(warehouse, connection)
    put(connection, {"A": BARS, "B": BARS})
    locking = sqlite3.connect(place / "files" / "all.db", isolation_level=None)
    locking.execute("begin exclusive")
    done = hand_over(warehouse, connection)
    assert "locked" in (done.error or "")
    assert (done.series, done.left, done.failed) == (0, 2, {}), (
        "the first series tells: nobody waits for each of them"
    )
    locking.execute("rollback")
    locking.close()
    assert hand_over(warehouse, connection).left == 0
    assert_parity(warehouse, connection, 2)


def test_a_series_that_cannot_be_written_does_not_hold_up_the_others(warehouse, connection, place) -> None:
    put(connection, dict.fromkeys("ABC", BARS))
    add(connection, place)
    hand_over(warehouse, connection)
    (spoilt,) = place.rglob("B/1D.csv")
    spoilt.write_text(spoilt.read_text() + "B,2099-01-01,?,,,,\n")
    put(connection, {ticker: changed(BARS, 3, volume=1.0) for ticker in "ABC"})
    done = hand_over(warehouse, connection)
    assert (done.series, done.left, list(done.failed)) == (2, 1, ["crypto/1d/B"])
    assert (find_mirror(connection, "copy").last_error or "").startswith("crypto/1d/B: ")
    assert {series.ticker for series in different(warehouse, connection)} == {"B"}
    spoilt.unlink()
    note_everything(connection, find_mirror(connection, "copy"))
    hand_over(warehouse, connection)
    assert_parity(warehouse, connection, 3)


def different(dsn: str, connection) -> list[Series]:
    found = check_parity(dsn, find_mirror(connection, "copy"), now=NOW, settings=SETTINGS)
    return [difference.series for difference in found.differences]


@pytest.mark.parametrize("kind", KINDS)
def test_parity_finds_what_is_missing_changed_or_astray(warehouse, connection, place, kind) -> None:
    put(connection, {"A": BARS, "B": BARS, "C": BARS})
    add(connection, place, kind)
    hand_over(warehouse, connection)
    with connection.transaction():
        connection.execute("delete from bars.crypto_data_1d where ticker = 'A'")
        connection.execute("delete from series where ticker = 'A'")
        connection.execute(
            "update bars.crypto_data_1d set volume = volume + 1 where ticker = 'B' and time = %s",
            [instant(int(BARS.time[7]))],
        )
    put(connection, {"D": BARS})
    found = check_parity(warehouse, find_mirror(connection, "copy"), now=NOW, settings=SETTINGS)
    sides = {
        d.series.ticker: (d.warehouse and d.warehouse.rows, d.mirror and d.mirror.rows)
        for d in found.differences
    }
    assert sides == {"A": (None, 320), "B": (320, 320), "D": (320, None)}
    assert (found.waiting, found.holds) == (1, False)


def test_parity_compares_adjusted_closes_where_a_mirror_keeps_them(warehouse, connection, place) -> None:
    put(connection, {"A": BARS})
    add(connection, place, "sqlite:files")
    hand_over(warehouse, connection)
    connection.execute("update bars.crypto_data_1d set adjusted_close = 1 where ticker = 'A'")
    found = check_parity(warehouse, find_mirror(connection, "copy"), now=NOW, settings=SETTINGS)
    assert [(d.series.ticker, d.what) for d in found.differences] == [("A", "adjusted closes")]


@pytest.mark.parametrize("kind", KINDS)
def test_parity_of_a_mirror_without_a_file(warehouse, connection, place, kind) -> None:
    add(connection, place, kind)
    assert_parity(warehouse, connection, 0)
    put(connection, {"A": BARS})
    assert different(warehouse, connection) == [Series("crypto", "A", D1)]


# --- switches


def test_a_paused_mirror_receives_nothing_and_misses_nothing(warehouse, connection, place) -> None:
    mirror = add(connection, place)
    enable_mirror(connection, mirror, False)
    put(connection, {"A": BARS})
    assert deliver_mirrors(warehouse, now=NOW, settings=SETTINGS) == {}
    assert len(notes(connection)) == 1
    enable_mirror(connection, mirror, True)
    assert deliver_mirrors(warehouse, now=NOW, settings=SETTINGS)["copy"].written.inserted == 320
    assert_parity(warehouse, connection, 1)


@pytest.mark.parametrize(
    ("named", "expected"), [(None, ["copy"]), ("copy", ["copy"]), ("none", []), ("other", [])]
)
def test_a_machine_delivers_to_the_mirrors_it_names(warehouse, connection, place, named, expected) -> None:
    add(connection, place)
    put(connection, {"A": BARS})
    assert list(deliver_mirrors(warehouse, now=NOW, settings=Settings(mirrors=named))) == expected


def test_a_removed_mirror_is_forgotten_and_its_files_stay(warehouse, connection, place) -> None:
    mirror = add(connection, place)
    put(connection, {"A": BARS})
    hand_over(warehouse, connection)
    put(connection, {"A": changed(BARS, 3, volume=1.0)})
    remove_mirror(connection, mirror)
    put(connection, {"B": BARS})
    assert (mirrors(connection), notes(connection)) == ([], [])
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["1D.csv"], "the mark goes"
    add(connection, place)
    hand_over(warehouse, connection)
    assert_parity(warehouse, connection, 2)


def test_a_mirror_never_fails_the_run_that_feeds_it(warehouse, connection, place, monkeypatch) -> None:
    add(connection, place, "csv:one", "one")
    add(connection, place, "csv:two", "two")
    put(connection, {"A": BARS})
    (place / "one").rename(place / "gone")
    found = deliver_mirrors(warehouse, now=NOW, settings=SETTINGS)
    assert "is not there" in (found["one"].complaint or "")
    assert found["two"].written.inserted == 320
    broken = psycopg.conninfo.make_conninfo(warehouse, port=1)
    assert deliver_mirrors(broken, now=NOW, settings=SETTINGS) == {}


@pytest.mark.parametrize(
    ("name", "address", "says"),
    [
        ("Two Words", "csv:tree", "cannot name a mirror.*a-z"),
        ("taken", "csv:tree", "There is a mirror named 'taken'"),
        ("copy", "csv:taken", "or at csv:.*already"),
        ("copy", "warehouse", "cannot be a mirror.*csv:DIR or sqlite:DIR_OR_FILE"),
        ("copy", "stockula:file.db", "cannot be a mirror"),
        ("copy", "csv:", "cannot be a mirror"),
        ("copy", "csv:file.txt", "is a file"),
    ],
)
def test_a_mirror_is_refused_with_the_reason(connection, place, monkeypatch, name, address, says) -> None:
    monkeypatch.chdir(place)
    (place / "file.txt").write_text("")
    add(connection, place, "csv:taken", "taken")
    with pytest.raises(BadInput, match=says):
        add_mirror(connection, name, address)
    assert [mirror.name for mirror in mirrors(connection)] == ["taken"]


def test_a_mirror_of_intervals_that_no_load_writes_is_refused(connection, place) -> None:
    with pytest.raises(BadInput, match=r"No load writes 5m, .* Intervals: "):
        add(connection, place, intervals=[D1, Interval.M5])
    assert mirrors(connection) == []


def test_a_relative_address_is_kept_absolute(connection, place, monkeypatch) -> None:
    monkeypatch.chdir(place)
    assert add_mirror(connection, "copy", "csv:tree").address == f"csv:{place / 'tree'}"


def test_a_directory_that_is_another_mirrors_is_not_written(warehouse, connection, place) -> None:
    mirror = add(connection, place)
    mirror.mark.write_text("00000000-0000-0000-0000-000000000000\n")
    put(connection, {"A": BARS})
    assert "missing or another mirror's" in (hand_over(warehouse, connection).error or "")
    with pytest.raises(StoreAway):
        check_parity(warehouse, mirror, now=NOW, settings=SETTINGS)


@pytest.mark.parametrize("check", [True, False], ids=["with checks", "without checks"])
@pytest.mark.parametrize("fails", [False, True], ids=["all is right", "a critical check failed"])
def test_a_run_delivers_at_its_end_whatever_its_checks_say(
    warehouse, connection, place, check, fails
) -> None:
    add(connection, place)
    if fails:
        connection.execute(FAILED_CHECK)
    settings = Settings(state_dir=place / "state", source="sample")
    result = sync(warehouse, "us", "1d", now=NOW, settings=settings, check=check, run_id="r")
    assert isinstance(result.error, CheckFailed) is (check and fails)
    assert (result.counts["inserted"] > 0, notes(connection)) == (True, [])
    assert_parity(warehouse, connection, value(connection, "select count(*) from series"))


FAILED_CHECK = """
insert into quality_result (
    run_id, market, interval, suite, expectation, description, severity, status, window_start, window_end, seconds
)
values ('r', 'us', '1d', 'by hand', 'by hand', 'by hand', 'critical', 'failed', '2025-01-01', '2025-02-01', 0)
"""


# --- the command line


@pytest.fixture
def command(warehouse, monkeypatch):
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str) -> tuple[int, str]:
        """The exit code `main` gives, and all that was printed."""
        result = CliRunner().invoke(app, ["mirror", *words])
        error = result.exception
        if isinstance(error, HypertapeError):
            return error.exit_code, f"{result.output}{error}"
        assert error is None or isinstance(error, SystemExit), result.output
        return result.exit_code, result.output

    return run


def test_the_verbs_from_adding_to_removing(connection, place, command) -> None:
    put(connection, {"A": BARS})
    tree = place / "tree"
    code, text = command("add", "copy", f"csv:{tree}", "--market", "crypto", "-i", "1d")
    assert (code, "1 series to copy" in text) == (0, True)
    assert (tree / "A" / "1D.csv").is_file(), "a mirror of one market has no market directories"
    assert command("parity", "copy") == (0, "copy: 1 series are equal and nothing waits.\n")

    put(connection, {"B": BARS})
    code, text = command("parity", "copy")
    assert (code, "crypto/1d/B" in text, "1 of 2 series differ, 1 wait for delivery" in text) == (
        3,
        True,
        True,
    )
    assert command("pause", "copy")[0] == 0
    assert "paused" in command("list")[1]
    assert command("deliver")[0] == 0
    assert command("parity", "copy")[0] == 3
    assert command("resume", "copy")[0] == 0
    assert command("parity", "copy")[0] == 0

    put(connection, {"B": changed(BARS, 3, volume=1.0)})
    tree.rename(place / "gone")
    code, text = command("deliver", "copy")
    assert (code, "is not there" in text) == (75, True)
    assert "failing" in command("list")[1]
    assert command("parity", "copy")[0] == 75
    code, text = command("deliver", "copy", "--whole")
    assert code == 0, "what was lost for good is copied anew when asked"
    assert command("parity", "copy")[0] == 0

    code, text = command("remove", "copy")
    assert (code, "files stay" in text) == (0, True)
    code, text = command("parity", "copy")
    assert (code, "There is no mirror 'copy'" in text) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "copy", "ftp:x"), "cannot be a mirror"),
        (("add", "copy", "csv:x", "--market", "mars"), "There is no market 'mars'"),
        (("add", "copy", "csv:x", "--interval", "5s"), "There is no interval '5s'"),
        (("deliver", "nobody"), "There is no mirror 'nobody'"),
        (("pause", "nobody"), "hypertape mirror add"),
    ],
)
def test_bad_input_exits_2_with_the_valid_forms(command, words, says) -> None:
    code, text = command(*words)
    assert (code, says in text) == (2, True)


def test_a_copy_can_wait_for_the_next_load(warehouse, connection, place, command) -> None:
    put(connection, {"A": BARS})
    assert command("add", "copy", f"csv:{place}", "--no-copy")[0] == 0
    assert value(connection, "select count(*) from mirror_outbox") == 1
    put(connection, {"B": BARS})
    assert deliver_mirrors(warehouse, now=NOW, settings=SETTINGS)["copy"].series == 2
