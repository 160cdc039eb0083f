"""What is derived from the bars is proven over all of history: a corrupted bucket, and bars somebody wrote by SQL."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import (
    CRYPTO,
    D1,
    NOW,
    Connection,
    fingerprint,
    fresh_fingerprint,
    grid,
    new_ticker,
    put,
    query,
    value,
    walk,
)
from psycopg import sql
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.frame import Bars, instant
from hypertape.model import Interval
from hypertape.settings import Settings
from hypertape.steps.prove import Part, prove_some, reindicate, verify_rollups
from hypertape.steps.refresh import refresh_waiting
from hypertape.warehouse.findings import findings, open_findings

DAYS = 700
RUN = "verify"


class Held:
    """A warehouse with one series of almost two years whose rollups are refreshed."""

    def __init__(self, dsn: str, connection: Connection, tmp_path: Path) -> None:
        self.dsn, self.connection, self.ticker = dsn, connection, new_ticker("PRV")
        self.settings = Settings(state_dir=tmp_path)
        self.bars = walk(DAYS)
        put(connection, {self.ticker: self.bars})
        refresh_waiting(dsn, "first", "crypto", "1d", NOW)

    def verify(self, **others: Any) -> dict[str, tuple[int, int]]:
        """What differs and what is left of each interval."""
        given = {"run_id": RUN, "now": NOW, "settings": self.settings}
        found = verify_rollups(self.dsn, [CRYPTO], **given, **others)
        counts: dict[str, tuple[int, int]] = {}
        for each in found:
            before = counts.get(each.interval, (0, 0))
            counts[each.interval] = (before[0] + each.differing, before[1] + each.left)
        return {interval: count for interval, count in counts.items() if count[0]}

    def kinds(self) -> list[str]:
        return sorted(each.cause for each in open_findings(self.connection, NOW) if "differ" in each.kind)

    def corrupt(self, relation: str, at: str) -> None:
        """Change one old bucket where it is stored."""
        stored = relation
        if value(self.connection, "select hypertape.server_tier()") == "timescaledb":
            stored = value(
                self.connection,
                "select format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
                "from timescaledb_information.continuous_aggregates "
                "where format('%%I.%%I', view_schema, view_name) = %s",
                relation,
            )
        done = self.connection.execute(
            sql.SQL("update {} set high = high * 2 where ticker = %s and time = %s").format(
                sql.Identifier(*stored.split("."))
            ),
            (self.ticker, at),
        )
        assert done.rowcount == 1


@pytest.fixture
def held(warehouse: str, connection: Connection, tmp_path: Path) -> Held:
    return Held(warehouse, connection, tmp_path)


@pytest.mark.parametrize(
    ("interval", "bucket"),
    [("1w", "2020-03-02"), ("2w", "2020-02-24"), ("1mo", "2020-04-01")],
)
def test_a_corrupted_old_bucket_is_found_and_mended(held: Held, interval: str, bucket: str) -> None:
    assert held.verify() == {}
    relation = f"bars.{CRYPTO.relation(Interval(interval))}"
    ((bucket,),) = query(
        held.connection, f"select max(time)::text from {relation} where time <= '{bucket}'"
    )  # the second week of its pair is no bucket
    held.corrupt(relation, bucket)
    assert held.verify() == {interval: (1, 1)}
    assert held.kinds() == [f"rollups_differ/crypto/{interval}"]
    (found,) = findings(held.connection, NOW, kinds=["rollups_differ"])
    assert (found.tickers, found.severity) == ([held.ticker], "critical")
    assert found.mend.startswith(f"hypertape rollups verify -m crypto -i {interval} --since 2020-0")
    assert held.verify(repair=True) == {interval: (1, 0)}
    assert held.kinds() == []
    assert held.verify() == {}


def test_every_bucket_belongs_to_one_part() -> None:
    for interval in (Interval.W1, Interval.W2, Interval.MO1, Interval.M5):
        months = [Part(CRYPTO, interval, instant(int(at)).date()) for at in grid(1)]
        months += [Part(CRYPTO, interval, months[0].month.replace(month=month)) for month in range(2, 13)]
        windows = [part.window for part in months]
        assert all(one.end == other.start for one, other in pairwise(windows)), interval


def at(held: Held, position: int) -> str:
    return f"{instant(int(held.bars.time[position])):%Y-%m-%d}"


def test_what_somebody_writes_by_sql_is_found_and_mended(held: Held) -> None:
    """An update, a delete and an insert past the end; afterwards the series is as if loaded that way."""
    relation = "bars.crypto_data_1d" if CRYPTO.table == "crypto_data" else f"bars.{CRYPTO.relation(D1)}"
    change = [
        f"update {relation} set close = close * 1.5, high = high * 1.5 where ticker = %s and time = '{at(held, 300)}'",
        f"delete from {relation} where ticker = %s and time = '{at(held, 100)}'",
        f"insert into {relation} (ticker, time, open, high, low, close, volume, load_id) "
        f"values (%s, '{instant(int(held.bars.time[-1]) + 86_400_000_000):%Y-%m-%d}', 1, 2, 0.5, 1.5, 10, 0)",
    ]
    for statement in change:
        assert held.connection.execute(statement, (held.ticker,)).rowcount == 1  # type: ignore[call-overload]
    found = held.verify()
    assert found["1d"][0] >= 400, "all within 200 bars of the two, and the new one"
    assert "indicators_differ/crypto/1d" in held.kinds()
    assert {"1w", "1mo"} <= set(found)
    assert {interval: count[1] for interval, count in held.verify(repair=True).items()}.get("1d") == 0
    assert held.verify() == {}
    assert held.kinds() == []
    assert fingerprint(held.connection, held.ticker) == fresh_fingerprint(held.connection, _as_stored(held))


def _as_stored(held: Held) -> Bars:
    keep = [n for n in range(DAYS) if n != 100]
    bars = held.bars.take(keep)
    bars.close[299] *= 1.5
    bars.high[299] *= 1.5
    day = [int(held.bars.time[-1]) + 86_400_000_000]
    values = {
        "open": 1.0,
        "high": 2.0,
        "low": 0.5,
        "close": 1.5,
        "volume": 10.0,
        "adjusted_close": float("nan"),
    }
    return Bars(np.append(bars.time, day), *(np.append(getattr(bars, n), v) for n, v in values.items()))


def test_a_dry_run_writes_nothing_and_its_finding_lasts_until_the_mend(held: Held) -> None:
    where = sql.SQL("update {} set ma10 = 0 where ticker = %s and time = %s").format(
        sql.Identifier("bars", CRYPTO.relation(D1))
    )
    held.connection.execute(where, (held.ticker, at(held, 50)))
    given = {"run_id": RUN, "now": NOW, "settings": held.settings, "tickers": [held.ticker]}
    for _ in range(2):
        (found,) = reindicate(held.dsn, "crypto", D1, **given)
        assert (found.differing, found.left, found.first) == (1, 1, at(held, 50))
        assert held.kinds() == ["indicators_differ/crypto/1d"]
    (found,) = reindicate(held.dsn, "crypto", D1, dry_run=False, **given)
    assert (found.differing, found.left) == (1, 0)
    assert held.kinds() == []


def test_a_part_a_day_proves_everything_within_a_month(held: Held) -> None:
    held.corrupt(f"bars.{CRYPTO.relation(Interval.W1)}", "2020-06-01")
    found = []
    for day in range(30):
        found += prove_some(
            held.dsn, [CRYPTO], run_id=f"day {day}", now=NOW + timedelta(days=day), settings=held.settings
        )
    assert {(each.interval, each.differing) for each in found if each.differing} == {("1w", 1)}
    assert "rollups_differ/crypto/1w" in held.kinds()
    assert {"1w", "2w", "1mo", "1d"} <= {each.interval for each in found}


def test_the_verbs_say_what_differs_and_what_mends_it(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", held.dsn)
    held.corrupt(f"bars.{CRYPTO.relation(Interval.W1)}", "2020-03-02")
    run = CliRunner().invoke
    found = run(app, ["rollups", "verify", "-m", "crypto", "-i", "1w", "--json"])
    assert [row["differing"] for row in json.loads(found.stdout) if row["differing"]] == [1]
    assert found.exception is not None
    assert "rollups verify --repair" in str(found.exception)
    listed = json.loads(
        run(app, ["findings", "list", "-m", "crypto", "--kind", "rollups_differ", "--json"]).stdout
    )
    assert [row["severity"] for row in listed] == ["critical"]
    number = str(listed[0]["finding_id"])
    assert "differ from the bars" in run(app, ["findings", "show", number]).stdout
    away = run(
        app, ["findings", "acknowledge", number, "--reason", "mended at night", "--until", "2100-01-01"]
    )
    assert "is out of the way until 2100-01-01" in away.stdout
    assert "acknowledged" in run(app, ["findings", "list", "--no-look", "-m", "crypto"]).stdout
    assert "is open" in run(app, ["findings", "reopen", number]).stdout
    strict = run(app, ["findings", "list", "--strict", "-m", "crypto"])
    assert "differ from the bars" in str(strict.exception)
    assert run(app, ["rollups", "verify", "-m", "crypto", "--since", "2020-03-01", "--repair"]).exit_code == 0
    assert json.loads(run(app, ["findings", "list", "--kind", "rollups_differ", "--json"]).stdout) == []
    assert run(app, ["reindicate", "crypto", "1d", "--dry-run"]).exit_code == 0
    assert "There is no finding 0" in str(run(app, ["findings", "show", "0"]).exception)
