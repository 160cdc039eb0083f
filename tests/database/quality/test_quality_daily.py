"""Every rule of the suites finds exactly the defect it is for, names its key, and passes over clean bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
import quality_lab as lab
from quality_lab import (
    CRYPTO,
    D1,
    H1,
    KEY,
    M1,
    MONDAY,
    ON,
    PRICES,
    US,
    VN,
    Connection,
    Series,
    edited,
    failed,
    lone,
    scaled,
    without,
)

from hypertape.frame import Bars, instant, micros
from hypertape.model import Interval, Market, utc
from hypertape.quality.project_rules import rules_for

Plant = Callable[[Connection, Series], None]


def day(bars: Bars, place: int) -> str:
    return instant(bars.time[place]).date().isoformat()


# --- nothing to find


@pytest.mark.parametrize(
    ("market", "interval"),
    [(VN, D1), (CRYPTO, D1), (US, D1), (VN, H1), (US, H1), (CRYPTO, M1)],
    ids=lambda value: getattr(value, "code", value),
)
def test_clean_bars_pass_every_rule(
    quality_warehouse: str, shared: Connection, market: Market, interval: Interval
) -> None:
    series = lab.clean(market, interval)
    lab.store(shared, market, interval, series)

    results = lab.check(quality_warehouse, shared, market, interval)

    assert failed(results) == {}
    assert list(results) == [rule.name for rule in rules_for(market, interval)]
    _, window, _ = lab.SPANS[market.code, interval]
    inside = sum(int((bars.time >= micros(window.start)).sum()) for bars in series.values())
    assert results["ohlc_order"].evaluated == inside
    assert results["fresh"].evaluated == len(series)


def test_a_window_without_bars_is_not_evaluated_and_says_that_nothing_was_there(
    quality_warehouse: str, shared: Connection
) -> None:
    results = lab.check(quality_warehouse, shared, VN, D1)

    assert failed(results) == {}
    assert {result.evaluated for result in results.values()} == {0}
    assert {result.status for result in results.values()} == {"not_evaluated"}
    assert results["fresh"].details["why"] == "no ticker is stored"


def test_a_check_of_a_column_nobody_filled_has_looked_at_nothing(
    quality_warehouse: str, shared: Connection
) -> None:
    lab.store(shared, VN, D1, lab.clean(VN, D1))
    shared.execute("update bars.market_data_1d set adjusted_close = null")

    results = lab.check(quality_warehouse, shared, VN, D1)

    idle = {
        name: result.details["why"] for name, result in results.items() if result.status == "not_evaluated"
    }
    assert idle == {
        "adjusted_close_positive": "no bar in the window has an adjusted close",
        "adjustment_steps": "no bar in the window has an adjusted close",
        "day_holds_1h": "no ticker has bars of both intervals in the window",
        "day_holds_1m": "no ticker has bars of both intervals in the window",
    }
    assert results["ohlc_order"].status == "passed"


# --- one defect, one finding: daily bars of vn


def bar(time: datetime, **values: Any) -> Plant:
    return lambda connection, series: lab.add(connection, VN, D1, [lone(time, **values)])


def change(ticker: str, alter: Callable[[dict[str, Any]], None]) -> Plant:
    """Alter a series before it is stored, so that its indicators agree with it."""

    def plant(connection: Connection, series: Series) -> None:
        lab.store(connection, VN, D1, {**series, ticker: edited(series[ticker], alter)})

    return plant


def update(statement: str) -> Plant:
    return lambda connection, series: connection.execute(statement)  # type: ignore[return-value]


def flat(start: int, stop: int) -> Callable[[dict[str, Any]], None]:
    def alter(columns: dict[str, Any]) -> None:
        for name in ("open", "high", "low", "close", "adjusted_close"):
            columns[name][start:stop] = columns[name][start]

    return alter


def spike(columns: dict[str, Any]) -> None:
    columns["volume"][-4] *= 30


def both(*plants: Plant) -> Plant:
    def plant(connection: Connection, series: Series) -> None:
        for each in plants:
            each(connection, series)

    return plant


def withdrawn(table: str) -> Plant:
    """Its source took the action back: it explains nothing."""
    return update(f"update {table} set withdrawn_at = '2024-02-01 00:00:00+00', withdrawn_run = 'gone'")


AT = "ticker = 'AAA' and time = '2024-01-15 00:00:00+00'"


def action(table: str, column: str, time: str, value: float = 2.0) -> Plant:
    return update(
        f"insert into {table} (market, ticker, time, {column}) values ('vn', 'AAA', '{time} 00:00:00+00', {value!r})"
    )


EX = "2024-01-25"
"""The day of the actions: the tenth bar from the end."""

RAW = PRICES[:4]


def several(*alterations: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def alter(columns: dict[str, Any]) -> None:
        for each in alterations:
            each(columns)

    return alter


def adjusted_before(factor: float) -> Callable[[dict[str, Any]], None]:
    """Adjusted closes that fall short of the closes by this factor before the day of the action."""

    def alter(columns: dict[str, Any]) -> None:
        columns["adjusted_close"][:-10] *= factor

    return alter


def split_by(ratio: float, *, step: float) -> Plant:
    """Closes as traded, with the step, and adjusted closes without it."""
    return change("AAA", several(scaled(step, -10, *RAW), scaled(1 / ratio, 0, "adjusted_close")))


def dividend(share: float, table: str = "dividends") -> Plant:
    """A dividend (or what else is paid in cash) of that share of the close before."""

    def plant(connection: Connection, series: Series) -> None:
        amount = share * float(series["AAA"].close[-11])
        action(table, "amount", EX, amount)(connection, series)

    return plant


def loaded_from(source: str) -> Plant:
    """The bars of AAA come from that source; those of the others name a load that is not there."""
    return update(
        "with known as (insert into load (load_id, run_id, market, interval, ticker, source, window_start, window_end, "
        "status, code_version) overriding system value "
        f"values (7007, 'test', 'vn', '1d', 'AAA', '{source}', '2020-01-01', '2024-02-01', 'loaded', '0') "
        "on conflict (load_id) do update set source = excluded.source returning load_id) "
        "update bars.market_data_1d set load_id = known.load_id from known where ticker = 'AAA'"
    )


DEFECTS = {
    "a price of zero": (bar(MONDAY, low=0.0), {"prices_positive": [KEY]}),
    "an adjusted close below zero": (bar(MONDAY, adjusted_close=-1.0), {"adjusted_close_positive": [KEY]}),
    "volume that is no number": (bar(MONDAY, volume=float("nan")), {"values_finite": [KEY]}),
    "an infinite high": (bar(MONDAY, high=float("inf")), {"values_finite": [KEY]}),
    "a close above the high": (bar(MONDAY, close=12.0), {"ohlc_order": [KEY]}),
    "an open below the low": (bar(MONDAY, open=8.0), {"ohlc_order": [KEY]}),
    "a close of zero": (bar(MONDAY, close=0.0), {"prices_positive": [KEY], "ohlc_order": [KEY]}),
    "a daily bar that opens at 09:30": (
        bar(utc(2024, 1, 15, 9, 30)), {"time_on_grid": [("BAD", "2024-01-15T09:30:00")]},
    ),
    "a bar beyond now and the window": (bar(utc(2024, 2, 15)), {"time_not_future": [("BAD", "2024-02-15")]}),
    "a bar on a Saturday": (bar(utc(2024, 1, 13)), {"date_is_session": [("BAD", "2024-01-13")]}),
    "a bar on a holiday": (bar(utc(2024, 2, 9)), {"date_is_session": [("BAD", "2024-02-09")]}),
    "a day without trades": (bar(MONDAY, volume=0.0), {"volume_not_zero": [KEY]}),
    "a previous close one step off": (
        update(f"update bars.market_data_1d set previous_close = previous_close * (1 + 1e-15) where {AT}"),
        {"previous_bar": ON},
    ),
    "a previous volume that is missing": (
        update(f"update bars.market_data_1d set previous_volume = null where {AT}"), {"previous_bar": ON},
    ),
    "a window's first bar that forgot the bar before": (
        update(
            "update bars.market_data_1d set previous_close = null, previous_volume = null "
            "where ticker = 'AAA' and time = '2023-10-02 00:00:00+00'"
        ),
        {"previous_bar": [("AAA", "2023-10-02")]},
    ),
    "a first bar with a previous one": (bar(MONDAY, previous_close=10.5), {"previous_bar": [KEY]}),
    "an average a millionth off": (
        update(f"update bars.market_data_1d set ma10 = ma10 * 1.000001 where {AT}"), {"averages": ON},
    ),
    "a long average that is missing": (
        update(f"update bars.market_data_1d set ma200 = null where {AT}"), {"averages": ON},
    ),
    "an average without the history for it": (bar(MONDAY, ma50=10.0), {"averages": [KEY]}),
    "a missing day": (change("AAA", without(-10)), {"sessions_complete": [("AAA", "2024-01-25")]}),
    "the last session is missing": (
        change("AAA", without(-1)), {"sessions_after_last": [("AAA", "2024-02-07")]},
    ),
    "three sessions behind, two allowed": (
        change("AAA", without(-1, -2, -3)),
        {
            "sessions_after_last": [("AAA", "2024-02-05"), ("AAA", "2024-02-06"), ("AAA", "2024-02-07")],
            "fresh": [("AAA", "2024-02-02")],
        },
    ),
    "a jump of 30 %": (change("AAA", scaled(1.3, -10, *PRICES)), {"close_jump": [("AAA", "2024-01-25")]}),
    "a jump with a split that was withdrawn": (
        both(
            change("AAA", scaled(1.3, -10, *PRICES)), action("splits", "ratio", "2024-01-25"), withdrawn("splits")
        ),
        {"close_jump": [("AAA", "2024-01-25")]},
    ),
    "a jump with a dividend that was withdrawn": (
        both(
            change("AAA", scaled(0.7, -10, *PRICES)), action("dividends", "amount", "2024-01-25"),
            withdrawn("dividends"),
        ),
        {"close_jump": [("AAA", "2024-01-25")]},
    ),
    "an adjustment with a dividend that was withdrawn": (
        both(
            change("AAA", scaled(1.05, -10, "adjusted_close")), action("dividends", "amount", "2024-01-25"),
            withdrawn("dividends"),
        ),
        {"adjustment_steps": [("AAA", "2024-01-25")]},
    ),
    "a split with the price going up by it": (
        both(change("AAA", scaled(4.0, -10, *PRICES)), action("splits", "ratio", EX, 4.0)),
        {"close_jump": [("AAA", EX)], "actions_applied": [("AAA", EX)]},
    ),
    "a split that was not applied": (action("splits", "ratio", EX, 4.0), {"actions_applied": [("AAA", EX)]}),
    "a split before which the source forgot to adjust": (
        both(split_by(4.0, step=0.25), action("splits", "ratio", EX, 4.0), loaded_from("yahoo")),
        {"actions_applied": [("AAA", EX)]},
    ),
    "adjusted closes that ignore a split": (
        both(change("AAA", scaled(0.25, -10, *PRICES)), action("splits", "ratio", EX, 4.0)),
        {"adjustment_steps": [("AAA", EX)]},
    ),
    "a slip of the unit on the day of a dividend": (
        both(
            change("AAA", several(scaled(0.01, -10, *PRICES), adjusted_before(0.98))), dividend(0.02)
        ),
        {"close_jump": [("AAA", EX)]},
    ),
    "adjusted closes that ignore a dividend": (dividend(0.02), {"adjustment_steps": [("AAA", EX)]}),
    "adjusted closes that ignore a capital gain": (
        dividend(0.02, "capital_gains"), {"adjustment_steps": [("AAA", EX)]},
    ),
    "an adjustment with a capital gain that was withdrawn": (
        both(
            change("AAA", adjusted_before(0.98)), dividend(0.02, "capital_gains"), withdrawn("capital_gains")
        ),
        {"adjustment_steps": [("AAA", EX)]},
    ),
    "a capital gain in a smaller currency": (
        both(change("AAA", adjusted_before(0.98)), dividend(0.02 * 1350, "capital_gains")),
        {"adjustment_steps": [("AAA", EX)], "actions_applied": [("AAA", EX)]},
    ),
    "adjusted closes that count a dividend twice": (
        both(change("AAA", adjusted_before(0.98**2)), dividend(0.02)), {"adjustment_steps": [("AAA", EX)]},
    ),
    "a dividend in a larger currency": (
        both(change("AAA", adjusted_before(0.98)), dividend(0.02 / 25)), {"adjustment_steps": [("AAA", EX)]},
    ),
    "a dividend in a smaller currency": (
        both(change("AAA", adjusted_before(0.98)), dividend(0.02 * 1350)),
        {"adjustment_steps": [("AAA", EX)], "actions_applied": [("AAA", EX)]},
    ),
    "a fall of 30 % right at the window's start": (
        change("AAA", scaled(0.7, 184, *PRICES)), {"close_jump": [("AAA", "2023-10-02")]},
    ),
    "five equal closes": (change("AAA", flat(-10, -5)), {"not_stale": [("AAA", "2024-01-31")]}),
    "a volume of thirty times the usual": (change("BBB", spike), {"volume_outlier": [("BBB", "2024-02-02")]}),
    "an adjustment without a reason": (
        change("AAA", scaled(1.05, -10, "adjusted_close")), {"adjustment_steps": [("AAA", "2024-01-25")]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_by_its_rule_alone(quality_warehouse: str, shared: Connection, defect: str) -> None:
    plant, expected = DEFECTS[defect]
    series = lab.clean(VN, D1)
    lab.store(shared, VN, D1, series)
    plant(shared, series)

    results = lab.check(quality_warehouse, shared, VN, D1)

    assert failed(results) == expected
    assert all(results[name].unexpected == len(keys) for name, keys in expected.items())


@pytest.mark.parametrize(
    ("run", "found"), [("mine", {}), ("another", {"time_not_future": [("BAD", "2024-02-15")]})]
)
def test_a_bar_that_a_later_run_has_written_is_that_runs_to_judge(
    quality_warehouse: str, shared: Connection, run: str, found: dict[str, Any]
) -> None:
    """Workers load on while one checks: a bar of the next minute is after its now, and no defect."""
    lab.store(shared, VN, D1, lab.clean(VN, D1))
    for load_id, run_id in ((9001, "mine"), (9002, "later")):
        shared.execute(
            "insert into load (load_id, run_id, market, interval, ticker, source, window_start, window_end, status, "
            "code_version) overriding system value values "
            "(%s, %s, 'vn', '1d', 'BAD', 'vci', '2020-01-01', '2024-02-16', 'loaded', '0') on conflict do nothing",
            (load_id, run_id),
        )
    bar(utc(2024, 2, 15), load_id=9002)(shared, {})

    assert failed(lab.check(quality_warehouse, shared, VN, D1, run_id=run)) == found


def test_the_places_the_defects_name_are_the_ones_they_touch() -> None:
    bars = lab.clean(VN, D1)["AAA"]

    assert (day(bars, -10), day(bars, -6), day(bars, -4)) == ("2024-01-25", "2024-01-31", "2024-02-02")
    assert (day(bars, 184), day(bars, -1)) == ("2023-10-02", "2024-02-07")


EXPLAINED = {
    "a split with its step": both(split_by(4.0, step=0.25), action("splits", "ratio", EX, 4.0)),
    "a consolidation with its step": both(split_by(0.1, step=10.0), action("splits", "ratio", EX, 0.1)),
    "a split that the source has adjusted the history for": both(
        action("splits", "ratio", EX, 4.0), loaded_from("yahoo")
    ),
    "a stock dividend too small to be told from a day's move": action("splits", "ratio", EX, 1.1),
    "a dividend of 30 % with its step": both(
        change("AAA", several(scaled(0.7, -10, *RAW), scaled(0.7, 0, "adjusted_close"))), dividend(0.30)
    ),
    "a dividend and a capital gain of 15 % each, on one day, with their step": both(
        change("AAA", several(scaled(0.7, -10, *RAW), scaled(0.7, 0, "adjusted_close"))),
        dividend(0.15),
        dividend(0.15, "capital_gains"),
    ),
    "an adjustment with its capital gain": both(
        change("AAA", adjusted_before(0.98)), dividend(0.02, "capital_gains")
    ),
    "an adjustment with its dividend": both(change("AAA", adjusted_before(0.98)), dividend(0.02)),
    "an adjustment that took another day's close": both(
        change("AAA", adjusted_before(0.9765)), dividend(0.02)
    ),
    "a dividend that is lost in rounding": dividend(0.001),
    "four equal closes": change("AAA", flat(-10, -6)),
    "the closure of the new year up to now": change("AAA", without()),
    "a gap that the ledger explains": both(
        change("AAA", without(-10)),
        update(
            "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) values "
            "('vn', '1d', 'AAA', '2024-01-25 00:00:00+00', '2024-01-26 00:00:00+00', 1, 'halted', 'test')"
        ),
    ),
    "a defect before the window": update(
        "update bars.market_data_1d set open = high + 1 where ticker = 'AAA' and time = '2023-06-01 00:00:00+00'"
    ),
}


@pytest.mark.parametrize("reason", EXPLAINED)
def test_what_has_a_reason_passes(quality_warehouse: str, shared: Connection, reason: str) -> None:
    series = lab.clean(VN, D1)
    lab.store(shared, VN, D1, series)
    EXPLAINED[reason](shared, series)

    assert failed(lab.check(quality_warehouse, shared, VN, D1)) == {}


def test_a_gap_that_the_source_may_still_fill_stays_a_finding(
    quality_warehouse: str, shared: Connection
) -> None:
    lab.store(shared, VN, D1, {"AAA": edited(lab.clean(VN, D1)["AAA"], without(-10))})
    shared.execute(
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) values "
        "('vn', '1d', 'AAA', '2024-01-25 00:00:00+00', '2024-01-26 00:00:00+00', 1, 'fetch failed', 'test')"
    )

    assert failed(lab.check(quality_warehouse, shared, VN, D1)) == {
        "sessions_complete": [("AAA", "2024-01-25")]
    }


# --- what the table's constraints forbid, in a table that lost them

FORBIDDEN = {
    **{
        f"a bar without its {name}": (
            {name: None},
            {f"{name}_not_null": [(None if name == "ticker" else "BAD", "2024-01-15")]},
        )
        for name in ("ticker", "open", "high", "low", "close", "volume")
    },
    "a negative volume": ({"volume": -1.0}, {"volume_not_negative": [KEY]}),
    "a low above the high": (
        {"low": 11.5, "open": 12.0, "close": 12.0},
        {"high_not_below_low": [KEY], "ohlc_order": [KEY]},
    ),
}


@pytest.mark.parametrize("defect", FORBIDDEN)
def test_what_a_lost_constraint_lets_in_is_found(warehouse_without_constraints: str, defect: str) -> None:
    values, expected = FORBIDDEN[defect]
    with psycopg.connect(warehouse_without_constraints, autocommit=True) as connection:
        lab.store(connection, VN, D1, lab.clean(VN, D1))
        lab.add(connection, VN, D1, [lone(MONDAY, **values)])

        assert failed(lab.check(warehouse_without_constraints, connection, VN, D1)) == expected


def test_a_key_stored_twice_is_found(warehouse_without_constraints: str) -> None:
    with psycopg.connect(warehouse_without_constraints, autocommit=True) as connection:
        lab.store(connection, VN, D1, {})
        lab.add(connection, VN, D1, [lone(MONDAY), lone(MONDAY)])

        found = failed(lab.check(warehouse_without_constraints, connection, VN, D1))

    assert found["key_unique"] == [KEY]
    assert set(found) <= {"key_unique", "previous_bar"}  # the second one has, of course, a bar before it


@pytest.fixture(scope="module")
def warehouse_without_constraints(new_warehouse: Callable[[], Any]) -> Iterator[str]:
    with new_warehouse() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            lab.unconstrained(connection, VN, D1)
        yield dsn
