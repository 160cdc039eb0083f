"""Stretches on their way: cutting, widening and following them gives the same whatever the pieces are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertape.api.bar_chunks import PRICES, BarSlice, IndicatorStream, cut_to, in_legacy_unit, resampled
from hypertape.api.bar_query import BarQuery, read_query
from hypertape.frame import instant
from hypertape.indicators import enrich
from hypertape.indicators.ema import ema
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS

HOUR = 3_600_000_000
EVERYTHING = replace(read_query(start_date="1970-01-01"), start=None, limit=None)


def bars(count: int, step: int = HOUR, seed: int = 1) -> BarSlice:
    random = np.random.default_rng(seed)
    columns = {name: random.uniform(10, 20, count) for name in PRICES}
    return BarSlice(np.arange(count, dtype=np.int64) * step, columns)


def pieces(whole: BarSlice, cuts: list[int]) -> Iterator[BarSlice]:
    edges = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    return (whole.cut(first, last) for first, last in itertools.pairwise(edges))


def joined(parts: list[BarSlice]) -> dict[str, Any]:
    names = parts[0].columns if parts else ()
    columns = {name: np.concatenate([part.columns[name] for part in parts]).tolist() for name in names}
    return {"time": np.concatenate([part.time for part in parts]).tolist() if parts else [], **columns}


@given(st.lists(st.integers(0, 300), max_size=6))
def test_following_pieces_is_following_the_whole(cuts: list[int]) -> None:
    whole = bars(260)
    stream = IndicatorStream((5, 20))
    got = joined([stream.follow(piece) for piece in pieces(whole, cuts)])
    close, volume = whole.columns["close"], whole.columns["volume"]
    made = enrich(close, volume)
    for name in INDICATOR_COLUMNS:
        np.testing.assert_array_equal(got[name], made[name], err_msg=name)
    np.testing.assert_array_equal(got["ema5"], ema(close, 5))


@given(st.lists(st.integers(0, 60), max_size=6), st.sets(st.integers(0, 59), max_size=40))
def test_widening_pieces_is_widening_the_whole(cuts: list[int], holes: set[int]) -> None:
    full = bars(60)
    kept = [position for position in range(60) if position not in holes]
    whole = BarSlice(full.time[kept], {name: values[kept] for name, values in full.columns.items()})
    got = joined(list(resampled(pieces(whole, cuts), 4)))
    assert got == joined(list(resampled([whole], 4)))
    assert all(time % (4 * HOUR) == 0 for time in got["time"])
    assert sum(got.get("volume", [])) == pytest.approx(whole.columns["volume"].sum())


def test_a_bar_of_four_hours() -> None:
    columns = {
        "open": [1, 2, 3, 9],
        "high": [5, 8, 6, 9],
        "low": [1, 0.5, 2, 9],
        "close": [2, 3, 4, 9],
        "volume": [10, 0, 5, 7],
    }
    whole = BarSlice(np.array([1, 2, 3, 4]) * HOUR, {k: np.array(v, float) for k, v in columns.items()})
    first, last = joined(list(resampled([whole], 4))), 4 * HOUR
    assert first["time"] == [0, last]
    assert [first[name][0] for name in PRICES] == [1, 8, 0.5, 4, 15]


def asked(**told: Any) -> BarQuery:
    question = replace(EVERYTHING, **told)
    assert question.newest is (question.start is None)
    return question


@given(
    st.lists(st.integers(0, 40), max_size=5),
    st.none() | st.integers(-5, 45),
    st.none() | st.integers(-5, 45),
    st.none() | st.integers(1, 50),
)
def test_cutting_pieces_is_slicing_the_whole(
    cuts: list[int], start: int | None, end: int | None, limit: int | None
) -> None:
    whole = bars(40)
    question = asked(
        start=None if start is None else instant(start * HOUR),
        end=None if end is None else instant(end * HOUR),
        limit=limit,
    )
    hours = [h for h in range(40) if (start is None or h >= start) and (end is None or h < end)]
    if limit is not None:
        hours = hours[:limit] if start is not None else hours[-limit:]
    got = joined(list(cut_to(pieces(whole, cuts), question)))
    assert got["time"] == [hour * HOUR for hour in hours]


def test_the_legacy_unit_divides_money_and_nothing_else() -> None:
    stream = IndicatorStream((3,))
    whole = stream.follow(bars(30))
    vn = get_market("vn")
    divided = in_legacy_unit(whole, vn, "VCB", ("ema3",))
    for name, values in whole.columns.items():
        money = name not in ("volume", "close_changed", "volume_changed") and not name.endswith("_score")
        np.testing.assert_allclose(divided.columns[name], values / 1000 if money else values, err_msg=name)
    assert in_legacy_unit(whole, vn, "VNINDEX") is whole
    assert in_legacy_unit(whole, get_market("crypto"), "BTC") is whole
