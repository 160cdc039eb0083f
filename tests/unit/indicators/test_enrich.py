import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_series import bits, prices, random_walk, volumes

import hypertape.indicators
from hypertape.errors import BadInput
from hypertape.indicators import COLUMNS, INDICATORS, LOOKBACK, enrich, enrich_many
from hypertape.model import INDICATOR_COLUMNS, LONGEST_LOOKBACK, PREVIOUS_COLUMNS

bars = st.lists(st.tuples(prices, volumes), min_size=1, max_size=450)


def columns_of(pairs):
    close, volume = np.array(pairs, np.float64).reshape(-1, 2).T.copy()
    return close, volume


def assert_same_bits(left, right):
    assert list(left) == list(right)
    for name in left:
        assert np.array_equal(bits(left[name]), bits(right[name])), name


def test_the_documents_columns_come_first_and_every_family_is_found():
    assert (*INDICATOR_COLUMNS, *PREVIOUS_COLUMNS) == COLUMNS
    assert list(enrich(np.ones(3), np.ones(3))) == list(COLUMNS)
    made = [column for indicator in INDICATORS for column in indicator.columns]
    assert sorted(made) == sorted(COLUMNS)


def test_lookback_is_what_the_longest_average_needs_before_its_own_bar():
    assert LOOKBACK == LONGEST_LOOKBACK - 1 == 199


@settings(max_examples=60, deadline=None)
@given(bars, st.data())
def test_window_with_lookback_equals_the_slice_of_the_full_run(pairs, data):
    close, volume = columns_of(pairs)
    start = data.draw(st.integers(0, len(close) - 1))
    end = data.draw(st.integers(start + 1, len(close)))
    first = max(start - LOOKBACK, 0)
    window = enrich(close[first:end].copy(), volume[first:end].copy())
    full = enrich(close, volume)
    assert_same_bits(
        {name: values[start - first :] for name, values in window.items()},
        {name: values[start:end] for name, values in full.items()},
    )


def test_one_bar_less_lookback_is_not_enough():
    close, volume = random_walk(300)
    short = enrich(close[300 - LOOKBACK :], volume[300 - LOOKBACK :])
    assert np.isnan(short["ma200"][-1])
    assert np.isfinite(enrich(close, volume)["ma200"][-1])


@settings(max_examples=40, deadline=None)
@given(bars, st.integers(1, 300))
def test_bits_do_not_depend_on_the_block_size(pairs, block):
    close, volume = columns_of(pairs)
    whole = enrich(close, volume)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypertape.indicators, "_BLOCK", block)
        assert_same_bits(enrich(close, volume), whole)


def test_a_series_of_many_blocks_equals_any_of_its_windows():
    close, volume = random_walk(40_000)
    full = enrich(close, volume)
    for start in (1, 16_000, 16_383, 16_384, 16_385, 20_000, 39_990):
        first = max(start - LOOKBACK, 0)
        window = enrich(close[first : start + 500], volume[first : start + 500])
        assert_same_bits(
            {name: values[start - first :] for name, values in window.items()},
            {name: values[start : start + 500] for name, values in full.items()},
        )


@settings(max_examples=30, deadline=None)
@given(st.lists(bars | st.just([]), max_size=5), st.integers(50, 1_000))
def test_series_beside_each_other_do_not_see_each_other(several, block):
    series = [columns_of(pairs) for pairs in several]
    bounds = [0, *itertools.accumulate(len(close) for close, _ in series)]
    close = np.concatenate([np.empty(0), *(close for close, _ in series)])
    volume = np.concatenate([np.empty(0), *(volume for _, volume in series)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypertape.indicators, "_BLOCK", block)
        together = enrich_many(close, volume, bounds)
    for one, (start, end) in zip(series, itertools.pairwise(bounds), strict=True):
        assert_same_bits({name: values[start:end] for name, values in together.items()}, enrich(*one))


def test_inputs_are_left_as_they_were():
    close, volume = random_walk(300)
    before = close.copy(), volume.copy()
    enrich(close, volume)
    assert np.array_equal(close, before[0])
    assert np.array_equal(volume, before[1])


def test_read_only_and_strided_arrays_do_as_well():
    close, volume = random_walk(300)
    strided = np.column_stack([close, volume])
    strided.flags.writeable = False
    assert_same_bits(enrich(strided[:, 0], strided[:, 1]), enrich(close, volume))


@pytest.mark.parametrize(
    ("closes", "volumes", "bounds", "reason"),
    [(3, 2, [0, 3], "volume too short"), (3, 3, [0, 2], "bounds end early"), (0, 1, [0, 0], "no close")],
)
def test_lengths_that_do_not_fit_are_refused(closes, volumes, bounds, reason):
    with pytest.raises(BadInput, match="do not fit"):
        enrich_many(np.ones(closes), np.ones(volumes), bounds)


SPREAD = """
import numpy as np
from hypertape.indicators._indicator import Indicator

def compute(short, long, out):
    (result,) = out
    np.subtract(short[-len(result) :], long[-len(result) :], out=result)

INDICATOR = Indicator("spread", ("ma10", "ma200"), {"spread": 5}, compute)
"""


def test_an_indicator_is_added_by_one_file(tmp_path):
    (tmp_path / "spread.py").write_text(SPREAD)
    program = (
        "import sys, numpy\n"
        "from importlib.util import find_spec, module_from_spec\n"
        "spec = find_spec('hypertape.indicators')\n"
        f"spec.submodule_search_locations.append({str(tmp_path)!r})\n"
        "module = sys.modules[spec.name] = module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(module.LOOKBACK, module.COLUMNS[-1], module.enrich(numpy.ones(300), numpy.ones(300))['spread'][-1])\n"
    )
    include = Path(hypertape.indicators.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=include, capture_output=True, text=True)
    assert (done.stderr, done.stdout.split()) == ("", ["204", "spread", "0.0"])


def test_indicators_know_numpy_and_the_model_only():
    program = (
        "import sys, hypertape.indicators\n"
        "print([name for name in ('pyarrow', 'pandas', 'psycopg') if name in sys.modules])"
    )
    include = Path(hypertape.indicators.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=include, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "[]\n")
