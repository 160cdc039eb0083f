"""A directory of bar files: what is found, what fails, and the legacy scale on real files."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertape.errors import (
    BadInput,
    RowsLost,
    SourceFileEmpty,
    SourceFileMissing,
    SourceSchemaChanged,
    UnknownTicker,
)
from hypertape.markets import get_market
from hypertape.model import (
    PRICE_COLUMNS,
    STORED_INTERVALS,
    Interval,
    Market,
    Ticker,
    Window,
    parse_instant,
    utc,
)
from hypertape.rows import RowCount
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source
from hypertape.sources._csv_file import CELLS
from hypertape.sources.csv_tree import CsvTree, exact_product, listed

ALWAYS = Window(utc(1990), utc(2050))
NOW = utc(2026)
ROW = "2024-01-02,10.5,12,9,11.25,100"


@pytest.fixture(scope="module")
def vn() -> Market:
    index = Ticker("VNINDEX", "VN-Index", "INDEX", "index")
    return replace(get_market("vn"), tickers=(index,))


def write(root: Path, ticker: str, name: str, *rows: str) -> Path:
    path = root / ticker / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((",".join(CELLS), *(f"{ticker},{row}" for row in rows), "")), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "interval"),
    [("1D.csv", Interval.D1), ("1H.csv", Interval.H1), ("1h.csv", Interval.H1), ("1m.csv", Interval.M1)],
)
@pytest.mark.parametrize("below", ["", "market_data"])
def test_every_file_name_of_the_documents_is_read(
    tmp_path: Path, vn: Market, name: str, interval: Interval, below: str
) -> None:
    write(tmp_path / below, "VIC", name, ROW)
    tree = open_source(SourceConfig("csv_tree", str(tmp_path)), Settings())

    assert tree.tickers(vn, interval) == ("VIC",)
    assert len(tree.fetch(vn, ["VIC"], interval, ALWAYS, now=NOW).bars) == 1


def test_a_month_file_is_no_minute_file(tmp_path: Path, vn: Market) -> None:
    write(tmp_path, "VIC", "1M.csv", ROW)

    assert CsvTree(tmp_path).tickers(vn, Interval.M1) == ()


def test_the_other_markets_directory_is_not_mixed_in(tmp_path: Path, vn: Market) -> None:
    write(tmp_path / "market_data", "VIC", "1D.csv", ROW)
    write(tmp_path / "crypto_data", "BTC", "1D.csv", ROW)

    assert CsvTree(tmp_path).tickers(vn, Interval.D1) == ("VIC",)
    assert CsvTree(tmp_path).tickers(get_market("crypto"), Interval.D1) == ("BTC",)
    assert CsvTree(tmp_path).tickers(get_market("us"), Interval.D1) == ()


def test_each_ticker_fails_for_itself(tmp_path: Path, vn: Market) -> None:
    write(tmp_path, "VIC", "1D.csv", ROW)
    write(tmp_path, "HOURLY", "1h.csv", ROW)
    write(tmp_path, "HEADER", "1D.csv")
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "EMPTY" / "1D.csv").touch()
    write(tmp_path, "OTHER", "1D.csv").write_text("date,price\n2024-01-02,1\n", encoding="utf-8")
    (tmp_path / "FOLDER" / "1D.csv").mkdir(parents=True)
    seen: list[str] = []
    asked = ["NOBODY", "HOURLY", "HEADER", "EMPTY", "OTHER", "FOLDER", "VIC"]

    fetched = CsvTree(tmp_path).fetch(vn, asked, Interval.D1, ALWAYS, now=NOW, on_ticker=seen.append)

    assert {ticker: type(error) for ticker, error in fetched.failures.items()} == {
        "NOBODY": UnknownTicker,
        "HOURLY": SourceFileMissing,
        "HEADER": SourceFileEmpty,
        "EMPTY": SourceFileEmpty,
        "OTHER": SourceSchemaChanged,
        "FOLDER": BadInput,
    }
    assert fetched.bars["ticker"].to_pylist() == ["VIC"]
    assert seen == asked
    assert all(error.ticker == ticker and error.market == "vn" for ticker, error in fetched.failures.items())
    assert "date,price" in str(fetched.failures["OTHER"])
    assert ",".join(CELLS) in str(fetched.failures["OTHER"])


def test_a_directory_in_other_letters_than_its_ticker_fails_alone(tmp_path: Path, vn: Market) -> None:
    """It would become a second series beside the ticker's own."""
    for ticker in ("VIC", "vic", "vnindex", "NEW", "new", "odd"):
        write(tmp_path, ticker, "1D.csv", ROW)
    tree = CsvTree(tmp_path)

    fetched = tree.fetch(vn, tree.tickers(vn, Interval.D1), Interval.D1, ALWAYS, now=NOW)

    assert {ticker: type(error) for ticker, error in fetched.failures.items()} == dict.fromkeys(
        ("vic", "vnindex", "new"), UnknownTicker
    )
    assert "The directory vnindex is VNINDEX in other letters" in str(fetched.failures["vnindex"])
    assert fetched.bars["ticker"].to_pylist() == ["NEW", "VIC", "odd"]


@pytest.mark.parametrize("ticker", ["../VIC", "..", "", "/etc", "VIC/../VIC", "vic"])
def test_a_ticker_is_a_directory_name_and_nothing_more(tmp_path: Path, vn: Market, ticker: str) -> None:
    write(tmp_path, "VIC", "1D.csv", ROW)

    fetched = CsvTree(tmp_path).fetch(vn, [ticker], Interval.D1, ALWAYS, now=NOW)

    assert isinstance(fetched.failures[ticker], UnknownTicker)
    assert "VIC" in str(fetched.failures[ticker])


def test_two_hourly_files_are_not_chosen_between(tmp_path: Path, vn: Market) -> None:
    write(tmp_path, "VIC", "1h.csv", ROW)
    write(tmp_path, "VIC", "1H.csv", ROW)
    write(tmp_path, "VCB", "1h.csv", ROW)
    (tmp_path / "VCB" / "1H.csv").symlink_to("1h.csv")

    fetched = CsvTree(tmp_path).fetch(vn, ["VIC", "VCB"], Interval.H1, ALWAYS, now=NOW)

    assert "1H.csv and 1h.csv. Remove" in str(fetched.failures["VIC"]).replace(" (vn VIC 1h)", "")
    assert fetched.bars["ticker"].to_pylist() == ["VCB"]


def test_a_missing_root_fails_the_whole_source(tmp_path: Path, vn: Market) -> None:
    tree = CsvTree(tmp_path / "nowhere")

    with pytest.raises(SourceFileMissing, match="nowhere"):
        tree.fetch(vn, ["VIC"], Interval.D1, ALWAYS, now=NOW)
    with pytest.raises(SourceFileMissing, match="nowhere"):
        tree.tickers(vn, Interval.D1)


def test_a_directory_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    (tmp_path / "VIC").touch()

    with pytest.raises(BadInput, match=r"VIC cannot be read: Not a directory\. Check"):
        listed(tmp_path / "VIC")


def test_the_legacy_scale_multiplies_stocks_and_not_indices(tmp_path: Path, vn: Market) -> None:
    for ticker in ("VIC", "VNINDEX"):
        write(tmp_path, ticker, "1D.csv", "2024-01-02,2.35397,2.4,2.3234,2.33869,100")

    fetched = CsvTree(tmp_path, legacy_scale=True).fetch(vn, ["VIC", "VNINDEX"], Interval.D1, ALWAYS, now=NOW)

    stock, index = fetched.bars.to_pylist()
    assert [stock[name] for name in PRICE_COLUMNS] == [2353.97, 2400.0, 2323.4, 2338.69]
    assert [index[name] for name in PRICE_COLUMNS] == [2.35397, 2.4, 2.3234, 2.33869]
    assert stock["volume"] == index["volume"] == 100.0


@given(st.decimals(0, 10**6, places=9, allow_nan=False) | st.decimals(0, 10**5, places=5, allow_nan=False))
def test_the_scaled_price_is_the_closest_double(price: Decimal) -> None:
    [scaled] = exact_product(np.array([float(price)]), 1000.0)

    # the law holds for what a double carries: fifteen digits
    if len(price.normalize().as_tuple().digits) <= 15:
        assert scaled == float(price * 1000)


def test_scaling_leaves_what_is_no_number() -> None:
    scaled = exact_product(np.array([np.nan, np.inf, -np.inf, 1e300, 1 / 3]), 1000.0)

    assert np.isnan(scaled[0])
    assert scaled[1:].tolist() == [np.inf, -np.inf, 1e303, 1 / 3 * 1000]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 30), max_size=5))
def test_any_cut_of_windows_gives_the_same_rows(tmp_path: Path, vn: Market, cuts: list[int]) -> None:
    write(
        tmp_path,
        "VIC",
        "1D.csv",
        *(
            f"2024-01-{day:02},{day},{day},x,1,1" if day == 9 else f"2024-01-{day:02},1,2,1,1,{day}"
            for day in range(1, 31)
        ),
    )
    tree = CsvTree(tmp_path)
    whole = tree.fetch(vn, ["VIC"], Interval.D1, Window(utc(2024), utc(2024, 1, 31)), now=NOW)
    edges = sorted({0, 30, *cuts})
    pieces = [
        tree.fetch(vn, ["VIC"], Interval.D1, Window(utc(2024, 1, a + 1), utc(2024, 1, b + 1)), now=NOW)
        for a, b in pairwise(edges)
    ]

    assert [row for piece in pieces for row in piece.bars.to_pylist()] == whole.bars.to_pylist()
    assert [row for piece in pieces for row in piece.rejects.to_pylist()] == whole.rejects.to_pylist()
    assert len(whole.rejects) == 1


@pytest.mark.parametrize("interval", STORED_INTERVALS)
@pytest.mark.parametrize("code", ["vn", "crypto"])
def test_every_real_file_is_read_to_the_last_digit(
    shared_data: Path, vn: Market, code: str, interval: Interval
) -> None:
    market = vn if code == "vn" else get_market(code)
    tree = CsvTree(shared_data / "csv", legacy_scale=True)
    tickers = tree.tickers(market, interval)

    fetched = tree.fetch(market, tickers, interval, ALWAYS, now=NOW)

    assert not fetched.failures
    assert len(fetched.rejects) == 0
    got = list(zip(*(fetched.bars[name].to_pylist() for name in CELLS), strict=True))
    expected = [
        row
        for ticker in tickers
        for row in _exact_rows(shared_data / "csv" / market.table / ticker, market, ticker, interval)
    ]
    assert got == expected


def _exact_rows(directory: Path, market: Market, ticker: str, interval: Interval) -> list[tuple[object, ...]]:
    [path] = [path for path in directory.iterdir() if path.stem in (interval.value, interval.spelling)]
    scale = 1000 if market.code == "vn" and ticker != "VNINDEX" else 1
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            (
                ticker,
                parse_instant(row["time"]),
                *(float(Decimal(row[name]) * scale) for name in PRICE_COLUMNS),
                float(row["volume"]),
            )
            for row in csv.DictReader(lines)
        ]


# what lies in a tree and is no file of it


def odd(root: Path, ticker: str, kind: str) -> None:
    directory = root / ticker
    directory.mkdir()
    path = directory / "1D.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "out":
        (root.parent / "secret").write_text("root:x:0:0\n")
        path.symlink_to(root.parent / "secret")
    elif kind == "dangling":
        path.symlink_to(root / "nowhere")
    elif kind == "huge":
        path.write_bytes(b"x" * 3000)
    else:
        (directory / kind).write_bytes(gzip.compress(b"bars"))


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("pipe", BadInput, "is a named pipe"),
        ("device", BadInput, "leads out of its directory"),
        ("out", BadInput, "leads out of its directory"),
        ("dangling", BadInput, "the link leads nowhere"),
        ("huge", BadInput, "HYPERTAPE_FILE_BYTES"),
        ("1D.csv.gz", SourceFileMissing, "but 1D.csv.gz, which is not read"),
        ("1D.CSV", SourceFileMissing, "but 1D.CSV, which is not read"),
    ],
)
def test_what_is_no_bar_file_is_named_and_costs_nobody_else(
    tmp_path: Path, vn: Market, kind: str, error: type[Exception], says: str
) -> None:
    root = tmp_path / "tree"
    write(root, "VIC", "1D.csv", ROW)
    odd(root, "ODD", kind)
    tree = CsvTree(root, file_bytes=2000)

    assert tree.tickers(vn, Interval.D1) == ("ODD", "VIC"), "it is asked for, and not passed over"
    fetched = tree.fetch(vn, ["ODD", "VIC"], Interval.D1, ALWAYS, now=NOW)

    assert type(fetched.failures["ODD"]) is error
    assert says in str(fetched.failures["ODD"])
    assert "root:x" not in str(fetched.failures["ODD"])
    assert fetched.bars["ticker"].to_pylist() == ["VIC"]


@pytest.mark.parametrize("to", ["/etc", "nowhere", "ODD"], ids=["out of the tree", "nowhere", "itself"])
def test_a_tickers_directory_that_leads_elsewhere_is_named(tmp_path: Path, vn: Market, to: str) -> None:
    write(tmp_path, "VIC", "1D.csv", ROW)
    (tmp_path / "ODD").symlink_to(to)
    tree = CsvTree(tmp_path)

    assert tree.tickers(vn, Interval.D1) == ("ODD", "VIC")
    fetched = tree.fetch(vn, ["ODD", "VIC"], Interval.D1, ALWAYS, now=NOW)

    assert type(fetched.failures["ODD"]) is BadInput
    assert len(fetched.bars) == 1


def test_a_file_beside_the_one_that_is_read_is_named(
    tmp_path: Path, vn: Market, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "VIC", "1D.csv", ROW)
    (tmp_path / "VIC" / "1D.CSV").touch()

    assert len(CsvTree(tmp_path).fetch(vn, ["VIC"], Interval.D1, ALWAYS, now=NOW).bars) == 1
    assert "1D.CSV beside it is not" in caplog.text


def test_a_name_that_is_no_text_is_told_and_passed_over(
    tmp_path: Path, vn: Market, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "VIC", "1D.csv", ROW)
    os.mkdir(os.fsencode(tmp_path) + b"/B\xff")

    assert CsvTree(tmp_path).tickers(vn, Interval.D1) == ("VIC",)
    assert r"B\udcff" in caplog.text


def test_a_directory_that_delivers_late_says_how_far_it_has_come(tmp_path: Path, vn: Market) -> None:
    rows = [f"2025-06-{day:02},10,12,9,11,100" for day in (2, 3)]
    write(tmp_path, "VIC", "1D.csv", *rows)
    write(tmp_path, "NEW", "1D.csv", "2025-08-01,10,12,9,11,100")
    window = Window(utc(2025, 6, 9), utc(2025, 6, 20))

    fetched = CsvTree(tmp_path).fetch(vn, ["VIC", "NEW"], Interval.D1, window, now=NOW)

    assert not fetched.failures
    assert fetched.newest == {"VIC": utc(2025, 6, 3), "NEW": utc(2025, 8, 1)}
    assert fetched.answered_until == {"VIC": utc(2025, 6, 9), "NEW": utc(2025, 6, 9)}
    assert fetched.rows["VIC"] == RowCount(2, 0, 0, {}, 2)


CELL = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=6)
LINE = st.one_of(
    st.just(f"VIC,{ROW}"),
    st.lists(CELL | st.sampled_from(["VIC", "2024-01-02", "1", "1_0", "١", "inf", '"']), max_size=9).map(
        ",".join
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=6), st.binary(max_size=8))
def test_every_line_is_a_bar_or_refused(tmp_path: Path, vn: Market, lines: list[str], end: bytes) -> None:
    path = tmp_path / "VIC" / "1D.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("\n".join((",".join(CELLS), *lines, "")).encode() + end)

    fetched = CsvTree(tmp_path).fetch(vn, ["VIC"], Interval.D1, ALWAYS, now=NOW)

    if "VIC" in fetched.failures:
        assert not isinstance(fetched.failures["VIC"], RowsLost)
    else:
        count = fetched.rows["VIC"]
        assert count.lost == 0
        assert len(fetched.bars) == count.bars
