"""Which window a ticker gets, and in which batch: the parts of a plan that need no database."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight, utc
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.plan import (
    choose_tickers,
    make_batches,
    overlap_start,
    replayed,
    resolve_source,
    suggestions,
    window_for,
)
from hypertape.steps.raw import Note
from hypertape.steps.run_spec import Batch, BatchKind, RunSpec

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))
PLAN = BatchKind.PLAN
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1


@pytest.mark.parametrize(
    ("market", "interval", "watermark", "bars", "start"),
    [
        pytest.param(CRYPTO, D1, utc(2024, 3, 2), 1, utc(2024, 3, 1), id="the day before"),
        pytest.param(CRYPTO, D1, utc(2024, 3, 2), 10, utc(2024, 2, 21), id="ten days, one of them in a leap year"),
        pytest.param(CRYPTO, D1, utc(2024, 3, 2), 0, utc(2024, 3, 2), id="no overlap"),
        pytest.param(CRYPTO, D1, utc(2024, 3, 2, 12), 0, utc(2024, 3, 2), id="the open day is read again all the same"),
        pytest.param(CRYPTO, D1, utc(2024, 3, 2, 12), 2, utc(2024, 2, 29), id="beside two final ones"),
        pytest.param(VN, D1, utc(2024, 2, 15, 9), 3, utc(2024, 2, 6), id="over the Tet holidays"),
        pytest.param(VN, D1, utc(2024, 3, 5, 5), 0, utc(2024, 3, 5), id="while the exchange is open"),
        pytest.param(VN, D1, utc(2024, 3, 5, 9), 0, utc(2024, 3, 5, 9), id="after it has closed"),
        pytest.param(VN, D1, utc(2024, 3, 10), 1, utc(2024, 3, 8), id="on a Sunday"),
        pytest.param(CRYPTO, H1, utc(2024, 3, 2, 12, 20), 2, utc(2024, 3, 2, 10), id="hours, the running one open"),
        pytest.param(US, H1, utc(2024, 3, 4, 15, 5), 0, utc(2024, 3, 4, 14, 30), id="hours that open at half past"),
        pytest.param(CRYPTO, M1, utc(2024, 3, 2, 12, 20, ), 5, utc(2024, 3, 2, 12, 15), id="minutes"),
    ],
)  # fmt: skip
def test_where_the_overlap_begins(market, interval, watermark, bars, start):
    assert overlap_start(market, interval, watermark, bars) == start


def test_the_overlap_never_reaches_beyond_its_search():
    assert overlap_start(CRYPTO, D1, utc(2024, 3, 2), 10_000) == utc(2024, 3, 2) - timedelta(days=60)


@pytest.mark.parametrize(
    ("watermark", "end", "window"),
    [
        pytest.param(
            None, utc(2024), Window(midnight(CRYPTO.history_start[D1]), utc(2024)), id="never loaded"
        ),
        pytest.param(None, utc(2000), Window(utc(2000), utc(2000)), id="before there is any history"),
        pytest.param(
            utc(2024, 3), utc(2024, 3, 2), Window(utc(2024, 2, 20), utc(2024, 3, 2)), id="a day later"
        ),
        pytest.param(
            utc(2024, 3), utc(2024, 1), Window(utc(2024, 1), utc(2024, 1)), id="an old interval, up to date"
        ),
    ],
)
def test_the_window_of_a_scheduled_run(watermark, end, window):
    assert window_for(CRYPTO, D1, watermark, end, Settings()) == window


def test_tickers_of_one_window_share_batches():
    early, late = Window(utc(2020), utc(2024)), Window(utc(2023, 12), utc(2024))
    empty = Window(utc(2024), utc(2024))
    windows = {"A": late, "B": early, "C": late, "D": late, "E": empty, "F": late}
    assert make_batches(windows, 3) == [
        Batch(PLAN, 0, ("B",), early),
        Batch(PLAN, 1, ("A", "C", "D"), late),
        Batch(PLAN, 2, ("F",), late),
    ]
    assert make_batches({}, 3) == []


def test_a_plan_travels_as_json():
    window = Window(utc(2020), utc(2024))
    head = RunSpec("run", VN, D1, SourceConfig("csv_tree", "/data", legacy_scale=True), window)
    assert RunSpec.from_json(json.loads(json.dumps(head.to_json()))) == head
    batch = Batch(BatchKind.REREAD, 4, ("A", "B"), window)
    assert Batch.from_json(json.loads(json.dumps(batch.to_json()))) == batch


@pytest.mark.parametrize(
    ("given", "settings", "expected"),
    [
        pytest.param(
            None, {}, SourceConfig("vci", fallbacks=("yahoo",)), id="the market's, one after the other"
        ),
        pytest.param({}, {"source": "sample"}, SourceConfig("sample"), id="the setting's"),
        pytest.param(
            {"name": "yahoo"}, {"source": "sample"}, SourceConfig("yahoo"), id="what was asked for wins"
        ),
        pytest.param(
            {"name": None, "directory": None},
            {"source": "csv_tree", "source_dir": "/data", "legacy_scale": True},
            SourceConfig("csv_tree", "/data", legacy_scale=True),
            id="a directory from the settings",
        ),
        pytest.param(
            {"directory": "/mine", "legacy_scale": False},
            {"source": "csv_tree", "source_dir": "/data", "legacy_scale": True},
            SourceConfig("csv_tree", "/mine"),
            id="another directory",
        ),
        pytest.param(
            {"name": "yahoo"}, {"source_dir": "/data"}, SourceConfig("yahoo"), id="yahoo needs no directory"
        ),
    ],
)
def test_which_source(given, settings, expected):
    assert resolve_source(VN, given, Settings(**settings)) == expected


def test_a_source_is_not_told_what_it_does_not_know():
    with pytest.raises(BadInput, match="unknown key 'colour'"):
        resolve_source(VN, {"name": "yahoo", "colour": "red"}, Settings())


def test_the_tickers_asked_for_once_each():
    assert choose_tickers(VN, D1, SourceConfig("csv_tree", "/nowhere"), ["B", "A", "B"], Settings()) == (
        "B",
        "A",
    )


def test_the_tickers_a_directory_has(tmp_path):
    for name in ("B", "A", "C"):
        (tmp_path / name).mkdir()
    for name in ("A", "B"):
        (tmp_path / name / "1D.csv").touch()
    config = SourceConfig("csv_tree", str(tmp_path))
    assert choose_tickers(VN, D1, config, None, Settings()) == ("A", "B")
    with pytest.raises(BadInput, match=r"lists no tickers for vn 1m\. Name them with --tickers"):
        choose_tickers(VN, M1, config, None, Settings())
    with pytest.raises(SourceFileMissing):
        choose_tickers(VN, D1, SourceConfig("csv_tree", str(tmp_path / "nowhere")), None, Settings())


def test_a_vendor_that_cannot_be_asked_gets_the_markets_file():
    assert set(choose_tickers(VN, D1, SourceConfig("yahoo"), None, Settings())) == set(VN.by_ticker)


def test_a_replay_repeats_what_was_loaded_and_not_what_was_only_compared():
    asks = ((utc(2025, 6, 20), ("AAA", "BBB")),)
    window = Window(utc(2025, 6, 2), utc(2025, 6, 7))
    found = [
        Note("vn", "1d", kind, 0, window, SourceConfig("vci"), asks)
        for kind in (PLAN, BatchKind.LATEST, BatchKind.FIRST, BatchKind.CONTROL, BatchKind.REREAD)
    ]
    assert [batch.kind for batch in replayed(found, None)] == [PLAN, BatchKind.REREAD]
    assert [batch.tickers for batch in replayed(found, ["BBB"])] == [("BBB",)] * 2
    with pytest.raises(BadInput, match="asked for none of these tickers"):
        replayed(found, ["CCC"])


def test_a_name_that_failed_is_answered_with_the_one_most_like_it():
    assert suggestions(US, ["MSFTT", "ZZZZZZ", "AAPL"], []) == [
        "MSFTT is not in the list of us: did you mean MSFT?"
    ]
    assert suggestions(US, ["SYNTECHX"], ["SYNTECH"]) == [
        "SYNTECHX is not in the list of us: did you mean SYNTECH?"
    ]
