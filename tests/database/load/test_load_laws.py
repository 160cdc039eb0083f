"""Laws of the load, held against random series, random cuts and random orders."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import (
    CRYPTO,
    D1,
    changed,
    fingerprint,
    fresh_fingerprint,
    new_ticker,
    put,
    query,
    to_frame,
    tuples_written,
    walk,
)

from hypertape.frame import VALUE_COLUMNS, Bars, bar_frame, split_series
from hypertape.indicators import enrich
from hypertape.model import INDICATOR_COLUMNS, STORED_INDICATOR_COLUMNS, utc
from hypertape.quality.gate import gate
from hypertape.warehouse.read import digests
from thorough import examples

examples = settings(
    max_examples=examples(20, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)
"""Every example has tickers of its own, so that the warehouse can be shared."""


@dataclass(frozen=True)
class Loads:
    """A series and slices of it that cover it, in any order, with overlaps and repetitions."""

    length: int
    seed: int
    cuts: list[slice]

    def __iter__(self):
        return iter((walk(self.length, seed=self.seed), self.cuts))


@st.composite
def loads(draw):
    length = draw(st.integers(1, 420))
    inner = draw(st.sets(st.integers(1, length), max_size=4))
    edges = sorted({0, length, *inner})
    cuts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    for _ in range(draw(st.integers(0, 2))):
        first = draw(st.integers(0, length - 1))
        cuts.append(slice(first, draw(st.integers(first + 1, length))))
    return Loads(length, draw(st.integers(0, 10_000)), draw(st.permutations(cuts)))


@examples
@given(loads())
def test_one_piece_equals_any_cut_in_any_order(common, example):
    bars, cuts = example
    ticker = new_ticker()
    for cut in cuts:
        put(common, {ticker: bars.take(cut)})
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)
    assert query(common, "select 1 from bar_revision where ticker = %s", ticker) == []
    assert query(common, "select sum(inserted) from load where ticker = %s", ticker) == [(len(bars),)]


@examples
@given(loads(), st.randoms(use_true_random=False))
def test_duplicates_and_disorder_inside_a_frame_change_nothing(common, example, random):
    bars, cuts = example
    rows = list(range(len(bars)))
    repeated = rows + [row for cut in cuts for row in rows[cut]]
    random.shuffle(repeated)
    messy = to_frame({(ticker := new_ticker()): bars.take(np.array(repeated))})
    gated = gate(messy, CRYPTO, D1, now=utc(2025))
    assert gated.duplicates == {ticker: len(repeated) - len(bars)}
    put(common, dict(split_series(gated.bars)))
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)


@examples
@given(loads())
def test_a_load_repeated_writes_nothing(common, example):
    bars, cuts = example
    ticker = new_ticker()
    put(common, {ticker: bars.take(cuts[0])})
    before = fingerprint(common, ticker)
    with tuples_written(common) as written:
        result = put(common, {ticker: bars.take(cuts[0])})[ticker]
    assert set(written) == {"public.load"}
    assert result.unchanged == len(bars.take(cuts[0]))
    assert fingerprint(common, ticker) == before


@examples
@given(loads(), st.data())
def test_restating_and_restating_back_leaves_the_bars_and_two_revisions(common, example, data):
    bars, _ = example
    at = sorted(data.draw(st.sets(st.integers(0, len(bars) - 1), min_size=1, max_size=5)))
    name = data.draw(st.sampled_from(VALUE_COLUMNS))
    ticker = new_ticker()
    put(common, {ticker: bars})
    before = fingerprint(common, ticker)
    step = -1.0 if name == "low" else 1.0
    restated = changed(bars, at, **{name: lambda old: old + step})
    assert put(common, {ticker: restated})[ticker].updated == len(at)
    assert fingerprint(common, ticker) == fresh_fingerprint(common, restated)
    assert put(common, {ticker: bars})[ticker].updated == len(at)
    assert fingerprint(common, ticker) == before
    revisions = f"select time, {name} from bar_revision where ticker = %s order by replaced_by, time"
    kept = [found for _, found in query(common, revisions, ticker)]
    assert kept == [*getattr(bars, name)[at], *getattr(restated, name)[at]]


@examples
@given(loads(), st.data())
def test_the_newest_word_wins_whatever_came_before(common, example, data):
    """Restatements on top of each other, in cuts: the warehouse equals a fresh load of the final series."""
    bars, cuts = example
    ticker, final = new_ticker(), bars
    put(common, {ticker: bars})
    for cut in cuts:
        at = data.draw(st.integers(cut.start, cut.stop - 1))
        final = changed(final, at, close=lambda old: old * 1.001, high=lambda old: old * 1.01)
        put(common, {ticker: final.take(cut)})
    assert fingerprint(common, ticker) == fresh_fingerprint(common, final)


@examples
@given(loads(), st.integers(0, 2**32 - 1))
def test_the_view_gives_the_same_bits_as_the_indicator_task(common, example, seed):
    bars, cuts = example
    random = np.random.default_rng(seed)
    bars = changed(bars, random.integers(0, len(bars), 3), volume=0.0)
    ticker = new_ticker()
    for cut in cuts:
        put(common, {ticker: bars.take(cut)})
    assert_same_bits(common, ticker, bars, "crypto_data_1d")


def test_the_view_gives_the_same_bits_for_prices_below_zero(common):
    """Where a market allows them: previous values at and below zero have no percent change."""
    bars = walk(300)
    random = np.random.default_rng(5)
    close = np.round(random.normal(0.0, 5.0, 300), 1)
    close[[40, 41, 90]] = 0.0
    close[100:110] = 0.0
    ticker = new_ticker()
    odd = Bars(bars.time, close, close + 1, close - 1, close, bars.volume, bars.adjusted_close)
    assert put(common, {ticker: odd}, replace(CRYPTO, plausible_prices={}))[ticker].refused is None
    assert_same_bits(common, ticker, odd, "crypto_data_1d")


def assert_same_bits(connection, ticker, bars, relation):
    """Compare the 13 public and the 7 stored indicator columns with the indicator task's, as integers."""
    computed = enrich(bars.close, bars.volume)
    for names, place in ((INDICATOR_COLUMNS, relation), (STORED_INDICATOR_COLUMNS, f"bars.{relation}")):
        found = _columns(connection, ticker, names, place)
        for name in names:
            differing = np.flatnonzero(_bits(found[name]) != _bits(computed[name]))
            assert len(differing) == 0, f"{name} differs at {differing[:5]}"


def _columns(connection, ticker, names, relation):
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            f"select {', '.join(names)} from {relation} where ticker = %s order by time", (ticker,)
        ).fetchall()
    values = np.array([[np.nan if cell is None else cell for cell in row] for row in rows])
    return {name: values[:, at] for at, name in enumerate(names)}


def _bits(column):
    """The bits of each double, with one NaN for all."""
    return np.where(np.isnan(column), np.nan, column).view(np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_real_bitcoin_in_any_cut(common, shared_data, seed):
    """Sixteen years and seven orders of magnitude, in shuffled windows of a random length."""
    lines = (shared_data / "csv" / "crypto_data" / "BTC" / "1D.csv").read_text().splitlines()[1:]
    cells = np.array([line.split(",")[1:7] for line in lines])
    numbers = cells[:, 1:].astype(float)
    frame = bar_frame(
        "X",
        cells[:, 0].astype("datetime64[us]").astype(np.int64),
        dict(zip(VALUE_COLUMNS, numbers.T, strict=False)),
    )
    ((_, bars),) = split_series(gate(frame, CRYPTO, D1, now=utc(2026)).bars)
    random = np.random.default_rng(seed)
    edges = [0, *np.sort(random.choice(np.arange(1, len(bars)), 12, replace=False)).tolist(), len(bars)]
    ticker = new_ticker("BTC")
    for at in random.permutation(len(edges) - 1):
        result = put(common, {ticker: bars.take(slice(edges[at], edges[at + 1]))})[ticker]
        assert result.refused is None
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)
    assert_same_bits(common, ticker, bars, "crypto_data_1d")
    (found,) = digests(common, CRYPTO, D1, [ticker])
    assert found.rows == len(bars) > 5_500
