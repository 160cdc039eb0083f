"""The CSV tree as a store: what it lists, reads and writes, and what it refuses."""

import os

import pyarrow as pa
import pytest
from store_lab import (
    CRYPTO,
    D1,
    H1,
    M1,
    VN,
    blocks,
    digest_of,
    frame,
    read_all,
    series,
    tree,
)

from hypertape.errors import (
    BadInput,
    DiskFull,
    HypertapeError,
    SourceFileEmpty,
    SourceFileMissing,
    SourceSchemaChanged,
)
from hypertape.frame import reject_frame
from hypertape.model import utc
from hypertape.stores import Block, Selection
from hypertape.stores import csv_file as csv_file_module
from hypertape.stores.addresses import CsvFormat, CsvOptions
from hypertape.stores.csv import CsvStore

HEADER = "ticker,time,open,high,low,close,volume\n"


def flat(root, **others):
    return CsvStore(root, CsvOptions(market="vn", **others))


def put(root, text, name="1D.csv", ticker="VIC"):
    (root / ticker).mkdir(parents=True, exist_ok=True)
    (root / ticker / name).write_text(text)
    return root


def listed(store, selection=None):
    return [str(info.series) for info in store.series(selection or Selection())]


def line(day, close, ticker="VIC"):
    return f"{ticker},{day},{close},{close},{close},{close},10\n"


# --- where files lie ---


def test_several_markets_have_a_directory_each(tmp_path):
    store = CsvStore(tmp_path)
    store.write(VN, D1, blocks(frame("VIC", 5)))
    store.write(CRYPTO, M1, blocks(frame("BTC", 5, M1)))
    store.write(VN, H1, blocks(frame("VIC", 5, H1)))
    assert sorted(tree(tmp_path)) == [
        "crypto_data/BTC/1m.csv",
        "market_data/VIC/1D.csv",
        "market_data/VIC/1H.csv",
    ]
    assert listed(store) == ["crypto/1m/BTC", "vn/1d/VIC", "vn/1h/VIC"]


@pytest.mark.parametrize("name", ["1D.csv", "1d.csv"])
def test_one_market_lies_flat_and_keeps_its_files_names(tmp_path, name):
    put(tmp_path, HEADER + line("2024-01-02", 5), name)
    store = flat(tmp_path)
    store.write(VN, D1, blocks(frame("VIC", 5)))
    assert sorted(tree(tmp_path)) == [f"VIC/{name}"]


@pytest.mark.parametrize("name", ["1h.csv", "1H.csv"])
def test_both_spellings_of_the_hour_are_read(tmp_path, name):
    put(tmp_path, HEADER + line("2024-01-02 03:00:00", 5), name)
    assert listed(flat(tmp_path)) == ["vn/1h/VIC"]
    assert len(read_all(flat(tmp_path).read(series("vn", "VIC", H1)))) == 1


def test_a_month_is_no_minute(tmp_path):
    put(tmp_path, HEADER + line("2024-01-02", 5), "1M.csv")
    assert listed(flat(tmp_path)) == []


def test_the_name_of_the_directory_tells_the_market(tmp_path):
    put(tmp_path / "crypto_data", HEADER + line("2024-01-02", 5, "BTC"), ticker="BTC")
    assert listed(CsvStore(tmp_path / "crypto_data")) == ["crypto/1d/BTC"]
    assert listed(CsvStore(tmp_path)) == ["crypto/1d/BTC"]


def test_one_selected_market_is_the_trees(tmp_path):
    put(tmp_path, HEADER + line("2024-01-02", 5))
    assert listed(CsvStore(tmp_path), Selection(markets=("vn",))) == ["vn/1d/VIC"]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda store: listed(store), "reading would guess"),
        (lambda store: store.write(VN, D1, blocks(frame("VIC", 2))), "writing would mix two layouts"),
    ],
)
def test_nothing_tells_the_market(tmp_path, act, reason):
    put(tmp_path, HEADER + line("2024-01-02", 5))
    with pytest.raises(BadInput, match="--market"):
        act(CsvStore(tmp_path))


def test_the_selection_filters(tmp_path):
    store = CsvStore(tmp_path)
    for ticker in ("AAA", "BBB"):
        store.write(VN, D1, blocks(frame(ticker, 2)))
        store.write(VN, M1, blocks(frame(ticker, 2, M1)))
    store.write(CRYPTO, D1, blocks(frame("AAA", 2)))
    assert listed(store, Selection(markets=("vn",), intervals=(D1,))) == ["vn/1d/AAA", "vn/1d/BBB"]
    assert listed(store, Selection(tickers=("BBB",))) == ["vn/1d/BBB", "vn/1m/BBB"]


def test_an_empty_directory_has_no_series(tmp_path):
    assert listed(CsvStore(tmp_path)) == []


# --- reading ---


def test_read_from_a_start_in_blocks(tmp_path):
    table = frame("VIC", 250)
    store = flat(tmp_path)
    store.write(VN, D1, blocks(table))
    start = table["time"][100].as_py()
    found = list(store.read(series("vn", "VIC"), start=start, rows=60))
    assert [len(block.bars) for block in found] == [60, 60, 30]
    assert read_all(found).equals(table.slice(100).combine_chunks())
    assert store.digest(series("vn", "VIC"), start=start) == digest_of(table.slice(100))


def test_disorder_is_sorted_and_the_last_of_equal_keys_counts(tmp_path):
    text = HEADER + line("2024-01-03", 3) + line("2024-01-02", 2) + line("2024-01-03", 4)
    (block,) = flat(put(tmp_path, text)).read(series("vn", "VIC"))
    assert block.bars["close"].to_pylist() == [2.0, 4.0]
    assert block.duplicates == 1


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_a_long_file_is_read_piece_by_piece(tmp_path, monkeypatch, order):
    table = frame("VIC", 3000, M1)
    store = flat(tmp_path)
    store.write(VN, M1, blocks(table, 1000))
    path = tmp_path / "VIC" / "1m.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    if order == "shuffled":
        rows = [*rows[2000:], rows[0], *rows[:2000]]
        path.write_text(header + "".join(rows))
    monkeypatch.setattr(csv_file_module, "AT_ONCE", 50_000)
    monkeypatch.setattr(csv_file_module, "SORTED_AT_ONCE", 700)
    found = list(store.read(series("vn", "VIC", M1), rows=400))
    assert read_all(found).equals(table.combine_chunks())
    assert max(len(block.bars) for block in found) <= 400
    assert sum(block.duplicates for block in found) == (1 if order == "shuffled" else 0)


def test_bad_rows_are_rejects_with_their_line_also_far_into_a_file(tmp_path, monkeypatch):
    rows = [line(f"2024-01-{day:02}", day) for day in range(1, 31)]
    rows[25] = "VIC,2024-01-26,x,1,1,1,1\n"
    monkeypatch.setattr(csv_file_module, "AT_ONCE", 200)
    found = list(flat(put(tmp_path, HEADER + "".join(rows))).read(series("vn", "VIC")))
    rejects = pa.concat_tables([block.rejects for block in found]).to_pylist()
    assert [(r["rule"], r["value"]) for r in rejects] == [("text_in_number", "x")]
    assert '"line": 27' in rejects[0]["row"]
    assert len(read_all(found)) == 29


def test_legacy_prices_are_multiplied_but_not_an_index(tmp_path):
    put(tmp_path, HEADER + line("2024-01-02", 20.48333))
    put(tmp_path, HEADER + line("2024-01-02", 1245.88, "VNINDEX"), ticker="VNINDEX")
    store = flat(tmp_path, legacy_scale=True)
    assert read_all(store.read(series("vn", "VIC")))["close"].to_pylist() == [20483.33]
    assert read_all(store.read(series("vn", "VNINDEX")))["close"].to_pylist() == [1245.88]


@pytest.mark.parametrize(
    ("text", "error"),
    [("", SourceFileEmpty), (HEADER, SourceFileEmpty), ("a,b\n1,2\n", SourceSchemaChanged)],
)
def test_a_file_that_is_none_names_itself(tmp_path, text, error):
    store = flat(put(tmp_path, text))
    with pytest.raises(error, match=r"1D\.csv.*vn VIC 1d"):
        list(store.read(series("vn", "VIC")))


def test_two_spellings_of_one_file_are_refused(tmp_path):
    put(tmp_path, HEADER + line("2024-01-02", 5), "1h.csv")
    put(tmp_path, HEADER + line("2024-01-02", 5), "1H.csv")
    if len(list((tmp_path / "VIC").iterdir())) == 2:
        with pytest.raises(BadInput, match="both"):
            list(flat(tmp_path).read(series("vn", "VIC", H1)))


def test_a_missing_tree_and_a_missing_series(tmp_path):
    with pytest.raises(SourceFileMissing, match="no directory"):
        listed(CsvStore(tmp_path / "none"))
    with pytest.raises(SourceFileMissing, match="vn/1d/VIC"):
        list(flat(tmp_path).read(series("vn", "VIC")))


# --- writing ---


def test_what_is_written_reads_back_bit_for_bit(tmp_path):
    table = frame("VIC", 1000, M1, adjusted=True)
    store = flat(tmp_path)
    assert store.write(VN, M1, blocks(table)).inserted == 1000
    assert store.digest(series("vn", "VIC", M1)) == digest_of(table)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (slice(0, 500), slice(500, 800)),
        (slice(500, 800), slice(0, 500)),
        (slice(0, 800), slice(300, 500)),
        (slice(0, 500), slice(300, 800)),
        (slice(0, 800, 2), slice(1, 800, 2)),
        (slice(300, 500), slice(0, 800)),
    ],
    ids=["after", "before", "within", "overlapping", "between each other", "around"],
)
def test_writing_in_parts_is_writing_at_once(tmp_path, first, second):
    table = frame("VIC", 800)
    whole, parts = flat(tmp_path / "whole"), flat(tmp_path / "parts")
    whole.write(VN, D1, blocks(table))
    for part in (first, second):
        rows = list(range(800))[part]
        parts.write(VN, D1, blocks(table.take(rows), 90))
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_blocks_in_any_order_and_of_several_series(tmp_path):
    one, two = frame("AAA", 300), frame("BBB", 200)
    mixed = [*list(blocks(one))[1:], *blocks(two), next(blocks(one))]
    written = flat(tmp_path).write(VN, D1, mixed)
    assert (written.inserted, written.updated) == (500, 0)
    assert flat(tmp_path).digest(series("vn", "AAA")) == digest_of(one)
    assert flat(tmp_path).digest(series("vn", "BBB")) == digest_of(two)


def test_counts_and_the_untouched_file(tmp_path):
    store, table = flat(tmp_path), frame("VIC", 100)
    store.write(VN, D1, blocks(table))
    path = tmp_path / "VIC" / "1D.csv"
    before = path.stat()
    again = store.write(VN, D1, blocks(table))
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 100)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    other = frame("VIC", 100, seed=2)
    mixed = pa.concat_tables([table.slice(0, 40), other.slice(40)])
    assert store.write(VN, D1, blocks(mixed)).updated == 60
    assert store.digest(series("vn", "VIC")) == digest_of(mixed)


def test_rejects_are_counted_not_written(tmp_path):
    rejects = reject_frame([("VIC", utc(2024), "bad_time", "x", "{}")])
    assert flat(tmp_path).write(VN, D1, [Block(frame("VIC", 0), rejects)]).refused == 1
    assert tree(tmp_path) == {}


def test_a_file_with_unreadable_rows_is_not_written_anew(tmp_path):
    put(tmp_path, HEADER + line("2024-01-02", 5) + "VIC,someday,1,1,1,1,1\n")
    before = tree(tmp_path)
    with pytest.raises(BadInput, match="someday"):
        flat(tmp_path).write(VN, D1, blocks(frame("VIC", 5)))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("ticker", ["../VIC", "a/b", ".."])
def test_a_ticker_stays_inside_the_tree(tmp_path, ticker):
    with pytest.raises(BadInput, match="directory"):
        flat(tmp_path / "tree").write(VN, D1, blocks(frame(ticker, 2)))
    assert tree(tmp_path) == {}


def test_a_target_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        flat(tmp_path / "file").write(VN, D1, blocks(frame("VIC", 2)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    store = flat(tmp_path)
    store.write(VN, D1, blocks(frame("VIC", 10)))
    before = tree(tmp_path)
    (tmp_path / "VIC" / ".1D.csv.partial").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"VIC/1D\.csv"):
        store.write(VN, D1, blocks(frame("VIC", 900)))
    assert tree(tmp_path) == before


def test_what_a_kill_left_behind_is_no_obstacle(tmp_path):
    store = flat(tmp_path)
    store.write(VN, D1, blocks(frame("VIC", 10)))
    (tmp_path / "VIC" / ".1D.csv.partial").write_text(HEADER + "VIC,2024-01-0")
    assert listed(store) == ["vn/1d/VIC"]
    store.write(VN, D1, blocks(frame("VIC", 20)))
    assert sorted(tree(tmp_path)) == ["VIC/1D.csv"]
    assert store.digest(series("vn", "VIC")) == digest_of(frame("VIC", 20))


@pytest.mark.parametrize("format", list(CsvFormat))
def test_export_import_export_of_a_written_tree(tmp_path, format):
    one, two = flat(tmp_path / "1", format=format), flat(tmp_path / "2", format=format)
    for interval in (D1, M1):
        one.write(VN, interval, blocks(frame("VIC", 700, interval)))
        two.write(VN, interval, one.read(series("vn", "VIC", interval)))
    assert tree(tmp_path / "2") == tree(tmp_path / "1")


def test_errors_are_ours(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HypertapeError):
        listed(CsvStore(tmp_path / "pipe"))
