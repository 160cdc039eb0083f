"""Why a bar is missing: one row of the table per case, drawn as a string of sessions."""

from __future__ import annotations

import numpy as np
import pytest

from hypertape.warehouse.gaps.rules import (
    DELISTED_SESSIONS,
    HALT_ANSWERS,
    HALTED_SESSIONS,
    HOLIDAY_TICKERS,
    LISTING_ANSWERS,
    REASONS,
    Elsewhere,
    Facts,
    classify,
    possible_halts,
    runs_of,
)

SIBLINGS = 3
LETTERS = dict(zip(REASONS, ".hndxefu", strict=True))
"""How a reason is drawn: holiday, not listed, delisted, x halted, provider empty, fetch failed, unknown; `.` a bar."""


def drawn(ticker: str, others: str | None = None, *, listed: int | None = None, traded: str = "") -> str:
    """Classify one ticker's sessions, drawn as letters, beside SIBLINGS others that have a bar wherever it says `#`.

    `#` a bar; `_` answered without a bar, once; `=` twice; `!` the last load failed, an earlier one was answered; `?`
    only a failed load; space: nobody asked; `q` refused; `k` a known halt (answered); `x` listed no
    more (answered). `traded` marks with `#` where
    another interval shows a deal.
    """
    width = len(ticker)
    rows = [ticker, *[others or "#" * width] * SIBLINGS]
    cells = np.array([list(row) for row in rows])
    missing = cells != "#"
    positions = [np.flatnonzero(~row) for row in missing]
    first = np.array([found[0] if len(found) else width for found in positions])
    facts = Facts(
        missing=missing,
        answers=np.isin(cells, list("_=!kx")).astype(np.int64) + (cells == "="),
        empty=np.isin(cells, list("_=kx")),
        failed=np.isin(cells, list("!?")),
        refused=cells == "q",
        known_halt=cells == "k",
        gone=cells == "x",
        has_bars=np.array([len(found) > 0 for found in positions]),
        first=first,
        last=np.array([found[-1] if len(found) else -1 for found in positions]),
        listed=np.minimum(first, [first[0] if listed is None else listed, *first[1:]]),
    )
    mark = np.array([letter == "#" for letter in traded.ljust(width)])
    elsewhere = Elsewhere(np.zeros(missing.shape, np.bool_), mark)
    elsewhere.ticker[0] = mark
    codes = classify(facts, elsewhere)[0]
    return "".join(LETTERS[REASONS[code]] for code in codes)


LONG, SHORT = HALTED_SESSIONS, HALTED_SESSIONS - 1
TAIL = DELISTED_SESSIONS


@pytest.mark.parametrize(
    ("ticker", "expected", "reason"),
    [
        ("####", "....", "nothing is missing"),
        ("#  #", ".uu.", "nobody asked"),
        ("#__#", ".ee.", "the source answered and had nothing"),
        ("#?!#", ".ff.", "the last load failed, whatever an earlier one said"),
        ("#q#", ".f.", "a row arrived and was refused: that is no empty answer"),
        ("==##", "nn..", "before the first bar, and the source said so twice"),
        ("__##", "ee..", "it said so once: a cut answer looks like that"),
        ("=_##", "ne..", "twice, session by session"),
        ("!!##", "ff..", "one answer, and the last load failed"),
        ("kk##", "ee..", "a known halt before the listing is no second answer"),
        ("??##", "ff..", "only failures: nobody knows whether it was listed"),
        ("  ##", "uu..", "before the first bar, and nobody asked"),
        ("q=##", "fn..", "a refused row speaks of its own session only"),
        ("____", "eeee", "a ticker without any bar: the provider has nothing, and nobody knows why"),
        ("#" + "=" * LONG + "#", "." + "x" * LONG + ".", "a week without a deal, answered twice: halted"),
        ("#" + "=" * SHORT + "#", "." + "e" * SHORT + ".", "a day less is an omission"),
        ("#" + "_" * LONG + "#", "." + "e" * LONG + ".", "a week, answered only once: not confirmed"),
        ("#==!==#", ".eefee.", "a failure in the middle interrupts the run"),
        ("#==q===#", ".eefeee.", "and so does a refused row"),
        ("#k#", ".x.", "a known halt needs no week"),
        ("#==k==#", ".xxxxx.", "and counts in a run"),
        ("k=##", "en..", "before the listing a halt halts nothing"),
        ("#" + "=" * LONG, "." + "e" * LONG, "no bar after it: maybe delisted, not halted"),
        ("#" + "_" * (TAIL - 1), "." + "e" * (TAIL - 1), "the tail is empty for almost a month: still an alarm"),
        ("#" + "_" * TAIL, "." + "d" * TAIL, "a month: delisted"),
        ("#" + "_" * TAIL + "! ", "." + "d" * (TAIL + 2), "delisted covers what failed and what nobody asks any more"),
        ("#" + " " * TAIL, "." + "u" * TAIL, "a month in which nobody asked proves nothing"),
        ("#" + "_" * TAIL + "#", "." + "e" * TAIL + ".", "a bar after it: not delisted"),
        ("#__xx", ".eedd", "no list has had it since: delisted from there on"),
        ("#xx#", ".ee.", "a list that lost it is wrong where there is a bar after it"),
    ],
)  # fmt: skip
def test_reason_while_others_trade(ticker: str, expected: str, reason: str) -> None:
    assert drawn(ticker) == expected, reason


@pytest.mark.parametrize(
    ("ticker", "others", "expected", "reason"),
    [
        ("#_#", "#_#", ".h.", "nobody has a bar and all were asked"),
        ("#_", "#_", ".e", "not for the newest session: the provider may be late, and the alarm must sound"),
        ("#__#_", "#__#_", ".hh.e", "only before a session in which somebody traded"),
        ("# #", "#_#", ".u.", "this one was not asked, whatever the others say"),
        ("#?#", "#_#", ".f.", "this one failed"),
        ("#_#", "# #", ".e.", "the others were not asked: one ticker makes no holiday"),
        ("=##", "=##", "n..", "before anybody's listing there is no holiday"),
        ("_##", "#_#", "e..", "and before one ticker's there is none for it"),
        ("#==_==#", "###_###", ".eehee.", "four sessions around a holiday are no week"),
        ("#==_===#", "###_####", ".xxhxxx.", "five are, the holiday in the middle is none of them"),
        ("#" + "_" * TAIL, "#" + "_" * TAIL, "." + "e" * TAIL, "a provider that is silent for a month delists nobody"),
    ],
)  # fmt: skip
def test_reason_when_others_may_rest(ticker: str, others: str, expected: str, reason: str) -> None:
    assert drawn(ticker, others) == expected, reason


@pytest.mark.parametrize(
    ("ticker", "others", "traded", "expected", "reason"),
    [
        ("#_#", "#_#", " #", ".e.", "another interval shows that the market was open"),
        ("#=====#", "#######", "  #", ".eeeee.", "another interval shows that the ticker traded: no halt"),
        ("#=====#", "#######", "#", ".xxxxx.", "a deal outside of the run says nothing about it"),
    ],
)
def test_other_intervals_have_a_say(
    ticker: str, others: str, traded: str, expected: str, reason: str
) -> None:
    assert drawn(ticker, others, traded=traded) == expected, reason


def test_a_later_start_of_this_interval_is_no_listing() -> None:
    assert drawn("====##", listed=2) == "nnee..", "listed since the third session, says another interval"


def test_the_documented_limits() -> None:
    assert (HOLIDAY_TICKERS, DELISTED_SESSIONS, HALTED_SESSIONS) == (3, 20, 5)
    assert (HALT_ANSWERS, LISTING_ANSWERS) == (2, 2)
    assert HOLIDAY_TICKERS <= SIBLINGS


def test_no_tickers_or_no_sessions_are_no_gaps() -> None:
    nothing = np.zeros((0, 5), np.bool_), np.zeros((2, 0), np.bool_)
    for mask in nothing:
        count = mask.shape[0]
        vector = np.zeros(count, np.int64)
        facts = Facts(
            mask,
            mask.astype(np.int64),
            mask,
            mask,
            mask,
            mask,
            mask,
            np.ones(count, np.bool_),
            vector,
            vector,
            vector,
        )
        assert classify(facts, Elsewhere(mask, np.zeros(mask.shape[1], np.bool_))).shape == mask.shape
        assert possible_halts(facts) == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([[0, 0]], []),
        ([[1, 1, 0, 2]], [[0, 0, 1], [0, 3, 3]]),
        ([[1, 2, 2]], [[0, 0, 0], [0, 1, 2]]),
        ([[0, 1], [1, 0]], [[0, 1, 1], [1, 0, 0]]),
        ([[1], [1]], [[0, 0, 0], [1, 0, 0]]),
    ],
)
def test_runs_end_where_the_key_or_the_row_does(keys: list[list[int]], expected: list[list[int]]) -> None:
    assert runs_of(np.array(keys)).tolist() == expected
