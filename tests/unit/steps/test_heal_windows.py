"""Few windows for many gaps: whole months, weeks or days, joined where they touch, shared where they are equal."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hypertape.model import Interval, Window, utc
from hypertape.steps.heal import heal_batches
from hypertape.warehouse.gaps.healing import HealableGap

START = (2015, 1, 5)
NOW, DUE_FROM = utc(2025, 6, 20, 9), utc(*START)


def gap(ticker: str, start: tuple[int, ...], end: tuple[int, ...]) -> HealableGap:
    return HealableGap(ticker, Window(utc(*start), utc(*end)), 1, 0, DUE_FROM)


def planned(interval: Interval, *gaps: HealableGap, size: int = 50) -> list[tuple[str, str, str]]:
    return [
        (",".join(batch.tickers), f"{batch.window.start:%Y-%m-%d}", f"{batch.window.end:%Y-%m-%dT%H}")
        for batch in heal_batches(interval, gaps, NOW, size)
    ]


@pytest.mark.parametrize(
    ("interval", "gaps", "expected", "reason"),
    [
        ("1d", [], [], "nothing is missing, nothing is asked"),
        ("1d", [gap("A", (2025, 3, 5), (2025, 3, 6))], [("A", "2025-03-01", "2025-04-01T00")], "a whole month"),
        (
            "1d",
            [gap("A", (2025, 3, 5), (2025, 3, 6)), gap("A", (2025, 3, 20), (2025, 3, 21))],
            [("A", "2025-03-01", "2025-04-01T00")],
            "two gaps of a month are one request",
        ),
        (
            "1d",
            [gap("A", (2025, 3, 5), (2025, 3, 6)), gap("A", (2025, 4, 9), (2025, 4, 10))],
            [("A", "2025-03-01", "2025-05-01T00")],
            "neighbouring months join",
        ),
        (
            "1d",
            [gap("A", (2025, 1, 8), (2025, 1, 9)), gap("A", (2025, 4, 9), (2025, 4, 10))],
            [("A", "2025-01-01", "2025-02-01T00"), ("A", "2025-04-01", "2025-05-01T00")],
            "what lies apart is asked for apart",
        ),
        (
            "1d",
            [gap("A", (2025, 3, 5), (2025, 3, 6)), gap("B", (2025, 3, 27), (2025, 3, 28))],
            [("A,B", "2025-03-01", "2025-04-01T00")],
            "tickers that lack days of the same month share a batch",
        ),
        ("1d", [gap("A", (2025, 6, 19), (2025, 6, 20))], [("A", "2025-06-01", "2025-06-20T09")], "up to now at most"),
        ("1d", [gap("A", (2015, 1, 5), (2015, 1, 6))], [("A", "2015-01-05", "2015-02-01T00")], "not before it is due"),
        (
            "1d",
            [gap("A", START, (2018, 5, 7)), gap("B", START, (2018, 11, 20)), gap("C", START, (2024, 2, 1))],
            [("A,B", "2015-01-05", "2019-01-01T00"), ("C", "2015-01-05", "2025-01-01T00")],
            "tickers that were listed in the course of a year share a batch",
        ),
        (
            "1d",
            [gap("A", START, (2018, 5, 7)), gap("A", (2018, 8, 7), (2018, 8, 8)), gap("A", (2019, 1, 7), (2019, 1, 8))],
            [("A", "2015-01-05", "2019-02-01T00")],
            "what lies in the rest of that year, or touches it, is in the same request",
        ),
        (
            "1d",
            [gap("A", START, (2015, 1, 8)), gap("A", (2015, 3, 4), (2015, 3, 5)), gap("A", (2015, 6, 1), (2016, 8, 1))],
            [("A", "2015-01-05", "2017-01-01T00")],
            "and so is what lies in the beginning of its first year",
        ),
        ("1d", [gap("A", (2025, 1, 7), (2025, 6, 5))], [("A", "2025-01-01", "2025-06-20T09")], "months are no year"),
        ("1h", [gap("A", (2023, 9, 1), (2024, 2, 20))], [("A", "2023-07-01", "2024-04-01T00")], "quarters"),
        ("1m", [gap("A", (2023, 9, 1), (2023, 12, 1))], [("A", "2023-09-01", "2023-12-01T00")], "whole months stay"),
        ("1m", [gap("A", (2023, 9, 1), (2023, 12, 2))], [("A", "2023-09-01", "2024-01-01T00")], "or end with one"),
        ("1h", [gap("A", (2025, 6, 4, 2), (2025, 6, 4, 8))], [("A", "2025-06-02", "2025-06-09T00")], "a week"),
        ("1m", [gap("A", (2025, 6, 4, 2), (2025, 6, 4, 8))], [("A", "2025-06-04", "2025-06-05T00")], "a day"),
    ],
)  # fmt: skip
def test_windows(
    interval: str, gaps: list[HealableGap], expected: list[tuple[str, str, str]], reason: str
) -> None:
    assert planned(Interval(interval), *gaps) == expected, reason


def test_an_outage_of_a_day_is_a_few_batches() -> None:
    gaps = [gap(f"T{n:03}", (2025, 3, 5), (2025, 3, 6)) for n in range(120)]
    assert [len(batch.tickers) for batch in heal_batches(Interval.D1, gaps, NOW, 50)] == [50, 50, 20]
    assert [batch.index for batch in heal_batches(Interval.D1, gaps, NOW, 50)] == [0, 1, 2]


def test_the_second_look_at_the_listings_of_a_whole_market_is_a_request_each_in_few_batches() -> None:
    gaps = [gap(f"T{n:03}", (2015, 1, 5), (2016 + n % 9, 1 + n % 12, 1 + n % 28)) for n in range(300)]
    batches = heal_batches(Interval.D1, gaps, NOW, 50)
    assert sorted(ticker for batch in batches for ticker in batch.tickers) == [f"T{n:03}" for n in range(300)]
    assert len(batches) <= 11


@pytest.mark.parametrize("interval", [Interval.D1, Interval.H1, Interval.M1])
def test_every_gap_lies_in_one_window_of_its_ticker(interval: Interval) -> None:
    gaps = [
        gap(f"T{n % 7}", (2015 + n % 10, 1 + n % 12, 5 + n % 9), (2015 + n % 10 + n // 60, 1 + n % 12, 20))
        for n in range(90)
    ]
    batches = heal_batches(interval, gaps, NOW, 3)
    for one in {each.ticker for each in gaps}:
        windows = [batch.window for batch in batches if one in batch.tickers]
        assert all(before.end < after.start for before, after in pairwise(windows)), (
            "nothing is asked for twice"
        )
    for each in gaps:
        if each.window.end <= NOW:
            assert any(
                each.ticker in b.tickers
                and b.window.start <= each.window.start
                and each.window.end <= b.window.end
                for b in batches
            )
