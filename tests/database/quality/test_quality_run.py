"""How suites are run: what is sampled, counted, written, and how a broken rule is told from bad data."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
import quality_lab as lab
from psycopg import sql
from quality_lab import (
    D1,
    KEY,
    MONDAY,
    VN,
    Connection,
    Series,
    failed,
    lone,
)

from hypertape.errors import BadInput, CheckBroken, CheckFailed
from hypertape.model import Interval, Window, utc
from hypertape.quality import scope
from hypertape.quality.results import BROKEN, raise_if_critical
from hypertape.quality.run import validate
from hypertape.queries import query

Plant = Callable[[Connection, Series], None]


# --- the sample of recomputed averages


def test_the_newest_bar_of_every_ticker_is_always_recomputed(
    quality_warehouse: str, shared: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "SAMPLED_BARS", 0)
    lab.store(shared, VN, D1, lab.clean(VN, D1))
    shared.execute(
        "update bars.market_data_1d set ma20 = ma20 + 1 where ticker = 'BBB' and time = '2024-02-07 00:00:00+00'"
    )

    assert failed(lab.check(quality_warehouse, shared, VN, D1)) == {"averages": [("BBB", "2024-02-07")]}


def test_the_rest_of_the_sample_changes_from_run_to_run(
    quality_warehouse: str, shared: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "SAMPLED_BARS", 8)
    lab.store(shared, VN, D1, lab.clean(VN, D1, ("AAA",)))
    shared.execute("update bars.market_data_1d set ma20 = ma20 + 1")

    samples = [
        {key["time"] for key in lab.check(quality_warehouse, shared, VN, D1, run_id=run)["averages"].sample}
        for run in ("one", "one", "two")
    ]

    assert samples[0] == samples[1] != samples[2]
    assert [len(sample) for sample in samples] == [9, 9, 9]


# --- how it is run


def test_only_the_named_tickers_are_looked_at(quality_warehouse: str, shared: Connection) -> None:
    odd = "a{b}:c'%s\\"
    lab.store(shared, VN, D1, lab.clean(VN, D1))
    lab.add(shared, VN, D1, [lone(MONDAY, ticker=odd, close=12.0), lone(MONDAY, close=12.0)])

    everything = failed(lab.check(quality_warehouse, shared, VN, D1))
    some = failed(lab.check(quality_warehouse, shared, VN, D1, tickers=("AAA", odd)))
    none = lab.check(quality_warehouse, shared, VN, D1, tickers=())

    assert everything == {"ohlc_order": [KEY, (odd, "2024-01-15")]}
    assert some == {"ohlc_order": [(odd, "2024-01-15")]}
    assert {result.evaluated for result in none.values()} == {0}


def test_offenders_are_all_counted_and_few_are_named(quality_warehouse: str, shared: Connection) -> None:
    lab.store(shared, VN, D1, lab.clean(VN, D1, ("AAA",)))
    shared.execute(
        "update bars.market_data_1d set open = high + 1, volume = -0.0 where time >= '2023-10-01 00:00:00+00'"
    )

    results = lab.check(quality_warehouse, shared, VN, D1)

    order = results["ohlc_order"]
    assert order.unexpected == order.evaluated == 92
    assert order.unexpected_percent == 100.0
    assert [key["time"] for key in order.sample] == sorted(key["time"] for key in order.sample)
    assert len(order.sample) == 10


def test_built_in_expectations_count_all_and_name_few(quality_warehouse: str, shared: Connection) -> None:
    lab.store(shared, VN, D1, lab.clean(VN, D1, ("AAA",)))
    shared.execute(
        "update bars.market_data_1d set adjusted_close = -1 where time >= '2023-10-01 00:00:00+00'"
    )

    positive = lab.check(quality_warehouse, shared, VN, D1)["adjusted_close_positive"]

    assert (positive.unexpected, positive.evaluated, len(positive.sample)) == (92, 92, 10)


def test_progress_names_every_rule_before_it_runs(quality_warehouse: str, shared: Connection) -> None:
    told: list[str] = []

    results = lab.check(quality_warehouse, shared, VN, D1, progress=told.append)

    assert ", ".join(told).split(", ") == list(results)


def test_nothing_but_the_calendar_is_written(quality_warehouse: str, shared: Connection) -> None:
    shared.execute("delete from trading_session")
    lab.store(shared, VN, D1, lab.clean(VN, D1))

    lab.check(quality_warehouse, shared, VN, D1)

    first, last, kept = shared.execute(
        "select min(session), max(session), count(*) from trading_session"
    ).fetchone()  # type: ignore[misc]
    assert first <= utc(2023, 10, 2).date()
    assert last >= utc(2024, 2, 7).date()
    assert kept < 100
    assert shared.execute("select count(*) from quality_result").fetchone() == (0,)


def test_a_derived_interval_has_no_suite(quality_warehouse: str, shared: Connection) -> None:
    with pytest.raises(BadInput, match=r"1w is rolled up.*Validate 1d"):
        validate(
            quality_warehouse,
            shared,
            VN,
            Interval.W1,
            Window(utc(2024), utc(2025)),
            run_id="test",
            now=utc(2025),
        )


def test_a_database_that_is_gone_is_no_finding(quality_warehouse: str, shared: Connection) -> None:
    other = psycopg.connect(quality_warehouse)
    shared.execute("select pg_terminate_backend(%s)", (other.info.backend_pid,))

    with pytest.raises(psycopg.OperationalError):
        validate(quality_warehouse, other, VN, D1, lab.SPANS["vn", D1][1], run_id="test", now=utc(2025))


# --- broken rules are told apart


def test_a_warning_rule_that_does_not_run_is_broken_and_nothing_more(warehouse: str) -> None:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        lab.store(connection, VN, D1, lab.clean(VN, D1))
        connection.execute("alter view corporate_actions rename to actions_elsewhere")

        results = lab.check(warehouse, connection, VN, D1)

    broken = {name: result for name, result in results.items() if result.status == BROKEN}
    assert set(failed(results)) == set(broken) == {"adjustment_steps", "close_jump", "actions_applied"}
    assert all(
        'relation "public.corporate_actions" does not exist' in str(result.error)
        for result in broken.values()
    )
    assert {(result.evaluated, result.unexpected, result.sample) for result in broken.values()} == {
        (None, None, ())
    }
    raise_if_critical(list(results.values()))


def test_a_critical_rule_that_does_not_run_proves_nothing(warehouse: str) -> None:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        lab.store(connection, VN, D1, lab.clean(VN, D1))
        connection.execute("alter table bars.market_data_1d rename column volume to turnover")

        results = lab.check(warehouse, connection, VN, D1)

    broken = {name for name, result in results.items() if result.status == BROKEN}
    assert {"volume_not_null", "volume_not_negative", "values_finite", "previous_bar"} <= broken
    assert results["open_not_null"].status == "passed"
    with pytest.raises(CheckBroken, match=r"volume_not_null.*volume"):
        raise_if_critical(list(results.values()))


def test_a_critical_finding_stops_the_watermark(quality_warehouse: str, shared: Connection) -> None:
    lab.store(shared, VN, D1, lab.clean(VN, D1))
    lab.add(shared, VN, D1, [lone(MONDAY, low=0.0)])

    results = lab.check(quality_warehouse, shared, VN, D1)

    with pytest.raises(
        CheckFailed, match=r"1 critical checks failed: prices_positive \(1, first BAD 2024-01-15\).*vn 1d"
    ):
        raise_if_critical(list(results.values()))


def test_a_suite_relies_on_nothing_that_a_role_or_a_session_may_have_set(quality_warehouse: str) -> None:
    """And a rule ends in time, or with the client that asked for it."""
    with psycopg.connect(quality_warehouse, autocommit=True) as connection:
        connection.execute(
            "set datestyle = 'SQL, DMY'; set extra_float_digits = 0; set search_path = pg_catalog"
        )
        connection.execute(
            "set default_transaction_isolation = 'repeatable read'; set statement_timeout = '1h'"
        )
        with connection.transaction():
            connection.execute(query("quality_transaction").format(milliseconds=sql.Literal(2500)))
            names = (
                "transaction_isolation", "transaction_read_only", "datestyle", "extra_float_digits",
                "statement_timeout", "client_connection_check_interval", "timezone",
            )  # fmt: skip
            found = [connection.execute(f"show {name}").fetchone() for name in names]
    assert [row[0] for row in found if row] == [
        "read committed", "on", "ISO, MDY", "1", "2500ms", "1s", "UTC",
    ]  # fmt: skip
