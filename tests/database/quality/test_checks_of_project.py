"""Rules of a project in the suite: under their own names, holding where critical, broken ones named by their line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import quality_lab as lab
from quality_lab import CRYPTO, D1, VN, failed, lone

from hypertape.errors import CheckBroken, CheckEnded, CheckFailed
from hypertape.model import CRITICAL, WARNING, Window, utc
from hypertape.quality import project_rules as project_rules_module
from hypertape.quality.project_rules import project_rules
from hypertape.quality.results import BROKEN, holding, raise_if_critical, record
from hypertape.quality.rules import applies
from hypertape.quality.run import validate
from hypertape.reports.pages import run_report
from hypertape.settings import Settings
from hypertape.steps.sync import SyncResult, sync

DEAR = """\
-- name: dear
-- severity: critical
-- intervals: 1d
-- markets: vn
-- description: No close is above 1'000 (a rule's text may hold anything: {braces}, 100 %, "quotes")
select ticker, time, close, format('%s:%s {x}', ticker, close::int % 7) as what, array[1, 2] as list, now() as at
from {bars} where close > 1000 and '{a}' like '{%' and time >= {start} and {market} = 'vn'
"""
CHEAP = """\
-- name: cheap
-- severity: warning
-- description: No close is below 1
select ticker, time from {bars} where close < 1
"""
WRONG = """\
-- name: wrong
-- severity: warning
-- description: names a column there is not
select ticker, time
from {bars}
where closing > 1
"""
UNREAD = "-- name: unread\n-- severity: warning\nselect 1"


HEADER = "-- name: {}\n-- severity: critical\n-- markets: vn\n-- description: No bar is strange\n"
NEVER_RUN = {
    "spelt_wrong": ("selec ticker, time from {bars}", "it is no SELECT"),
    "cut_off": ("select ticker, time from {bars} where (close > 1", "(SyntaxError)"),
    "no_such_table": ("select ticker, time from {bars} join shares using (ticker)", "(UndefinedTable)"),
    "no_time": ("select ticker from {bars} where close > 1", "(UndefinedColumn)"),
    "writes": ("with gone as (delete from series returning ticker) select gone.ticker, now() as time from gone, {bars}",
               "(FeatureNotSupported)"),
    "divides": ("select ticker, time from {bars} where 1 / (volume - volume)::int > 1", "(DivisionByZero)"),
    "endless": ("select ticker, time from {bars}, pg_sleep(20)", "(QueryCanceled)"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hypertape.toml").touch()
    (tmp_path / "checks").mkdir()
    for name, text in {"dear": DEAR, "cheap": CHEAP, "wrong": WRONG, "unread": UNREAD}.items():
        (tmp_path / "checks" / f"{name}.sql").write_text(text)
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path


def test_rules_of_a_project_run_with_the_shipped_ones(project: Path, warehouse: str) -> None:
    with psycopg.connect(warehouse) as connection:
        lab.store(connection, VN, D1, lab.clean(VN, D1))
        high = {"open": 1500.0, "high": 1600.0, "low": 1400.0, "close": 1500.0}
        lab.add(connection, VN, D1, [lone(utc(2024, 1, 15), **high)])
        connection.commit()
        found = lab.check(warehouse, connection, VN, D1)
    wrong = failed(found)
    assert wrong["dear"] == [lab.KEY]
    assert wrong["wrong"] == [
        ("broken", f'(UndefinedColumn) {project}/checks/wrong.sql, line 6: column "closing" does not exist.')
    ]
    assert "unread.sql, line 1: there is no line -- description:" in wrong["unread"][0][1]
    assert "cheap" not in wrong
    dear = found["dear"]
    assert (dear.description, dear.severity, dear.unexpected) == (DEAR.splitlines()[4][16:], "critical", 1)
    assert (dear.sample[0]["what"], dear.details["statement"]) == ("BAD:2 {x}", "dear.sql")  # 1500 % 7
    assert found["wrong"].status == found["unread"].status == BROKEN
    with pytest.raises(CheckFailed, match=r"dear \(1, first BAD 2024-01-15\)"):
        raise_if_critical([dear, found["wrong"], found["unread"], found["cheap"]])
    assert holding([dear, found["wrong"], found["unread"]], ["AAA", "BAD"]) == {"BAD": ("dear",)}


def test_a_rule_leaves_other_markets_alone(project: Path, warehouse: str) -> None:
    with psycopg.connect(warehouse) as connection:
        lab.store(connection, CRYPTO, D1, lab.clean(CRYPTO, D1))
        connection.commit()
        found = lab.check(warehouse, connection, CRYPTO, D1)
    assert "dear" not in found
    assert found["cheap"].status == "passed"


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of checks of an empty project."""
    (tmp_path / "hypertape.toml").touch()
    (tmp_path / "checks").mkdir()
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path / "checks"


def test_a_critical_rule_that_does_not_run_holds_all_it_was_to_look_at(checks: Path, warehouse: str) -> None:
    for name, (text, _) in NEVER_RUN.items():
        (checks / f"{name}.sql").write_text(HEADER.format(name) + text)
    with psycopg.connect(warehouse) as connection:
        lab.store(connection, VN, D1, lab.clean(VN, D1))
        connection.commit()
        results = validate(
            warehouse, connection, VN, D1, Window(utc(2024, 1, 2), utc(2024, 3, 1)), run_id="lab",
            now=utc(2024, 3, 2), limit=timedelta(seconds=1),
        )  # fmt: skip
        record(connection, results)
        connection.commit()
        page = run_report(connection, "lab")
    found = {result.expectation: result for result in results}
    for name, (_, says) in NEVER_RUN.items():
        result = found[name]
        assert result.did_not_run, name
        assert says in (result.error or ""), name
        held = holding([result], ["AAA", "BBB"])
        assert held == {"AAA": (name,), "BBB": (name,)}
        with pytest.raises((CheckBroken, CheckEnded), match=name):
            raise_if_critical([result])
    told = page[page.index("Rules that did not run") : page.index("Critical: a failure keeps")]
    assert {name for name in NEVER_RUN if f">{name}</span>" in told} == NEVER_RUN.keys()
    assert told.count("No bar is strange") == len(NEVER_RUN)
    assert f"{len(NEVER_RUN)} did not run" in page


@pytest.mark.parametrize(
    ("text", "name", "severity", "applies_to"),
    [
        (HEADER.format("mine") + "select 1", "mine", CRITICAL, {"vn"}),
        (HEADER.format("mine").replace("critical", "critcal") + "select 1", "mine", CRITICAL, {"vn"}),
        (HEADER.format("mine").replace("critical", "warning") + "select 1", "mine", WARNING, {"vn"}),
        (HEADER.format("My Rule") + "select 1", "file", CRITICAL, {"vn"}),
        (HEADER.format("key_unique") + "select ticker, time from {bars}", "file", CRITICAL, {"vn"}),
        ("select ticker, time from {bars}", "file", CRITICAL, {"vn", "crypto"}),
        ("-- severity: warning\n-- name: \xff\n", "file", WARNING, {"vn", "crypto"}),
        ("", "file", CRITICAL, {"vn", "crypto"}),
    ],
    ids=["no bars in it", "a slip in the severity", "a warning", "a name that is none", "a shipped rule's name",
         "no header", "no UTF-8", "empty"],
)  # fmt: skip
def test_what_can_be_read_of_a_broken_rule_counts_and_the_rest_is_taken_for_critical(
    checks: Path, text: str, name: str, severity: str, applies_to: set[str]
) -> None:
    (checks / "file.sql").write_bytes(text.encode("latin-1"))
    (rule,) = project_rules()
    assert rule.broken
    assert (rule.name, rule.severity) == (name, severity)
    assert {market.code for market in (VN, CRYPTO) if applies(rule, market, D1)} == applies_to


def test_nothing_is_published_past_a_rule_that_nobody_can_read(
    checks: Path, warehouse: str, tmp_path: Path
) -> None:
    """The whole run: held, told by name in the report; and published once the rule is mended."""
    settings, source, end = Settings(state_dir=tmp_path / "state"), {"name": "sample"}, utc(2025, 4, 5)
    (checks / "mine.sql").write_text(HEADER.format("mine") + "select ticker from {bars} were close > 1e9")

    def run() -> SyncResult:
        project_rules_module._of_project.cache_clear()
        return sync(
            warehouse, "vn", "1d", now=end, end=end, tickers=["SYNBANK"], source=source, settings=settings
        )

    first = run()
    assert isinstance(first.error, CheckBroken)
    assert "mine" in str(first.error)
    assert first.after is not None
    report = first.after.published.report.read_text()
    assert ">mine</span>" in report
    assert "mine.sql, line 5" in report
    with psycopg.connect(warehouse) as connection:
        counted = (
            "select (select count(*) from market_data_1d), (select count(*) from published.market_data_1d)"
        )
        stored, published = connection.execute(counted).fetchone() or (0, 0)
        held = connection.execute("select ticker, held_by from published").fetchall()
    assert stored > 500
    assert published == 0
    assert held == [("SYNBANK", ["mine"])]
    (checks / "mine.sql").write_text(
        HEADER.format("mine") + "select ticker, time from {bars} where close > 1e9"
    )
    assert run().error is None
    with psycopg.connect(warehouse) as connection:
        assert connection.execute(counted).fetchone() == (stored, stored)
