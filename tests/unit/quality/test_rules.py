"""The table of rules: complete, consistent, and each with its statement."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from hypertape.markets import all_markets, get_market
from hypertape.model import STORED_INTERVALS, Interval, Window, utc
from hypertape.quality.project_rules import rules_for
from hypertape.quality.rules import RULES
from hypertape.quality.scope import Scope, names_for
from hypertape.queries import query, sql_directory

VN = get_market("vn")
SCOPE = Scope(VN, Interval.D1, Window(utc(2024), utc(2025)), "run", utc(2024, 6, 1))


def test_names_are_unique_and_nothing_is_undescribed() -> None:
    assert [name for name, times in Counter(rule.name for rule in RULES).items() if times > 1] == []
    assert [rule.name for rule in RULES if not (rule.description and rule.target)] == []
    assert {rule.severity for rule in RULES} == {"critical", "warning"}


def test_critical_rules_are_those_that_contradict_the_bars_themselves() -> None:
    assert {
        rule.name for rule in RULES if rule.severity == "critical" and not rule.name.endswith("_not_null")
    } == {
        "prices_positive",
        "volume_not_negative",
        "key_unique",
        "values_finite",
        "high_not_below_low",
        "time_on_grid",
        "time_not_future",
        "previous_bar",
        "averages",
    }


def test_every_statement_belongs_to_a_rule_or_a_module() -> None:
    shared = {"rows", "pairs", "offenders", "scope", "spans", "transaction", "record", "of_run"}
    shared |= {"analyse", "unanalysed"}
    files = {
        path.stem.removeprefix("quality_") for path in (sql_directory() / "queries").glob("quality_*.sql")
    }
    used = {rule.query_name.removeprefix("quality_") for rule in RULES if not rule.expectation}

    assert files == used | shared


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.expectation], ids=lambda rule: rule.name)
def test_a_statement_documents_the_placeholders_it_takes(rule) -> None:  # type: ignore[no-untyped-def]
    text = query(rule.query_name).as_string(None)
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("--"))
    taken = set(re.findall(r"\{(\w+)\}", text)) - {"tickers"}

    assert {name for name in taken if not re.search(rf"\b{name}\b", header)} == set()
    assert "{" not in query(rule.query_name).format(**names_for(SCOPE, rule)).as_string(None)


def test_daily_and_intraday_suites_differ_where_completeness_does() -> None:
    names = {interval: {rule.name for rule in rules_for(VN, interval)} for interval in STORED_INTERVALS}

    assert names[Interval.D1] - names[Interval.M1] == {
        "sessions_complete", "date_is_session", "volume_not_zero", "adjustment_steps", "actions_applied",
        "day_holds_1h",
    }  # fmt: skip
    assert names[Interval.M1] - names[Interval.D1] == {
        "sessions_covered", "sessions_whole", "time_in_session",
    }  # fmt: skip
    assert {"day_holds_1h"} <= names[Interval.H1]


def test_a_market_with_negative_prices_is_not_asked_for_positive_ones() -> None:
    futures = replace(VN, positive_prices=False)

    assert "prices_positive" not in {rule.name for rule in rules_for(futures, Interval.D1)}


@pytest.mark.parametrize(
    ("end", "now", "judged"),
    [
        (utc(2024, 3), utc(2024, 2), utc(2024, 2)),  # the window reaches beyond now
        (utc(2024, 3), utc(2026, 1), utc(2024, 3)),  # a backfill of an old window
    ],
)
def test_bars_are_due_up_to_the_earlier_of_now_and_the_window(end, now, judged) -> None:  # type: ignore[no-untyped-def]
    assert Scope(VN, Interval.D1, Window(utc(2024), end), "run", now).judged == judged


@pytest.mark.parametrize("market", all_markets().values(), ids=lambda market: market.code)
@pytest.mark.parametrize("interval", STORED_INTERVALS)
def test_the_grid_has_an_opening_in_every_market(market, interval) -> None:  # type: ignore[no-untyped-def]
    names = names_for(Scope(market, interval, SCOPE.window, "run", SCOPE.now))
    minute = market.hour_mark // timedelta(minutes=1) if interval is Interval.H1 else 0

    assert names["grid_origin"].as_string(None).startswith(f"'2000-01-03 00:{minute:02}:00+00:00'")


@pytest.mark.parametrize(
    "text", ["a'b", "{0}", ":name", "100%", "back\\slash", "né", "\N{CHART WITH UPWARDS TREND}"]
)
def test_no_layer_finds_anything_to_read_in_a_ticker(text: str) -> None:
    scope = Scope(VN, Interval.D1, SCOPE.window, text, SCOPE.now, (text,))

    literal = names_for(scope)["run_id"].as_string(None)

    assert re.fullmatch(r"E'([A-Za-z0-9 _./-]|\\U[0-9a-f]{8})*'", literal)
    assert names_for(scope)["tickers"].as_string(None) == f"array[{literal}]::text[]"
    assert literal[2:-1].encode().decode("unicode_escape") == text
