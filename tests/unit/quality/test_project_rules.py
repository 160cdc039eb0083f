"""Rules of a project as files: read, refused with their line, and with other people's braces left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from hypertape.errors import BadProject
from hypertape.markets import get_market
from hypertape.model import CRITICAL, STORED_INTERVALS, Interval
from hypertape.quality.project_rules import problems, project_rules, read_rule, rules_for, text_of
from hypertape.quality.rules import RULES

SPIKE = """\
-- name: spike
-- severity: critical
-- intervals: 1d
-- markets: vn, us
-- description: Nobody's volume is above a million
-- A further remark: with a colon.
select ticker, time, volume from {bars} where volume > 1e6 and ticker !~ 'A{2}';
"""


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hypertape.toml").touch()
    (tmp_path / "checks").mkdir()
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path / "checks"


def test_a_file_is_a_rule_of_its_markets_and_intervals(checks: Path) -> None:
    (checks / "spike.sql").write_text(SPIKE)
    (rule,) = project_rules()
    assert (rule.name, rule.severity, rule.intervals, rule.markets) == (
        "spike", CRITICAL, (Interval.D1,), ("vn", "us"),
    )  # fmt: skip
    assert rule.description == "Nobody's volume is above a million"
    vn, crypto = get_market("vn"), get_market("crypto")
    shipped = len([name for name in RULES if Interval.D1 in name.intervals])
    assert rules_for(vn, Interval.D1)[-1] is rule
    assert len(rules_for(vn, Interval.D1)) == shipped + 1
    assert rule not in rules_for(vn, Interval.H1)
    assert rule not in rules_for(crypto, Interval.D1)


def test_without_intervals_and_markets_it_is_a_rule_of_all(checks: Path) -> None:
    text = "\n".join(
        line for line in SPIKE.splitlines() if "-- intervals" not in line and "-- markets" not in line
    )
    (checks / "spike.sql").write_text(text)
    (rule,) = project_rules()
    assert (rule.intervals, rule.markets) == (STORED_INTERVALS, ())


def test_only_known_placeholders_are_filled_in(checks: Path) -> None:
    (checks / "spike.sql").write_text(SPIKE + "-- {who}")
    (rule,) = project_rules()
    names: dict[str, sql.Composable] = dict.fromkeys(
        ("relation", "market", "interval", "start", "end", "now", "tickers"), sql.Literal(1)
    )
    text = text_of(rule, names)
    assert "from bar where" in text
    assert "'A{2}'" in text
    assert "-- {who}" in text


BROKEN = [
    pytest.param("-- name: spike\n", "", 1, "there is no line -- name:", id="no name"),
    pytest.param("-- description", "-- remark", 5, "there is no 'remark'", id="unknown key"),
    pytest.param("critical", "fatal", 2, "Valid: critical, warning", id="severity"),
    pytest.param("1d", "1w", 3, "Valid: 1d, 1h, 1m", id="a rollup"),
    pytest.param("name: spike", "name: Spike!", 1, "small letters", id="name"),
    pytest.param("name: spike", "name: fresh", 1, "there is a rule fresh already", id="a shipped one"),
    pytest.param("select ticker", "delete", 7, "it is no SELECT", id="writes"),
    pytest.param("{bars}", "bars", 1, "it looks at no {bars}", id="no placeholder"),
    pytest.param("1e6 and", "1e6; select", 1, "several statements", id="two statements"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), BROKEN)
def test_a_broken_file_names_its_line_and_becomes_a_rule_that_does_not_run(
    checks: Path, old: str, new: str, line: int, says: str
) -> None:
    (checks / "a.sql").write_text(SPIKE.replace(old, new, 1))
    (checks / "b.sql").write_text(SPIKE.replace("spike", "other", 1))
    (problem,) = problems()
    assert f"a.sql, line {line}: " in str(problem)
    assert says in str(problem)
    broken, other = project_rules()
    named = "a" if old.removeprefix("-- ").startswith("name") else "spike"
    assert (broken.name, broken.severity, broken.broken) == (named, CRITICAL, str(problem))
    assert (other.name, other.broken) == ("other", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "-- markets: vn, us", "-- markets: xy\n-- remark: a typing error", id="an unknown market"
        ),
        pytest.param("-- markets: vn, us", "-- markets: vn\n-- markets: us", id="two lists of markets"),
        pytest.param("-- intervals: 1d", "-- intervals: 1d\n-- intervals: 1h", id="two of intervals"),
        pytest.param(
            "-- severity: critical", "-- severity: warning\n-- severity: critical", id="two severities"
        ),
    ],
)
def test_what_nobody_can_read_holds_what_it_may_have_been_meant_to_hold(
    checks: Path, old: str, new: str
) -> None:
    assert old in SPIKE
    (checks / "a.sql").write_text(SPIKE.replace(old, new, 1))
    (broken,) = project_rules()
    assert broken.broken
    assert broken.severity == CRITICAL
    held = get_market("us") if "markets" in old else get_market("vn")
    interval = Interval.H1 if "intervals" in old else Interval.D1
    assert broken in rules_for(held, interval)


def test_two_files_with_one_name(checks: Path) -> None:
    (checks / "a.sql").write_text(SPIKE)
    (checks / "b.sql").write_text(SPIKE)
    assert [str(problem).count("there is a rule spike already") for problem in problems()] == [1]


def test_the_shipped_example_is_fine() -> None:
    from hypertape.steps import project

    assert read_rule(project.TEMPLATE / "checks" / "_volume_spike.sql").name == "volume_spike"
    with pytest.raises(BadProject):
        read_rule(project.TEMPLATE / "hypertape.toml")
