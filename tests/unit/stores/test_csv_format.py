"""The text of written files: lossless to the bit, legacy as the documents' program printed it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_lab import CRYPTO, D1, H1, M1, VN, blocks, frame, tree

from hypertape.frame import Bars, floats_of, micros
from hypertape.model import INDICATOR_COLUMNS, PRICE_COLUMNS, Interval, Series, utc
from hypertape.sources.csv_tree import exact_product
from hypertape.stores.addresses import CsvFormat, CsvOptions
from hypertape.stores.csv import CsvStore
from hypertape.stores.csv_format import HEADER, Writer, quotient
from thorough import examples

LEGACY = CsvOptions(CsvFormat.LEGACY, market="vn")


def bars_of(close, volume=1000.0, *, interval=D1):
    close = np.asarray(close, np.float64)
    step = int(interval.delta.total_seconds()) * 1_000_000
    time = micros(utc(2024, 1, 2)) + np.arange(len(close)) * step
    volume = np.broadcast_to(np.asarray(volume, np.float64), close.shape)
    return Bars(time, close, close, close, close, volume, np.full(len(close), np.nan))


def lines(bars, format=CsvFormat.LOSSLESS, *, interval=D1, scale=1.0):
    writer = Writer("T", interval, format, scale)
    return b"".join(writer.lines(writer.settle(bars))).decode().splitlines()


def cells(line):
    return dict(zip(HEADER.decode().strip().split(","), line.split(","), strict=True))


def test_the_header_is_the_documents():
    assert HEADER == (
        b"ticker,time,open,high,low,close,volume,ma10,ma20,ma50,ma100,ma200,ma10_score,ma20_score,ma50_score,"
        b"ma100_score,ma200_score,close_changed,volume_changed,total_money_changed\n"
    )


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (D1, "2024-01-02"),
        (H1, "2024-01-02T00:00:00"),
        (M1, "2024-01-02T00:00:00"),
    ],
)
def test_time_is_a_date_for_days_and_seconds_below(interval, text):
    assert cells(lines(bars_of([1.0], interval=interval), interval=interval)[0])["time"] == text


@pytest.mark.parametrize(
    ("value", "text", "reason"),
    [
        (20500.0, "20500", "a whole number has no point"),
        (0.1 + 0.2, "0.30000000000000004", "all digits that tell the double from its neighbours"),
        (20483.33, "20483.33", "and no more"),
        (1e-7, "1e-7", "small numbers"),
        (1e16, "1e+16", "large numbers"),
    ],
)
def test_lossless_numbers(value, text, reason):
    cell = cells(lines(bars_of([value]))[0])["close"]
    assert cell == text, reason
    assert float(cell) == value


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (CsvFormat.LOSSLESS, ["", "", ""]),
        (CsvFormat.LEGACY, ["", "", ""]),
    ],
)
def test_the_first_bar_has_no_changes_and_no_averages(format, expected):
    row = cells(lines(bars_of([1.0]), format)[0])
    assert [row[name] for name in INDICATOR_COLUMNS] == [""] * 13
    assert [row["ma10"], row["close_changed"], row["total_money_changed"]] == expected


@pytest.mark.parametrize(
    ("close", "name", "text", "reason"),
    [
        ([20483.333] * 2, "close", "20483.33", "prices have 2 decimals"),
        ([0.125] * 2, "close", "0.12", "a half goes to the even digit where the double is exactly a half"),
        ([1.005] * 2, "close", "1.00", "else to where the double really lies: below the half here"),
        (
            [100.0, 100.004],
            "close_changed",
            "0.0000",
            "changes are those of the rounded prices, with 4 decimals",
        ),
        ([100.0, 99.0], "total_money_changed", "-1000", "money is whole"),
        ([3.0, 3.0], "total_money_changed", "0", "no change is a zero without sign"),
        ([100.0] * 10, "ma10", "100.00", "averages have 2 decimals"),
        ([100.0] * 10, "ma10_score", "0.0000", "scores have 4"),
    ],
)
def test_legacy_numbers(close, name, text, reason):
    assert cells(lines(bars_of(close), CsvFormat.LEGACY)[-1])[name] == text, reason


@pytest.mark.parametrize(("volume", "text"), [(1000.0, "1000"), (0.25, "0.25"), (3e16, "3e+16"), (0.0, "0")])
@pytest.mark.parametrize("format", list(CsvFormat))
def test_a_volume_keeps_its_fraction_in_every_format(format, volume, text):
    assert cells(lines(bars_of([1.0], volume), format)[0])["volume"] == text


def test_legacy_averages_are_summed_from_the_oldest_close_on():
    close = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1e16]
    total = 0.0
    for value in close:
        total += value
    assert cells(lines(bars_of(close), CsvFormat.LEGACY)[-1])["ma10"] == f"{total / 10:.2f}"


@pytest.mark.parametrize("format", list(CsvFormat))
@pytest.mark.parametrize("rows", [1, 7, 199, 200, 450])
def test_the_cut_into_blocks_does_not_show(format, rows):
    table = frame("T", 450)
    bars = Bars(
        np.asarray(table["time"].cast("int64")), *(floats_of(table, n) for n in table.column_names[2:])
    )
    writer = Writer("T", D1, format)
    settled = writer.settle(bars)
    pieces = [p for at in range(0, 450, rows) for p in writer.lines(settled.take(slice(at, at + rows)))]
    assert b"".join(pieces).decode().splitlines() == lines(bars, format)


@pytest.mark.parametrize(
    ("folder", "ticker", "market"),
    [("golden", "VIC", VN), ("csv/crypto_data", "BTC", CRYPTO)],
)
def test_the_answer_files_come_out_of_their_own_prices(shared_data, tmp_path, folder, ticker, market):
    source = CsvStore(shared_data / folder, CsvOptions(market=market.code))
    target = CsvStore(tmp_path, CsvOptions(CsvFormat.LEGACY, market=market.code))
    target.write(market, D1, source.read(Series(market.code, ticker, D1)))
    expected = (shared_data / folder / ticker / "1D.csv").read_text().splitlines()
    assert (tmp_path / ticker / "1D.csv").read_text().splitlines() == expected
    assert len(expected) > 2000


def test_legacy_written_twice_is_legacy_written_once(tmp_path):
    store = CsvStore(tmp_path, LEGACY)
    assert store.write(VN, D1, blocks(frame("T", 300))).inserted == 300
    before = tree(tmp_path)
    again = store.write(VN, D1, blocks(frame("T", 300)))
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 300)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("format", "name", "text", "reason"),
    [
        (CsvFormat.LOSSLESS, "close", "20.48333", "as it is written, not 20.483330000000002"),
        (CsvFormat.LEGACY, "close", "20.48333", "2 decimals of VND are 5 of thousands"),
        (CsvFormat.LEGACY, "ma10", "20.48333", "averages are prices"),
        (CsvFormat.LEGACY, "total_money_changed", "0.000", "so is money"),
        (CsvFormat.LEGACY, "volume", "1000", "a volume is not scaled"),
        (CsvFormat.LEGACY, "volume_changed", "0.0000", "percent is not either"),
    ],
)
def test_the_legacy_unit(format, name, text, reason):
    row = cells(lines(bars_of([20483.33] * 10), format, scale=1000.0)[-1])
    assert row[name] == text, reason


@settings(deadline=None)
@given(st.integers(1, 10**11), st.integers(0, 6))
def test_a_quotient_multiplied_is_the_decimal_again(whole, decimals):
    value = np.array([whole / 10**decimals])
    assert exact_product(quotient(value, 1000.0), 1000.0) == value
    assert float(quotient(value, 1000.0)[0]) == float(f"{whole}e-{decimals + 3}")


@settings(deadline=None)
@given(
    st.one_of(
        st.floats(1e-9, 1e16),
        st.integers(0, 10**7).map(lambda n: n / 8),
        st.integers(0, 10**7).map(lambda n: n / 1000),
    )
)
def test_a_legacy_price_is_the_text_read_back(value):
    writer = Writer("T", D1, CsvFormat.LEGACY)
    assert writer.settle(bars_of([value])).close[0] == float(f"{value:.2f}")


@settings(deadline=None, max_examples=examples(100))
@given(st.floats(1e-18, 1e18), st.sampled_from([Interval.D1, Interval.M1]))
def test_every_double_survives_the_lossless_text(value, interval):
    row = cells(lines(bars_of([value], value, interval=interval), interval=interval)[0])
    assert {float(row[name]) for name in (*PRICE_COLUMNS, "volume")} == {value}
