"""Which gaps healing asks for, how often, and when they rest."""

from __future__ import annotations

import pytest
from gap_lab import Tape

from hypertape.model import EXPLAINED
from hypertape.warehouse.gaps.healing import (
    GapFilter,
    count_attempts,
    count_resting,
    healable_gaps,
    list_gaps,
    reopen_gaps,
)

SIBLINGS = {"S1": range(99), "S2": range(99), "S3": range(99)}


@pytest.fixture
def tape(connection):
    return Tape(connection)


def test_attempts_are_counted_once_a_run_and_rest_after_the_limit(tape):
    tape.note(tape.load({"A": [0, 1, 3, 4], **SIBLINGS}, 0, 5))
    for attempt in range(1, 4):
        (gap,) = healable_gaps(tape.connection, tape.market, tape.interval)
        assert (gap.ticker, gap.attempts, gap.window) == ("A", attempt - 1, tape.window(2, 3))
        run = tape.load({"A": [0, 1, 3, 4]}, 0, 5)
        for _ in range(2):
            tape.note(run)
            count_attempts(tape.connection, tape.market, tape.interval, run, tape.now)
        tape.note(run)
    assert healable_gaps(tape.connection, tape.market, tape.interval) == []
    assert tape.rows(columns="reason, attempts, healed_run") == [("provider empty", 3, run)]
    assert reopen_gaps(tape.connection, GapFilter(tickers=("A",))) == 1
    assert len(healable_gaps(tape.connection, tape.market, tape.interval)) == 1


def test_a_new_missing_session_beside_a_resting_one_is_asked_for(tape):
    tape.note(tape.load({"A": [0, 1], **SIBLINGS}, 0, 3))
    tape.connection.execute("update gap set attempts = 3")
    tape.note(tape.load({"A": [], **SIBLINGS}, 2, 4))
    assert [gap.window for gap in healable_gaps(tape.connection, tape.market, tape.interval)] == [
        tape.window(3, 4)
    ]


def test_inferred_holidays_and_halts_are_asked_for_once_more(tape):
    everybody = [0, 1, 3, 4]
    tape.note(tape.load({"A": everybody, "B": everybody, "C": everybody}, 0, 5))
    assert len(healable_gaps(tape.connection, tape.market, tape.interval)) == 3
    tape.connection.execute("update gap set attempts = 1")
    assert healable_gaps(tape.connection, tape.market, tape.interval) == []


def resting(tape, **others):
    rows = list_gaps(tape.connection, GapFilter())
    told = [row["ticker"] for row in rows if row["rests"] and row["reason"] not in EXPLAINED]
    if not others:
        assert len(told) == count_resting(tape.connection, tape.market, tape.interval), (
            "the list and the plan agree"
        )
    return count_resting(tape.connection, tape.market, tape.interval, **others)


def heals(tape, times, answer):
    """So many heals that ask for A; return the reason and attempts afterwards, and whether it would be asked for."""
    for _ in range(times):
        run = tape.load({"A": answer}, 0, 5)
        tape.note(run)
        count_attempts(tape.connection, tape.market, tape.interval, run, tape.now)
        tape.note(run)
    ((reason, attempts),) = tape.rows("ticker = 'A' and closed_at is null", columns="reason, attempts")
    return reason, attempts, len(healable_gaps(tape.connection, tape.market, tape.interval))


def test_an_outage_never_ends_healing(tape):
    tape.note(tape.load({"A": [0, 1, 3, 4], **SIBLINGS}, 0, 2))
    tape.note(tape.load({"A": "!"}, 2, 3))
    tape.note(tape.load({"A": [3, 4]}, 3, 5))
    assert heals(tape, 4, "!") == ("fetch failed", 0, 1), "nobody answered: nothing is counted"
    assert tape.rows("ticker = 'A'", columns="healed_run") == [(f"run{tape.runs}",)], "but it was asked for"
    assert heals(tape, 2, [0, 1, 3, 4]) == ("provider empty", 2, 1)
    assert resting(tape) == 0
    assert heals(tape, 1, [0, 1, 3, 4]) == ("provider empty", 3, 0)
    assert (resting(tape), resting(tape, max_attempts=4), resting(tape, tickers=["S1"])) == (1, 0, 0)
    assert heals(tape, 1, "!") == ("fetch failed", 3, 1), (
        "asked in vain: asked again, however often it was answered"
    )
    assert resting(tape) == 0
    assert heals(tape, 1, [0, 1, 3, 4]) == ("provider empty", 4, 0)
    reopen_gaps(tape.connection, GapFilter())
    assert resting(tape) == 0


def test_a_refused_row_rests_after_one_equal_answer(tape):
    tape.note(tape.load({"A": [0, 2, 3, 4], **SIBLINGS}, 0, 5))
    tape.refuse("A", 1)
    tape.note(f"run{tape.runs}")
    assert tape.rows("ticker = 'A'", columns="reason, refused") == [("fetch failed", True)]
    assert heals(tape, 1, [0, 2, 3, 4]) == ("fetch failed", 1, 0)
    assert resting(tape) == 1
    reopen_gaps(tape.connection, GapFilter())
    assert heals(tape, 0, []) == ("fetch failed", 0, 1)


def test_a_refused_row_that_changes_is_asked_for_again(tape):
    tape.note(tape.load({"A": [0, 2, 3, 4], **SIBLINGS}, 0, 5))
    tape.refuse("A", 1)
    tape.note(f"run{tape.runs}")
    for close in (2, 3, 4):
        assert heals(tape, 0, []) == ("fetch failed", close - 2, 1)
        tape.refuse("A", 1, row=f'{{"close": {close}}}')
        count_attempts(tape.connection, tape.market, tape.interval, f"run{tape.runs}", tape.now)
    assert heals(tape, 0, []) == ("fetch failed", 3, 0), "but not for ever"
