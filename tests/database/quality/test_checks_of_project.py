"""Rules of a project in the suite: under their own names, holding where critical, broken ones named by their line."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import quality_lab as lab
from quality_lab import CRYPTO, D1, VN, failed, lone

from hypertape.errors import CheckFailed
from hypertape.model import utc
from hypertape.quality.results import BROKEN, holding, raise_if_critical

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
UNREAD = "-- name: unread\nselect 1"


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
    assert "unread.sql, line 1: there is no line -- severity:" in wrong["unread"][0][1]
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
