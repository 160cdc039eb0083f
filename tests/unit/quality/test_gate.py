import csv
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypertape.errors import BadInput
from hypertape.frame import BAR_SCHEMA, REJECT_SCHEMA, bar_frame, empty_frame, instant, micros, split_series
from hypertape.markets import all_markets, get_market
from hypertape.model import BAR_COLUMNS, PRICE_COLUMNS, Interval, utc
from hypertape.quality.gate import BAR_RULES, KEY_RULES, gate
from hypertape.quality.gate_rules import action_of, check_actions, flags_of

NOW = utc(2026, 1, 2, 12)
DAY = utc(2025, 1, 2)
GOOD = {
    "ticker": "AAA",
    "time": DAY,
    "open": 10.0,
    "high": 11.0,
    "low": 9.0,
    "close": 10.5,
    "volume": 100.0,
    "adjusted_close": None,
}
CRYPTO = get_market("crypto")


def frame_of(*rows):
    return pa.Table.from_pylist([{**GOOD, **row} for row in rows], schema=BAR_SCHEMA)


def judge(*rows, market=CRYPTO, interval=Interval.D1):
    return gate(frame_of(*rows), market, interval, now=NOW)


def rows_in_and_out(frame, gated):
    return len(frame), len(gated.bars) + len(gated.rejects) + sum(gated.duplicates.values())


@pytest.mark.parametrize(
    ("defect", "rule", "value"),
    [
        ({"ticker": None}, "bad_ticker", ""),
        ({"ticker": ""}, "bad_ticker", ""),
        ({"ticker": "BTC/USDT"}, "bad_ticker", "BTC/USDT"),
        ({"ticker": "../etc"}, "bad_ticker", "../etc"),
        ({"ticker": ".."}, "bad_ticker", ".."),
        ({"ticker": "."}, "bad_ticker", "."),
        ({"ticker": "A B"}, "bad_ticker", "A B"),
        ({"ticker": "AAA\n"}, "bad_ticker", "AAA\\n"),
        ({"ticker": "A\x00A"}, "bad_ticker", "A\\x00A"),
        ({"ticker": "É"}, "bad_ticker", "\\xc9"),
        ({"ticker": "A" * 33}, "bad_ticker", "A" * 33),
        ({"ticker": "A" * 5000}, "bad_ticker", "A" * 64),
        ({"time": None}, "missing_time", "None"),
        ({"time": utc(1899, 12, 31)}, "too_early", "1899-12-31T00:00:00+00:00"),
        ({"time": utc(2025, 1, 2, 3)}, "off_grid", "2025-01-02T03:00:00+00:00"),
        ({"time": DAY + timedelta(microseconds=1)}, "off_grid", "2025-01-02T00:00:00.000001+00:00"),
        ({"time": utc(2026, 1, 3)}, "future", "2026-01-03T00:00:00+00:00"),
        ({"open": math.nan}, "not_finite", "open=nan"),
        ({"close": None}, "not_finite", "close=None"),
        ({"high": math.inf}, "not_finite", "high=inf"),
        ({"volume": math.inf}, "not_finite", "volume=inf"),
        ({"volume": math.nan}, "not_finite", "volume=nan"),
        ({"adjusted_close": -math.inf}, "not_finite", "adjusted_close=-inf"),
        ({"low": 0.0}, "non_positive_price", "low=0.0"),
        ({"open": -1.0, "low": -2.0}, "non_positive_price", "open=-1.0"),
        ({"volume": -1.0}, "negative_volume", "volume=-1.0"),
        ({"high": 1e300}, "out_of_range", "high=1e+300"),
        ({"low": 5e-324}, "out_of_range", "low=5e-324"),
        ({"volume": 1e19}, "out_of_range", "volume=1e+19"),
        ({"volume": 1e-300}, "out_of_range", "volume=1e-300"),
        ({"low": 12.0}, "high_below_low", "open=10.0, high=11.0, low=12.0, close=10.5"),
    ],
)
def test_a_defect_is_refused_with_its_rule_and_value_and_the_rest_goes_on(defect, rule, value):
    gated = judge({"time": DAY + timedelta(days=1)}, defect)
    assert gated.bars.to_pylist() == [{**GOOD, "time": DAY + timedelta(days=1)}]
    (reject,) = gated.rejects.to_pylist()
    assert (reject["rule"], reject["value"]) == (rule, value)


def test_the_table_above_names_every_rule():
    rules = [rule.name for rule in (*KEY_RULES, *BAR_RULES) if action_of(rule, CRYPTO) == "refuse"]
    table = test_a_defect_is_refused_with_its_rule_and_value_and_the_rest_goes_on.pytestmark[0].args[1]
    assert list(dict.fromkeys(rule for _, rule, _ in table)) == rules


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"ticker": "^GSPC"}, "indices"),
        ({"ticker": "BRK-B"}, "share classes"),
        ({"ticker": "EURUSD=X"}, "currencies"),
        ({"ticker": "0700.HK"}, "suffixes"),
        ({"ticker": "A" * 32}, "the longest"),
        ({"time": utc(1900)}, "the earliest"),
        ({"time": utc(2026, 1, 2)}, "today's bar has opened"),
        ({"volume": 0.0}, "nobody traded"),
        ({"volume": 1e-9}, "crypto trades in fractions"),
        ({"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0}, "one price all day"),
        ({"open": 1e-18, "high": 1e-18, "low": 1e-18, "close": 1e-18}, "the smallest price"),
        ({"adjusted_close": -0.5}, "the vendor's derived figure is not the gate's to judge"),
    ],
)
def test_a_good_row_passes_unchanged(row, reason):
    gated = judge(row)
    assert gated.bars.to_pylist() == [{**GOOD, **row}], reason
    assert (gated.rejects.num_rows, gated.duplicates) == (0, {})


@pytest.mark.parametrize(
    ("interval", "time", "passes"),
    [
        (Interval.D1, utc(2025, 1, 2, 0, 1), False),
        (Interval.H1, utc(2025, 1, 2, 3), True),
        (Interval.H1, utc(2025, 1, 2, 3, 30), False),
        (Interval.M1, utc(2025, 1, 2, 3, 31), True),
        (Interval.M1, utc(2025, 1, 2, 3, 31) + timedelta(seconds=15), False),
        (Interval.M1, NOW, True),
        (Interval.M1, NOW + timedelta(minutes=1), False),
    ],
)
def test_grid_and_future_by_interval(interval, time, passes):
    gated = judge({"time": time}, interval=interval)
    assert (len(gated.bars) == 1) is passes
    assert len(gated.rejects) == (not passes)


def test_prices_below_zero_where_the_market_allows_them():
    prices = {"open": -1.0, "high": 0.0, "low": -3.0, "close": -2.0}
    spreads = replace(CRYPTO, positive_prices=False)
    assert judge(prices).rejects["rule"].to_pylist() == ["non_positive_price"]
    assert len(judge(prices, market=spreads).bars) == 1


def test_the_first_broken_rule_in_order_names_the_reject():
    every = {"time": utc(2030, 1, 1, 5), "open": -math.inf, "volume": -3.0, "high": 1.0}
    assert judge(every).rejects["rule"].to_pylist() == ["off_grid"]
    assert judge({**every, "time": DAY}).rejects["rule"].to_pylist() == ["not_finite"]
    assert judge({**every, "time": DAY, "open": -9.0}).rejects["rule"].to_pylist() == ["non_positive_price"]
    assert judge({**every, "time": DAY, "open": 10.0}).rejects["rule"].to_pylist() == ["negative_volume"]


def test_the_reject_keeps_the_row_so_that_it_can_be_replayed():
    row = {"close": 0.1 + 0.2, "high": 1e22, "low": math.nan, "volume": math.inf}
    (reject,) = judge(row).rejects.to_pylist()
    kept = json.loads(reject["row"], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(kept) == list(BAR_COLUMNS)
    assert kept == {
        **GOOD,
        "time": "2025-01-02T00:00:00+00:00",
        "close": 0.30000000000000004,
        "high": 1e22,
        "low": "nan",
        "volume": "inf",
    }
    assert datetime.fromisoformat(kept["time"]) == reject["time"] == DAY
    assert reject["ticker"] == "AAA"


@pytest.mark.parametrize(
    "microseconds", [-(2**63) + 1, micros(utc(1)) - 1, micros(utc(9999, 12, 31)), 2**63 - 1]
)
def test_a_time_no_datetime_can_hold_is_refused_without_breaking_the_reject(microseconds):
    values = {name: [GOOD[name]] for name in (*PRICE_COLUMNS, "volume")}
    frame = bar_frame("AAA", np.array([microseconds]), values)
    gated = gate(frame, CRYPTO, Interval.M1, now=NOW)
    (reject,) = gated.rejects.to_pylist()
    assert reject["time"] is None
    assert reject["rule"] in ("too_early", "off_grid", "future")
    assert json.loads(reject["row"])["time"].endswith("+00:00")


def test_duplicates_the_last_row_wins_and_is_counted_by_ticker():
    gated = judge(
        {"close": 9.5},
        {"ticker": "BBB"},
        {"close": 9.6},
        {"close": 9.7},
        {"ticker": "CCC"},
        {"ticker": "CCC"},
    )
    assert gated.duplicates == {"AAA": 2, "CCC": 1}
    assert gated.bars["ticker"].to_pylist() == ["AAA", "BBB", "CCC"]
    assert gated.bars["close"][0].as_py() == 9.7


def test_a_bad_last_row_wins_as_well_and_is_refused():
    gated = judge({"close": 9.5}, {"close": math.nan})
    assert (len(gated.bars), len(gated.rejects), gated.duplicates) == (0, 1, {"AAA": 1})


def test_unsorted_rows_are_sorted():
    gated = judge({"ticker": "B"}, {"time": utc(2025, 1, 3)}, {}, {"ticker": "AA"})
    keys = list(zip(gated.bars["ticker"].to_pylist(), gated.bars["time"].to_pylist(), strict=True))
    assert keys == [("AA", DAY), ("AAA", DAY), ("AAA", utc(2025, 1, 3)), ("B", DAY)]
    assert gated.duplicates == {}


def test_nan_in_the_adjusted_close_means_missing():
    gated = judge({"adjusted_close": math.nan}, {"ticker": "B", "adjusted_close": 4.0})
    assert gated.bars["adjusted_close"].to_pylist() == [None, 4.0]


def test_an_empty_frame_passes():
    gated = gate(empty_frame(), CRYPTO, Interval.D1, now=NOW)
    assert (gated.bars.schema, gated.rejects.schema, gated.duplicates) == (BAR_SCHEMA, REJECT_SCHEMA, {})
    assert gated.bars.num_rows == gated.rejects.num_rows == 0


def test_a_frame_of_nothing_but_bad_rows():
    gated = judge({"ticker": None}, {"ticker": None}, {"volume": -1.0})
    assert gated.bars.num_rows == 0
    assert gated.rejects["rule"].to_pylist() == ["bad_ticker", "bad_ticker", "negative_volume"]
    assert gated.rejects["ticker"].to_pylist() == ["", "", "AAA"]


def test_frames_in_chunks_and_slices_with_more_columns():
    frame = pa.concat_tables([frame_of({}, {"ticker": "B"}), frame_of({"ticker": "C"}), empty_frame()])
    frame = frame.append_column("note", pa.array(["x"] * 3)).slice(1)
    gated = gate(frame, CRYPTO, Interval.D1, now=NOW)
    assert gated.bars["ticker"].to_pylist() == ["B", "C"]
    assert gated.bars.schema == BAR_SCHEMA


def test_now_needs_a_zone():
    with pytest.raises(BadInput, match="has no time zone"):
        gate(empty_frame(), CRYPTO, Interval.D1, now=NOW.replace(tzinfo=None))


numbers = st.sampled_from([10.0, 10.5, 9.0, 11.0, 0.0, -1.0, math.nan, math.inf, -math.inf, None, 1e300])
any_row = st.fixed_dictionaries(
    {},
    optional={
        "ticker": st.sampled_from(["AAA", "B", "^X", "", "a/b", None, "Ä"]),
        "time": st.sampled_from([DAY, utc(2025, 1, 3), utc(2025, 1, 3, 1), utc(2030), utc(1800), None]),
        **dict.fromkeys((*PRICE_COLUMNS, "volume", "adjusted_close"), numbers),
    },
)


@settings(deadline=None)
@given(st.lists(any_row, max_size=30))
@example([])
def test_every_row_is_counted_once_and_a_second_gate_changes_nothing(rows):
    frame = frame_of(*rows)
    once = gate(frame, CRYPTO, Interval.D1, now=NOW)
    before, after = rows_in_and_out(frame, once)
    assert before == after
    twice = gate(once.bars, CRYPTO, Interval.D1, now=NOW)
    assert twice.bars.equals(once.bars)
    assert (twice.rejects.num_rows, twice.duplicates) == (0, {})


@settings(deadline=None)
@given(st.lists(any_row, max_size=30))
def test_a_row_by_row_reading_of_the_rules_agrees(rows):
    last = {}
    for row in ({**GOOD, **row} for row in rows):
        if row["ticker"] in ("AAA", "B", "^X") and row["time"] is not None:
            last[row["ticker"], row["time"]] = row
    good = [last[key] for key in sorted(last) if is_bar(last[key])]
    gated = gate(frame_of(*rows), CRYPTO, Interval.D1, now=NOW)
    keep = ("ticker", "time", *PRICE_COLUMNS, "volume")
    assert gated.bars.select(keep).to_pylist() == [{name: row[name] for name in keep} for row in good]


def is_bar(row):
    prices = [row[name] for name in PRICE_COLUMNS]
    adjusted = row["adjusted_close"]
    if any(value is None or not math.isfinite(value) for value in (*prices, row["volume"])):
        return False
    return (
        row["time"] in (DAY, utc(2025, 1, 3))
        and not (adjusted is not None and math.isinf(adjusted))
        and min(prices) > 0
        and row["volume"] >= 0
        and max(*prices, row["volume"]) <= 1e18
        and row["low"] <= row["high"]
    )


@pytest.mark.parametrize(
    ("path", "market", "interval", "refused", "flagged"),
    [
        ("market_data/VRG/1D.csv", "vn", Interval.D1, 39, 5),
        ("market_data/MPC/1D.csv", "vn", Interval.D1, 1, 5),
        ("market_data/VNINDEX/1D.csv", "vn", Interval.D1, 0, 8),
        ("crypto_data/BTC/1D.csv", "crypto", Interval.D1, 0, 32),
        ("market_data/VIC/1D.csv", "vn", Interval.D1, 0, 0),
        ("market_data/MPC/1h.csv", "vn", Interval.H1, 0, 0),
        ("market_data/VNINDEX/1m.csv", "vn", Interval.M1, 0, 0),
    ],
)
def test_real_files(shared_data, path, market, interval, refused, flagged):
    with (shared_data / "csv" / path).open(encoding="utf-8", newline="") as lines:
        rows = [real_row(row) for row in csv.DictReader(lines)]
    by_hand = sorted(row["time"] for row in rows if not is_ordered_and_positive(row))
    assert len(by_hand) == refused + flagged
    frame = frame_of(*rows)
    gated = gate(frame, get_market(market), interval, now=NOW)
    assert len(gated.rejects) == refused
    assert set(gated.rejects["rule"].to_pylist()) <= {"non_positive_price", "high_below_low"}
    odd = [
        instant(f.time) for _, bars in split_series(gated.bars) for f in flags_of(bars, get_market(market))
    ]
    assert len(odd) == flagged
    assert sorted([*gated.rejects["time"].to_pylist(), *odd]) == by_hand
    before, after = rows_in_and_out(frame, gated)
    assert (before, gated.duplicates) == (after, {})


def real_row(row):
    values = {name: float(row[name]) for name in (*PRICE_COLUMNS, "volume")}
    return {
        "ticker": row["ticker"],
        "time": datetime.fromisoformat(row["time"]).replace(tzinfo=UTC),
        **values,
    }


def is_ordered_and_positive(row):
    return 0 < row["low"] <= min(row["open"], row["close"]) and max(row["open"], row["close"]) <= row["high"]


def flags(gated, market=CRYPTO):
    return [
        (flag.rule, flag.value) for _, bars in split_series(gated.bars) for flag in flags_of(bars, market)
    ]


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ({"high": 10.4}, "open=10.0, high=10.4, low=9.0, close=10.5"),
        ({"low": 10.2}, "open=10.0, high=11.0, low=10.2, close=10.5"),
        ({"close": 8.9}, "open=10.0, high=11.0, low=9.0, close=8.9"),
        ({"high": 10.5 * (1 - 3e-9)}, f"open=10.0, high={10.5 * (1 - 3e-9)}, low=9.0, close=10.5"),
    ],
)
def test_an_open_or_close_outside_the_range_is_stored_as_delivered_and_flagged(row, value):
    gated = judge(row)
    assert gated.bars.to_pylist() == [{**GOOD, **row}]
    assert flags(gated) == [("ohlc_order", value)]


@pytest.mark.parametrize(
    "row",
    [
        dict.fromkeys(PRICE_COLUMNS, 31.859285354614254)
        | {"close": 31.859285354614258},  # one unit in the last place
        {"high": 10.5 * (1 - 0.5e-9)},
        {"low": 10.0 * (1 + 0.5e-9)},
    ],
)
def test_what_arithmetic_explains_is_nothing(row):
    gated = judge(row)
    assert (len(gated.bars), len(gated.rejects), flags(gated)) == (1, 0, [])


def test_a_market_may_refuse_what_others_flag_and_flag_what_others_refuse():
    strict = replace(CRYPTO, gate_actions={"ohlc_order": "refuse", "non_positive_price": "flag"})
    gated = judge({"high": 10.4}, {"low": 0.0, "time": utc(2025, 1, 3)}, market=strict)
    assert gated.rejects["rule"].to_pylist() == ["ohlc_order"]
    assert flags(gated, strict) == [("non_positive_price", "low=0.0")]


def test_fail_refuses_the_whole_answer_of_the_ticker_and_no_other():
    market = replace(CRYPTO, gate_actions={"negative_volume": "fail"})
    rows = [{"ticker": "AAA"}, {"ticker": "AAA", "time": utc(2025, 1, 3), "volume": -1.0}, {"ticker": "BBB"}]
    gated = judge(*rows, market=market)
    assert gated.bars["ticker"].to_pylist() == ["BBB"]
    found = [(row["ticker"], row["rule"], row["value"]) for row in gated.rejects.to_pylist()]
    assert found == [("AAA", "negative_volume", "volume=-1.0"), ("AAA", "with_another", "negative_volume")]


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ({"off_grid": "flag"}, "Actions of off_grid: refuse, fail"),  # such a bar cannot be stored
        ({"ohlc_order": "ignore"}, "Actions of ohlc_order: refuse, flag, fail"),
        ({"ohlc": "flag"}, "Rules: bad_ticker, missing_time"),
    ],
)
def test_an_action_that_cannot_be_is_told_with_the_valid_ones(actions, said):
    with pytest.raises(BadInput) as error:
        check_actions(replace(CRYPTO, gate_actions=actions))
    assert said in str(error.value)


def test_every_market_of_the_registry_names_actions_there_are():
    for market in all_markets().values():
        check_actions(market)
