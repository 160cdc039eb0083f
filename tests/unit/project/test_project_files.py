"""A user's own project: found, its settings read, its markets beside the shipped ones; what is broken names a line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from hypertape import calendars, markets
from hypertape.errors import BadInput, BadProject, BadSetting, UnknownMarket
from hypertape.markets import all_markets, forget_markets, get_market
from hypertape.model import Interval, SessionException
from hypertape.project import find_project
from hypertape.settings import load_settings, variable_of
from hypertape.steps import project as steps

TOKYO = """\
title = "Japanese stocks"
timezone = "Asia/Tokyo"
calendar = "XTKS"
price_unit = "JPY"
sources = ["csv_tree", "yahoo"]
history_start = 2020-01-06
schedule = "30 7 * * 1-5"
daily_move_limit = 0.5

[suffixes]
yahoo = ".T"

[symbols.yahoo]
TOPIX = "^TPX"

[plausible_prices]
stock = [10, 1000000]

[gate_actions]
ohlc_order = "refuse"
"""
LIST = "ticker,name,group,kind\n7203,Toyota,TOPIX_CORE_30,stock\nTOPIX,Topix,INDEX,index\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], Path]]:
    """Writes files of a project around the working directory."""
    for name in [name for name in os.environ if name.startswith("HYPERTAPE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")

    def write(files: dict[str, str]) -> Path:
        for name, text in {"hypertape.toml": "", **files}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        forget_markets()
        return tmp_path

    yield write
    forget_markets()


def test_a_project_is_found_upward_or_by_its_name(
    project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_project() is None
    root = project({})
    found = find_project()
    assert found is not None
    assert found.root == root
    monkeypatch.chdir("/")
    assert find_project() is None
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(root))
    assert find_project() == found
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(root / "deep"))
    with pytest.raises(BadProject, match="hypertape init"):
        find_project()


# --- settings


def test_settings_come_from_the_environment_then_the_project(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project(
        {"hypertape.toml": 'batch_size = 7\nraw_days = 3\nvn_database_path = "vn.db"\nworker_every = "20s"\n'}
    )
    monkeypatch.setenv("HYPERTAPE_RAW_DAYS", "5")
    found = load_settings(landing_days=1)
    assert (found.batch_size, found.raw_days, found.worker_every, found.landing_days) == (7, 5, 20.0, 1)
    assert (found.vn_database_path, found.state_dir) == (root / "vn.db", root / ".hypertape")
    shown = {it.name: it for it in steps.shown_settings(found)}
    origins = {name: shown[name].origin for name in ("batch_size", "raw_days", "worker_every", "file_bytes")}
    file = f"{root}/hypertape.toml"
    assert origins == {
        "batch_size": f"{file}:1",
        "raw_days": "environment",
        "worker_every": f"{file}:4",
        "file_bytes": "default",
    }
    assert [variable_of(name) for name in shown] == [it.variable for it in shown.values()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "batch_size = 7\nbatch_sise = 7\n", "line 2: .*Did you mean batch_size", id="nearest name"
        ),
        pytest.param("\nbatch_size = 'many'\n", "line 2: batch_size='many' cannot be used", id="type"),
        pytest.param("\n\nTICK_BATCH_SIZE = 1\n", "line 3: there is no 'TICK_BATCH_SIZE'", id="a variable"),
        pytest.param("batch_size =\n", "line 1", id="no TOML"),
        pytest.param("project = '.'\n", "line 1: there is no 'project'", id="not itself"),
        pytest.param("vn_database_path = 3\n", "line 1: vn_database_path=3", id="a path that is none"),
        pytest.param("tick_batch_size = 0\n", "line 1: tick_batch_size=0", id="one with the documents' name"),
    ],
)
def test_a_setting_that_cannot_be_used_names_its_line(
    project: Callable[..., Path], text: str, says: str
) -> None:
    project({"hypertape.toml": text})
    with pytest.raises(BadProject, match=says):
        load_settings()


def test_a_variable_that_cannot_be_used_is_named_in_a_project_too(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project({"hypertape.toml": "batch_size = 7\n"})
    monkeypatch.setenv("HYPERTAPE_BATCH_SIZE", "many")
    with pytest.raises(BadSetting, match="HYPERTAPE_BATCH_SIZE='many'"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("database_url", "postgresql://tape:pa:ss@db/x?sslmode=require", "postgresql://tape:***@db/x?sslmode=require"),
        ("database_url", "host=db user=tape password=secret dbname=x", "host=db user=tape password=*** dbname=x"),
        ("database_url", "postgresql://db/x?user=tape&password=secret", "postgresql://db/x?user=tape&password=***"),
        ("fix_password", "secret", "***"),
        ("rabbitmq_url", "amqp://tape:secret@mq:5672/x", "amqp://tape:***@mq:5672/x"),
        ("backup_scratch_url", "postgresql://tape:secret@db/x", "postgresql://tape:***@db/x"),
        ("archive_url", "s3://key:secret@bucket/tape", "s3://key:***@bucket/tape"),
        ("notify", "critical=mailto://tape:secret@example.com", "***"),
        ("landing_url", "s3://bucket/tape", "s3://bucket/tape"),
        ("batch_size", "7", 7),
    ],
)  # fmt: skip
def test_secrets_are_masked(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, value: str, shown: object
) -> None:
    project({})
    monkeypatch.setenv(variable_of(name), value)
    found = {it.name: it.value for it in steps.shown_settings(load_settings())}
    assert found[name] == shown


# --- markets


def test_a_market_is_two_files(project: Callable[..., Path]) -> None:
    project({"markets/jp.toml": TOKYO, "tickers/jp.csv": LIST})
    assert list(all_markets()) == ["crypto", "jp", "us", "vn"]
    jp = get_market("jp")
    assert (jp.table, jp.sources, jp.groups) == ("jp_data", ("csv_tree", "yahoo"), ("INDEX", "TOPIX_CORE_30"))
    assert (jp.symbol_at("yahoo", "7203"), jp.symbol_at("yahoo", "TOPIX")) == ("7203.T", "^TPX")
    assert jp.symbol_at("csv_tree", "7203") == "7203"
    assert jp.history_start[Interval.M1] == date(2020, 1, 6)
    assert jp.schedule == {Interval.D1: "30 7 * * 1-5", Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"}
    assert jp.plausible_prices == {"stock": (10.0, 1e6)}
    assert calendars.is_open(jp, datetime(2025, 8, 25, 1, tzinfo=UTC))
    assert steps.problems() == []


def test_optional_fields_of_a_market(project: Callable[..., Path]) -> None:
    more = (
        'table = "tokyo"\nmodes = ["nikkei"]\nfile_scale = 10\npositive_prices = false\n'
        "freshness_sessions = 5\nhour_mark_minutes = 30\n[retention_days]\n1m = 90\n"
        '[schedule]\n1d = "0 8 * * *"\n1h = "7 * * * *"\n[history_start]\n1d = 2020-01-06\n1m = 2024-01-04\n'
    )
    text = re.sub(r"(?m)^(schedule|history_start).*\n", "", TOKYO).replace('"XTKS"', '"always"')
    head, brackets, tables = text.partition("[suffixes]")
    project({"markets/jp.toml": head + more + brackets + tables, "tickers/jp.csv": LIST})
    jp = get_market("jp")
    assert (jp.table, jp.modes, jp.file_scale, jp.positive_prices) == ("tokyo", ("nikkei",), 10.0, False)
    assert (jp.freshness_sessions, jp.hour_mark, jp.calendar) == (5, timedelta(minutes=30), "24/7")
    assert jp.retention == {Interval.M1: timedelta(days=90)}
    assert jp.history_start == {
        Interval.D1: date(2020, 1, 6), Interval.H1: date(2020, 1, 6), Interval.M1: date(2024, 1, 4),
    }  # fmt: skip
    assert jp.schedule[Interval.M1] == "*/15 * * * *"


BROKEN_MARKETS = [
    pytest.param('title = "Japanese stocks"\n', "", 1, "there is no title", id="a field is missing"),
    pytest.param("calendar =", "calender =", 3, "Did you mean calendar", id="misspelled, so missing"),
    pytest.param(
        "[suffixes]", "calender = 1\n[suffixes]", 10, "Did you mean calendar", id="misspelled, beside it"
    ),
    pytest.param('"Asia/Tokyo"', '"Asia/Tokio"', 2, "Asia/Tokyo", id="no zone"),
    pytest.param('"30 7 * * 1-5"', '"every day"', 7, "cron", id="no cron line"),
    pytest.param("2020-01-06", '"2020-01-06"', 6, "a date", id="a date as a text"),
    pytest.param("0.5", "-1", 8, "above zero", id="a limit below zero"),
    pytest.param("[10, 1000000]", "[10]", 17, "lowest and the highest", id="half a range"),
    pytest.param("stock =", "stocks =", 17, "Did you mean stock", id="no kind"),
    pytest.param('["csv_tree", "yahoo"]', "[]", 5, "Name one", id="no source"),
    pytest.param('"csv_tree", "yahoo"', "csv_tree", 5, "Invalid value", id="no TOML"),
    pytest.param(
        "[suffixes]", "modes = ['vn']\n[suffixes]", 10, "name of the market vn", id="a name that is taken"
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), BROKEN_MARKETS)
def test_a_broken_market_names_its_line_and_leaves_the_others(
    project: Callable[..., Path], old: str, new: str, line: int, says: str
) -> None:
    root = project({"markets/jp.toml": TOKYO.replace(old, new, 1), "tickers/jp.csv": LIST})
    assert list(all_markets()) == ["crypto", "us", "vn"]
    with pytest.raises(BadProject, match=says) as caught:
        get_market("jp")
    assert f"{root}/markets/jp.toml" in str(caught.value)
    assert f"line {line}" in str(caught.value)
    assert [str(one) for one in markets.problems()] == [str(caught.value)]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        pytest.param("XTKS", "XTKZ", 3, "There is no calendar 'XTKZ'", id="no calendar"),
        pytest.param('"yahoo"]', '"yahu"]', 5, "there is no source 'yahu'", id="no source"),
        pytest.param('"refuse"', '"drop"', 20, "refuse, flag, fail", id="no action"),
    ],
)
def test_what_shows_only_in_use_is_looked_for(
    project: Callable[..., Path], old: str, new: str, line: int, says: str
) -> None:
    project({"markets/jp.toml": TOKYO.replace(old, new, 1), "tickers/jp.csv": LIST})
    (problem,) = steps.problems()
    assert f"jp.toml, line {line}: " in str(problem)
    assert says in str(problem)


# --- tickers and calendars


@pytest.mark.parametrize(
    ("toml", "tickers"),
    [
        pytest.param("", {"VIC", "XYZ"}, id="replaces"),
        pytest.param('[markets.vn]\ntickers = "replace"\n', {"VIC", "XYZ"}, id="replaces in words"),
        pytest.param('[markets.vn]\ntickers = "add"\n', None, id="adds"),
    ],
)
def test_a_list_of_ones_own(project: Callable[..., Path], toml: str, tickers: set[str] | None) -> None:
    shipped = set(get_market("vn").by_ticker)
    project(
        {
            "hypertape.toml": toml,
            "tickers/vn.csv": "ticker,name,group,kind\nVIC,Mine,OWN,stock\nXYZ,Xyz,OWN,etf\n",
        }
    )
    vn = get_market("vn")
    assert set(vn.by_ticker) == (tickers or shipped | {"XYZ"})
    assert len(vn.tickers) == len(vn.by_ticker)
    assert (vn.by_ticker["VIC"].name, vn.kind_of("XYZ")) == ("Mine", "etf")


HEAD, DAYS = "ticker,name,group,kind\n", "date,hours,why\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        pytest.param("tickers/vn.csv", "ticker;name\n", "line 1: .*Write ticker,name,group,kind", id="header"),
        pytest.param("tickers/vn.csv", "", "line 1: the header is empty", id="empty"),
        pytest.param("tickers/vn.csv", f"{HEAD}VIC,Vin\n", "line 2: 2 cells", id="cells"),
        pytest.param("tickers/vn.csv", f"{HEAD}VIC,V,A,bond\n", "line 2: .*stock, index, etf", id="kind"),
        pytest.param("tickers/vn.csv", f"{HEAD}VIC,V,A,stock\n\nVIC,V,A,stock\n", "line 4: VIC .*twice", id="twice"),
        pytest.param("tickers/vn.csv", f"{HEAD}V/C,V,A,stock\n", "line 2: 'V/C' cannot be", id="a path"),
        pytest.param("calendars/vn.csv", f"{DAYS}2026-13-01,closed,x\n", "line 2: .*YYYY-MM-DD", id="date"),
        pytest.param("calendars/vn.csv", f"{DAYS}2026-01-02,shut,x\n", "line 2: .*Write closed", id="hours"),
        pytest.param("calendars/vn.csv", f"{DAYS}2026-01-02,15:00-09:00,x\n", "line 2: .*before", id="backward"),
        pytest.param("calendars/vn.csv", f"{DAYS}2026-01-02,25:00-26:00,x\n", "line 2: .*no hours", id="no time"),
        pytest.param("calendars/vn.csv", f"{DAYS}2026-01-02,closed,\n", "line 2: nothing says why", id="no reason"),
        pytest.param("hypertape.toml", "[markets.vn]\ntickers = 'adds'\n", "line 2: .*replace, add", id="how"),
        pytest.param("hypertape.toml", "[markets.vn]\nticker = 'add'\n", "line 2: .*Did you mean tickers", id="key"),
    ],
)  # fmt: skip
def test_a_broken_list_leaves_out_its_market_only(
    project: Callable[..., Path], name: str, text: str, says: str
) -> None:
    root = project({name: text})
    assert list(all_markets()) == ["crypto", "us"]
    with pytest.raises(BadProject, match=says) as caught:
        get_market("vn")
    assert f"{root}/{name}" in str(caught.value)


def test_files_of_a_market_that_there_is_not_are_named(project: Callable[..., Path]) -> None:
    project({"tickers/jp.csv": LIST, "hypertape.toml": "[markets.vm]\n", "markets/vn.toml": TOKYO})
    assert list(all_markets()) == ["crypto", "us", "vn"]
    found = " ".join(map(str, markets.problems()))
    assert "there is no market jp" in found
    assert "Did you mean vn" in found
    assert "there is a market vn already" in found
    with pytest.raises(UnknownMarket, match="Markets: crypto, us, vn"):
        get_market("jp")


def test_exceptions_change_sessions(project: Callable[..., Path]) -> None:
    lines = (
        "2024-01-09,closed,a storm\n2024-01-10,09:00-11:00,half a day\n2024-01-13,09:00-14:30,a Saturday\n"
    )
    before = calendars.sessions(get_market("vn"), date(2024, 1, 8), date(2024, 1, 15))
    project({"calendars/vn.csv": DAYS + lines})
    vn = get_market("vn")
    found = calendars.sessions(vn, date(2024, 1, 8), date(2024, 1, 15))
    assert [it.date.day for it in before] == [8, 9, 10, 11, 12]
    assert [it.date.day for it in found] == [8, 10, 11, 12, 13]
    half, saturday = found[1], found[-1]
    assert (half.opens.hour, half.closes.hour, half.break_starts) == (2, 4, None)
    assert (saturday.opens, saturday.closes) == (
        datetime(2024, 1, 13, 2, tzinfo=UTC),
        datetime(2024, 1, 13, 7, 30, tzinfo=UTC),
    )
    assert (found[0], found[2:4]) == (before[0], before[3:])
    assert vn.exceptions[1] == SessionException(date(2024, 1, 10), (time(9), time(11)), "half a day")
    assert not calendars.is_open(vn, datetime(2024, 1, 9, 3, tzinfo=UTC))


def test_a_break_stays_where_the_hours_hold_it(project: Callable[..., Path]) -> None:
    project({"calendars/vn.csv": f"{DAYS}2024-01-10,08:00-14:00,early\n"})
    (day,) = calendars.sessions(get_market("vn"), date(2024, 1, 10), date(2024, 1, 11))
    assert [at.hour for at in (day.opens, day.break_starts, day.break_ends, day.closes) if at] == [1, 4, 6, 7]


# --- the commands


def test_init_writes_a_project_that_is_fine_and_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, _ = hypertape_here("init", str(tmp_path / "tape"))
    assert code == 0
    assert out.count("wrote") > 5
    monkeypatch.chdir(tmp_path / "tape")
    for example in [*Path().rglob("_*")]:
        example.rename(example.with_name(example.name[1:]))
    forget_markets()
    assert hypertape_here("config", "check")[0] == 0
    assert {*all_markets()} == {"crypto", "jp", "us", "vn"}
    Path("hypertape.toml").write_text("batch_size = 3\n")
    code, out, _ = hypertape_here("init", ".")
    assert code == 0
    assert "kept  hypertape.toml: it was there" in out
    assert Path("hypertape.toml").read_text() == "batch_size = 3\n"
    forget_markets()


def test_config_show_and_check_speak_json(
    project: Callable[..., Path], hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    root = project({"hypertape.toml": "batch_size = 7\n", "tickers/vn.csv": "ticker\n"})
    code, out, _ = hypertape_here("config", "show", "--json")
    assert code == 0
    lines = {row["setting"]: row for row in json.loads(out)}
    assert lines["batch_size"] == {
        "setting": "batch_size", "value": 7, "from": f"{root}/hypertape.toml:1", "variable": "HYPERTAPE_BATCH_SIZE",
    }  # fmt: skip
    code, out, err = hypertape_here("config", "check", "--json")
    assert code == 2
    assert [(row["state"], Path(row["file"]).name) for row in json.loads(out)] == [
        ("ok", "hypertape.toml"),
        ("broken", "vn.csv"),
    ]
    assert "1 of 2 files cannot be used" in err


def test_config_check_without_a_project_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.delenv("HYPERTAPE_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    code, _, err = hypertape_here("config", "check")
    assert (code, "hypertape init DIR" in err) == (2, True)


def test_a_market_with_a_file_of_a_wrong_calendar_is_refused_when_asked(project: Callable[..., Path]) -> None:
    project({"markets/jp.toml": TOKYO.replace("XTKS", "XTKZ"), "tickers/jp.csv": LIST})
    with pytest.raises(BadInput, match="XTKZ"):
        calendars.sessions(get_market("jp"), date(2024, 1, 8), date(2024, 1, 9))
