"""The command line as a user has it: what is printed, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import conninfo

from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import tier

Run = Callable[..., tuple[int, str, str]]


def schedule_jobs(dsn: str, *, scheduled: bool) -> bool:
    """Switch the background jobs of a warehouse on or off; False on the tier that has none."""
    with connect(dsn) as connection:
        if tier(connection) != "timescaledb":
            return False
        connection.execute(
            "select alter_job(job_id, scheduled => %s) from timescaledb_information.jobs where job_id >= 1000",
            (scheduled,),
        )
        connection.commit()
    return True


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("sync",),
        ("validate",),
        ("report",),
        ("digest",),
        ("doctor",),
        ("db",),
        ("db", "up"),
        ("db", "down"),
        ("db", "status"),
        ("schema",),
        ("schema", "apply"),
        ("schema", "status"),
        ("schema", "verify"),
    ],
    ids=" ".join,
)
def test_every_verb_explains_itself(run: Run, words: tuple[str, ...]) -> None:
    code, out, _ = run(*words, "--help")
    assert code == 0
    assert "Usage" in out


def test_version(run: Run) -> None:
    assert run("--version")[1].startswith("hypertape 0.")


def test_schema_verbs_agree_with_each_other(run: Run) -> None:
    assert "0 scripts ran" in run("schema", "apply")[1]
    code, out, _ = run("schema", "status")
    assert code == 0
    assert "applied" in out
    assert "pending" not in out
    assert run("schema", "verify")[0] == 0


def test_a_database_without_a_schema_says_how_to_get_one(
    run: Run, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", empty_database)
    code, _, err = run("digest", "-m", "vn", "-i", "1d")
    assert code == 5
    assert "hypertape schema apply" in err


def test_sync_loads_what_is_good_and_keeps_what_is_not(load: Run, warehouse: str) -> None:
    code, out, _ = load()
    assert code == 0
    assert "inserted" in out
    assert "report:" in out
    with connect(warehouse) as connection:
        assert connection.execute("select count(*) from market_data_1d").fetchone() == (2,)
        assert connection.execute("select rule from quarantine").fetchall() == [("negative_volume",)]


def test_digest_is_one_line_per_series_and_stays_the_same(run: Run, tree: Path) -> None:
    words = ("sync", "-m", "vn", "-i", "1d", "--source-dir", str(tree), "--no-check", "--start", "2025-01-01")
    assert run(*words)[0] == 0
    first = run("digest", "-m", "vn", "-i", "1d")[1]
    assert run(*words)[0] == 0
    second = run("digest", "-m", "vn", "-i", "1d")[1]
    ticker, rows, start, end, sha256 = first.split()
    assert (ticker, rows, start, end, len(sha256)) == ("AAA", "2", "2025-01-02", "2025-01-03", 64)
    assert first == second


def test_a_ticker_that_does_not_exist_is_named_and_the_others_load(run: Run, tree: Path) -> None:
    code, out, err = run(
        "sync",
        "-m",
        "vn",
        "-i",
        "1d",
        "--source-dir",
        str(tree),
        "-t",
        "AAA,NOPE",
        "--start",
        "2025-01-01",
        "--no-check",
    )
    assert code == 4
    assert "NOPE" in err
    assert "NOPE" in out
    assert "AAA 2 " in run("digest", "-m", "vn", "-i", "1d")[1]


@pytest.mark.parametrize(
    ("words", "said", "expected"),
    [
        (("digest", "-m", "mars", "-i", "1d"), "Markets: crypto, us, vn", 2),
        (("digest", "-m", "vn", "-i", "2d"), "Intervals: 1m", 2),
        (("digest", "-m", "vn", "-i", "1w"), "rolled up", 2),
        (("sync", "-m", "vn", "-i", "1w"), "rolled up", 2),
        (("sync", "-m", "vn", "-i", "1d", "--source", "nasdaq"), "Sources: ccxt, csv_tree", 2),
        (("sync", "-m", "vn", "-i", "1d", "--source-dir", "/nowhere"), "--source-dir", 2),
        (("sync", "-m", "vn", "-i", "1d", "--start", "soon"), "YYYY-MM-DD", 2),
        (("sync", "-m", "vn"), "--interval", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_words_get_an_answer_that_helps(
    run: Run, words: tuple[str, ...], said: str, expected: int
) -> None:
    code, _, err = run(*words)
    assert code == expected
    assert said in err


def test_an_unreachable_warehouse_is_worth_another_try(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    code, _, err = run("doctor")
    assert code == 75
    assert "127.0.0.1:1" in err
    assert "secret" not in err


def test_validate_finds_what_was_written_past_the_gate(run: Run, load: Run, warehouse: str) -> None:
    load("--no-check")
    with connect(warehouse) as connection:
        connection.execute("update bars.market_data_1d set ma10 = 5 where time = '2025-01-03'")
        connection.commit()
    code, out, err = run("validate", "-m", "vn", "-i", "1d", "--start", "2025-01-01", "--end", "2025-02-01")
    assert code == 3
    assert "averages" in out
    assert "averages" in err


def test_reports_are_files(run: Run, load: Run, tmp_path: Path) -> None:
    load()
    page = tmp_path / "report.html"
    assert run("report", "--output", str(page))[0] == 0
    assert "AAA" in page.read_text()
    code, _, err = run("report", "--output", str(tmp_path / "nowhere" / "report.html"))
    assert code == 2
    assert "cannot be written" in err


def test_doctor_is_content_with_a_sound_warehouse(run: Run, tree: Path, warehouse: str) -> None:
    run("sync", "-m", "vn", "-i", "1d", "--source-dir", str(tree), "--start", "2025-01-01", "--no-check")
    schedule_jobs(warehouse, scheduled=True)
    code, out, _ = run("doctor")
    assert code == 0
    assert "behind their calendar" in out
    assert "bad" not in out


def test_doctor_on_a_busy_machine_does_not_count_its_own_time_against_the_clock(
    run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at everything took 16 seconds once, and the clocks were said to differ by as much."""
    instants = iter([datetime.now(UTC) - timedelta(seconds=16)])
    monkeypatch.setattr("hypertape.cli.doctor.now", lambda: next(instants, None) or datetime.now(UTC))
    _, out, _ = run("doctor")
    assert "agree within" in out


def test_doctor_finds_background_jobs_that_never_run(run: Run, warehouse: str) -> None:
    timescaledb = schedule_jobs(warehouse, scheduled=False)
    code, out, _ = run("doctor")
    assert code == (1 if timescaledb else 0)
    assert ("0 of 27 jobs scheduled" if timescaledb else "recorded only on this tier") in out


def test_doctor_finds_bars_written_past_hypertape(run: Run, tree: Path, warehouse: str) -> None:
    run("sync", "-m", "vn", "-i", "1d", "--source-dir", str(tree), "--start", "2025-01-01", "--no-check")
    with connect(warehouse) as connection:
        connection.execute(
            "insert into bars.market_data_1d (ticker, time, open, high, low, close, volume, load_id) "
            "values ('AAA', '2024-01-02', 1, 1, 1, 1, 1, 0)"
        )
        connection.commit()
    code, out, _ = run("doctor")
    assert code == 1
    assert "written past hypertape: AAA" in out


def test_doctor_says_when_the_schema_is_behind(run: Run, warehouse: str) -> None:
    with connect(warehouse) as connection:
        connection.execute("delete from schema_migration where name = 'repeatable/40_as_of.sql'")
        connection.commit()
    code, out, _ = run("doctor")
    assert code == 1
    assert "hypertape schema apply" in out


def test_doctor_finds_a_forgotten_refresh(run: Run, warehouse: str) -> None:
    with connect(warehouse) as connection:
        connection.execute(
            "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, "
            "code_version, loaded_at) "
            "values ('r', 'vn', '1d', 'AAA', 's', now(), now(), 'loaded', '0', now() - interval '2 hours')"
        )
        connection.execute(
            "insert into rollup_pending select load_id, market, interval, now(), now() from load where run_id = 'r'"
        )
        connection.commit()
    code, out, _ = run("doctor")
    assert code == 1
    assert "wait for their refresh since" in out


def test_the_server_has_verbs(run: Run, warehouse: str) -> None:
    assert "absent" in run("db", "status")[1]
    assert conninfo.conninfo_to_dict(warehouse)["dbname"] not in run("db", "status")[1]


def test_a_backfill_is_planned_then_loaded_then_not_needed(run: Run, tree: Path) -> None:
    words = (
        "backfill",
        "vn",
        "1d",
        "--source-dir",
        str(tree),
        "--start-date",
        "2025-01-02",
        "--end-date",
        "2025-01-04",
    )
    code, out, _ = run(*words)
    assert (code, "A rehearsal" in out) == (0, True)
    assert "bars missing" in out
    code, out, _ = run(*words, "--no-dry-run", "--reason", "first")
    assert code == 0, out
    assert "report: " in out
    code, out, _ = run(*words)
    assert code == 0
    assert "0 to csv_tree" in out, "nothing is missing any more"
    code, _, err = run(*words, "--mode", "restate")
    assert code == 2
    assert "A restatement needs a reason" in err


def test_refused_rows_are_listed_shown_and_replayed(run: Run, tree: Path) -> None:
    run(
        "sync",
        "-m",
        "vn",
        "-i",
        "1d",
        "--source-dir",
        str(tree),
        "--start",
        "2025-01-02",
        "--end",
        "2025-01-07",
        "--no-check",
    )
    code, out, _ = run("quarantine", "list", "--market", "vn", "--interval", "1D")
    assert code == 0
    assert "negative_volume" in out
    code, out, _ = run("quarantine", "list", "--rows")
    assert "2025-01-06" in out
    code, out, _ = run("quarantine", "show", "1")
    assert (code, '"volume": -5.0' in out) == (0, True)
    assert run("quarantine", "show", "99")[0] == 2
    code, out, _ = run("quarantine", "replay", "--rule", "negative_volume", "--dry-run")
    assert (code, "nothing was written" in out) == (0, True)
    code, out, _ = run("quarantine", "replay")
    assert code == 0
    assert "1 in all" in out
