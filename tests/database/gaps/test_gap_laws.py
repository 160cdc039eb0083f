"""The law of the gap ledger: kept up run by run, in any order, it is the one that a look at everything writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gap_lab import Tape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertape.model import Window
from hypertape.warehouse.connect import connect
from thorough import examples

TICKERS = ("A", "B", "C", "D")
DAYS = 36
TRUTH = {
    "A": set(range(DAYS)) - {17},
    "B": set(range(8, DAYS)) - {17, 20, 21, 22, 23, 24, 25},
    "C": set(range(12)) - {5},
    "D": set(range(DAYS)) - {17, 30},
}
"""What the vendor has: session 17 is a holiday, B is listed late and rests for a week, C vanishes, D lacks a day."""

answers = st.dictionaries(
    st.sampled_from(TICKERS), st.sampled_from(["all", "all", "all", "half", "!", "N"]), min_size=1
)
runs = st.tuples(answers, st.integers(0, DAYS - 1), st.integers(1, DAYS)).map(
    lambda run: (run[0], run[1], min(DAYS, run[1] + run[2]))
)
loads = st.lists(runs, min_size=1, max_size=7)


@pytest.fixture(scope="module")
def dsn(new_warehouse: Callable[[], Any]):
    with new_warehouse() as found:
        yield found


@pytest.fixture
def tape(dsn):
    with connect(dsn, autocommit=True) as connection:
        yield Tape(connection, days=DAYS)


def emptied(tape: Tape) -> None:
    for table in ("gap", "gap_judged", "series", "load", "bars.market_data_1d"):
        tape.connection.execute(f"delete from {table}")  # type: ignore[arg-type]


def carry_out(tape: Tape, run: Any) -> str:
    asked, start, end = run
    brought = {
        ticker: kind if kind in "!N" else sorted(TRUTH[ticker])[:: 2 if kind == "half" else 1]
        for ticker, kind in asked.items()
    }
    return tape.load(brought, start, end)


def from_scratch(tape: Tape) -> list[Any]:
    """The open ledger written by one look at what each ticker was ever asked for."""
    asked = tape.connection.execute(
        "select ticker, min(window_start), max(window_end) from load group by ticker"
    ).fetchall()
    tape.connection.execute("delete from gap")
    tape.connection.execute("delete from gap_judged")
    for ticker, start, end in asked:
        tape.note(window=Window(start, end), tickers=[ticker])
    return tape.open_entries()


slow = settings(
    max_examples=examples(15, 200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@slow
@given(loads=loads)
def test_noted_with_every_run_it_is_the_ledger_from_scratch(tape: Tape, loads: list[Any]) -> None:
    emptied(tape)
    for run in loads:
        tape.note(carry_out(tape, run))
    kept_up = tape.open_entries()
    assert kept_up == from_scratch(tape)


@slow
@given(loads=loads, noted=st.lists(st.booleans(), min_size=7, max_size=7))
def test_runs_that_died_before_their_note_are_made_up_for(
    tape: Tape, loads: list[Any], noted: list[bool]
) -> None:
    emptied(tape)
    for run, is_noted in zip(loads, noted, strict=False):
        run_id = carry_out(tape, run)
        if is_noted:
            tape.note(run_id)
    tape.note()
    looked_at = tape.open_entries()
    tape.connection.execute("delete from gap")
    tape.connection.execute("delete from gap_judged")
    tape.note()
    assert looked_at == tape.open_entries()


@slow
@given(loads=loads, order=st.randoms(use_true_random=False))
def test_answers_in_another_order_leave_the_same_ledger(tape: Tape, loads: list[Any], order: Any) -> None:
    """Failures are left out: whether the last load failed is a matter of order."""
    answered = [(dict.fromkeys(asked, "all"), start, end) for asked, start, end in loads]
    found = []
    for turn in range(2):
        emptied(tape)
        if turn:
            order.shuffle(answered)
        for run in answered:
            tape.note(carry_out(tape, run))
        found.append(tape.open_entries())
    assert found[0] == found[1]
