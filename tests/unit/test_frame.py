from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from airflow.sdk import timezone as airflow_time
from hypothesis import given
from hypothesis import strategies as st

from hypertape import frame
from hypertape.frame import BAR_SCHEMA, Bars, bar_frame, normalise, split_series
from hypertape.model import VALUE_COLUMNS, utc

COLUMNS = ("open", "high", "low", "close", "volume")


def values(*numbers: float) -> dict[str, list[float]]:
    return {name: list(numbers) for name in COLUMNS}


NEW_YEAR = 1_735_689_600_000_000
SAIGON = timezone(timedelta(hours=7))


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ([NEW_YEAR], "microseconds in a list"),
        (np.array([NEW_YEAR]), "microseconds in an array"),
        ([datetime(2025, 1, 1, tzinfo=UTC)], "aware instants"),
        ([datetime(2025, 1, 1, 7, tzinfo=SAIGON)], "instants of another zone"),
        (np.array(["2025-01-01"], "datetime64[s]"), "numpy seconds, as yfinance gives them"),
        (np.array(["2025-01-01"], "datetime64[ns]"), "numpy nanoseconds"),
        (np.array(["2025-01-01"], "datetime64[D]"), "numpy dates"),
        (pa.array([NEW_YEAR]).cast(pa.timestamp("us", "UTC")), "an Arrow array"),
        (pa.chunked_array([pa.array([NEW_YEAR]).cast(pa.timestamp("us", "UTC"))]), "an Arrow column"),
    ],
)
def test_a_frame_takes_times_in_any_form(time: Any, reason: str) -> None:
    built = bar_frame("VIC", time, values(1.0))
    assert built.schema == BAR_SCHEMA, reason
    assert frame.times_of(built).tolist() == [NEW_YEAR], reason


@pytest.mark.parametrize("time", [[], (), np.empty(0, np.int64), pa.array([], pa.timestamp("us", "UTC"))])
def test_a_frame_may_be_empty(time: Any) -> None:
    built = bar_frame("VIC", time, values())
    assert built.equals(frame.empty_frame())
    assert normalise(built) == (built, 0)
    assert list(split_series(built)) == []


def test_a_nan_is_null_in_adjusted_close_and_stays_elsewhere_for_the_gate() -> None:
    built = bar_frame("VIC", [1], {**values(float("nan")), "adjusted_close": [float("nan")]})
    assert built["adjusted_close"].null_count == 1
    assert built["close"].null_count == 0
    assert np.isnan(frame.floats_of(built, "close")).all()
    assert np.isnan(frame.floats_of(built, "adjusted_close")).all()


def test_a_frame_of_several_tickers_splits_into_series() -> None:
    built = bar_frame(["VIC", "FPT", "VIC"], [2, 1, 1], values(3.0, 1.0, 2.0))
    tidy, dropped = normalise(built)
    assert dropped == 0
    series = dict(split_series(tidy))
    assert list(series) == ["FPT", "VIC"]
    assert (series["VIC"].time.tolist(), series["VIC"].close.tolist()) == ([1, 2], [2.0, 3.0])
    assert np.isnan(series["VIC"].adjusted_close).all()


def test_of_two_bars_with_one_key_the_last_delivered_counts() -> None:
    built = bar_frame(["VIC", "VIC", "FPT", "VIC"], [5, 5, 5, 5], values(1.0, 2.0, 9.0, 3.0))
    tidy, dropped = normalise(built)
    assert dropped == 2
    assert tidy.select(["ticker", "close"]).to_pylist() == [
        {"ticker": "FPT", "close": 9.0},
        {"ticker": "VIC", "close": 3.0},
    ]


def test_normalise_takes_the_bar_columns_in_any_order_and_leaves_others() -> None:
    built = bar_frame("VIC", [2, 1], values(1.0, 2.0))
    mixed = built.select(built.column_names[::-1]).append_column("note", pa.array(["a", "b"]))
    assert normalise(mixed)[0].equals(normalise(built)[0])


ROWS = st.lists(
    st.tuples(st.sampled_from(["A", "B", "Z"]), st.integers(-3, 3), st.floats(0, 10)), max_size=20
)


@given(rows=ROWS)
def test_normalise_gives_the_dictionary_of_the_rows_sorted(rows: list[tuple[str, int, float]]) -> None:
    built = bar_frame([row[0] for row in rows], [row[1] for row in rows], values(*(row[2] for row in rows)))
    tidy, dropped = normalise(built)
    expected = sorted({(ticker, time): close for ticker, time, close in rows}.items())
    keys = zip(tidy["ticker"].to_pylist(), frame.times_of(tidy).tolist(), strict=True)
    assert list(zip(keys, tidy["close"].to_pylist(), strict=True)) == expected
    assert dropped == len(rows) - len(expected)
    assert normalise(tidy) == (tidy, 0)


@given(rows=ROWS)
def test_split_series_loses_and_adds_no_bar(rows: list[tuple[str, int, float]]) -> None:
    built = bar_frame([row[0] for row in rows], [row[1] for row in rows], values(*(row[2] for row in rows)))
    tidy, _ = normalise(built)
    parts = [bar_frame(ticker, bars.time, bars_columns(bars)) for ticker, bars in split_series(tidy)]
    assert pa.concat_tables([frame.empty_frame(), *parts]).combine_chunks().equals(tidy.combine_chunks())


def bars_columns(bars: Bars) -> dict[str, Any]:
    return {name: getattr(bars, name) for name in VALUE_COLUMNS}


def test_bars_are_taken_by_mask_slice_and_position() -> None:
    ((_, bars),) = split_series(bar_frame("VIC", [1, 2, 3], values(1.0, 2.0, 3.0)))
    assert bars.take(bars.close > 1).time.tolist() == [2, 3]
    assert bars.take(slice(0, 1)).close.tolist() == [1.0]
    assert len(bars.take([2, 0])) == 2
    assert len(Bars.empty()) == 0


@pytest.mark.parametrize(
    ("moment", "value", "reason"),
    [
        (utc(1970), 0, "the epoch"),
        (utc(1969, 12, 31, 23, 59) + timedelta(seconds=59, microseconds=999_999), -1, "just before it"),
        (utc(2025), NEW_YEAR, "today's bars"),
        (datetime.max.replace(tzinfo=UTC), 253_402_300_799_999_999, "as far as instants go"),
    ],
)
def test_instants_are_microseconds_and_back_exactly(moment: datetime, value: int, reason: str) -> None:
    assert frame.micros(moment) == value, reason
    assert frame.instant(value) == moment, reason
    assert frame.instant(np.int64(value)).tzinfo is UTC, reason


@pytest.mark.parametrize("instant", [utc(2024, 3, 4), utc(1960, 2, 29, 5)])
def test_instants_of_airflow_and_pandas_are_the_same_microseconds(instant: datetime) -> None:
    expected = frame.micros(instant)
    assert frame.micros(airflow_time.convert_to_utc(instant).in_timezone("Asia/Tokyo")) == expected
    assert frame.micros(pd.Timestamp(instant)) == expected


@given(moment=st.datetimes(timezones=st.just(SAIGON), min_value=datetime(2, 1, 1)))  # noqa: DTZ001
def test_no_microsecond_is_lost(moment: datetime) -> None:
    assert frame.instant(frame.micros(moment)) == moment


def test_rejects_carry_rule_value_and_row_and_may_lack_a_time() -> None:
    rejects = frame.reject_frame(
        [("VIC", utc(2025), "low", "-1", '{"low": "-1"}'), ("VIC", None, "time", "soon", '{"time": "soon"}')]
    )
    assert rejects.schema == frame.REJECT_SCHEMA
    assert rejects["time"].to_pylist() == [utc(2025), None]
    assert frame.reject_frame([]).equals(frame.empty_rejects())
