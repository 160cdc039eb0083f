"""Reading from a program: right by SQL, and the same over a warehouse's address and over its API."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tape_lab import open_tape

import hypertape as ht
from hypertape.errors import BadInput, DatabaseRefused, Incomplete, MissingBars, PinBroken, UnknownTicker
from hypertape.indicators import enrich
from hypertape.indicators.ema import ema
from hypertape.model import BAR_COLUMNS, INDICATOR_COLUMNS, Interval, utc
from hypertape.reader import Tape
from hypertape.sources.sample import CORRECTED_AT, PLANTED, Defect, Planted
from hypertape.warehouse.api_keys import create
from hypertape.warehouse.connect import connect

ALL = list(INDICATOR_COLUMNS)

ASKED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("one ticker of days", ("vn", "1d", "SYNBANK"), {}),
    ("a window", ("vn", "1d", ["SYNBANK", "SYNTECH"]), {"start": "2025-04-01", "end": date(2025, 6, 1)}),
    ("a whole market", ("vn", "1d"), {"columns": [*BAR_COLUMNS, *ALL]}),
    ("hours, spelt as the documents do", ("vn", "1H", "SYNLAND"), {"indicators": ["ma10"]}),
    ("minutes", ("vn", "1m", ["SYNBANK", "SYNSTEEL"]), {"start": datetime(2025, 6, 5, 3, tzinfo=UTC)}),
    ("a rollup", ("vn", "5m", "SYNBANK"), {"start": "2025-06-16", "end": "2025-06-20"}),
    ("a rollup's indicators", ("vn", "1w", None), {"columns": ["close"], "indicators": ["ma10", "close_changed"]}),
    ("an average of a parameter", ("vn", "1d", "SYNBANK"), {"indicators": ["ema12"], "start": "2025-05-01"}),
    ("adjusted", ("vn", "1d", "SYNTECH"), {"adjusted": True, "indicators": ["ma20"]}),
    ("adjusted minutes", ("vn", "1m", "SYNTECH"), {"adjusted": True}),
    ("as it was known", ("vn", "1d", "SYNBANK"), {"as_of": "EARLY", "columns": BAR_COLUMNS}),
    ("as it was known, with indicators", ("vn", "1d", None), {"as_of": "EARLY", "indicators": ALL}),
    ("a pin", ("vn", "1d", None), {"pin": "early"}),
    ("what is published", ("vn", "1d", None), {"state": "published", "end": "2025-06-01"}),
    ("some of the newest", ("vn", "1m", ["SYNBANK", "SYNFOOD"]), {"newest": 7}),
    ("the newest before an end", ("vn", "1d", None), {"newest": 3, "end": "2025-05-01", "indicators": ["ma10"]}),
    ("the newest of what is computed", ("us", "1d", None), {"newest": 4, "indicators": ["ema5"]}),
    ("nothing", ("vn", "1d", "SYNBANK"), {"start": "1999-01-01", "end": "1999-02-01"}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "asked"), [row[1:] for row in ASKED], ids=[row[0] for row in ASKED])
def test_both_ways_answer_the_same_bits(
    tapes: dict[str, Tape], early: datetime, words: tuple[Any, ...], asked: dict[str, Any]
) -> None:
    asked = {name: early if value == "EARLY" else value for name, value in asked.items()}
    one, other = (tape.read(*words, **asked) for tape in tapes.values())
    assert one.schema.equals(other.schema)
    assert one.combine_chunks().equals(other.combine_chunks())
    assert len(one) > 0 or asked.get("end") == "1999-02-01"
    in_batches = pa.Table.from_batches(tapes["dsn"].iter(*words, **asked), schema=one.schema)
    assert in_batches.combine_chunks().equals(one.combine_chunks())
    keys = list(zip(one["ticker"].to_pylist(), one["time"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))


@pytest.fixture(scope="session")
def early(sampled: str) -> datetime:
    """When the pin `early` was made."""
    with connect(sampled) as connection:
        row = connection.execute("select known_at from pin where name = 'early'").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("interval", ["1d", "1h", "1m", "5m", "1w"])
def test_rows_are_those_of_sql(tape: Tape, sampled: str, interval: str) -> None:
    columns = [*BAR_COLUMNS, *ALL] if Interval(interval).is_stored else [*BAR_COLUMNS[:7]]
    with connect(sampled) as connection:
        names = ", ".join(columns)
        rows = connection.execute(
            f"select {names} from market_data_{interval} order by ticker, time".encode()
        ).fetchall()
    found = tape.read("vn", interval, columns=columns)
    assert found.column_names == columns
    assert list(zip(*(found[name].to_pylist() for name in columns), strict=True)) == rows
    assert rows


def test_what_was_known_is_what_the_pin_has(tape: Tape, early: datetime) -> None:
    pinned = tape.read("vn", "1d", pin="early", columns=BAR_COLUMNS)
    assert pinned.equals(tape.read("vn", "1d", as_of=early, columns=BAR_COLUMNS))
    now = tape.read("vn", "1d", columns=BAR_COLUMNS, end=CORRECTED_AT)
    assert not pinned.equals(now.slice(0, len(pinned))), "the corrections came later"


def test_indicators_that_are_computed_have_the_bits_of_a_run_over_the_series(tape: Tape) -> None:
    weeks = tape.read("vn", "1w", "SYNBANK", indicators=["ma10", "ema3"])
    close, volume = (weeks[name].to_numpy() for name in ("close", "volume"))
    for name, values in (("ma10", enrich(close, volume)["ma10"]), ("ema3", ema(close, 3))):
        np.testing.assert_array_equal(weeks[name].to_numpy(zero_copy_only=False), values)
    later = tape.read("vn", "1w", "SYNBANK", indicators=["ma10", "ema3"], start=weeks["time"][12].as_py())
    assert later.combine_chunks().equals(weeks.slice(12).combine_chunks())


def test_adjusted_prices_are_those_of_sql(tape: Tape, sampled: str) -> None:
    with connect(sampled) as connection:
        rows = connection.execute(
            "select time, adjusted, factor from bars_adjusted('vn', 'SYNTECH') order by time"
        ).fetchall()
    found = tape.read("vn", "1d", "SYNTECH", adjusted=True)
    assert found["close"].to_pylist() == [adjusted for _, adjusted, _ in rows]
    assert {factor for _, _, factor in rows} == {0.5, 1.0}, "the planted split"
    raw, minutes = (tape.read("vn", "1m", "SYNTECH", adjusted=flag) for flag in (False, True))
    ratio = minutes["high"].to_numpy() / raw["high"].to_numpy()
    day = raw["time"].to_numpy().astype("datetime64[D]")
    by_day = {np.datetime64(time.date()): factor for time, _, factor in rows}
    assert ratio.tolist() == [by_day[each] for each in day]


def test_an_indicator_of_the_project_is_a_column(
    tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hypertape.toml").write_text("")
    (tmp_path / "indicators").mkdir()
    (tmp_path / "indicators" / "range.py").write_text(
        "from hypertape.indicators import RequestedIndicator\n\n\n"
        "def compute(high, low, n):\n    return [(high - low) * n, high + low]\n\n\n"
        "INDICATOR = RequestedIndicator('range', compute, ('high', 'low'), ('wide', 'sum'), 0, with_length=True)\n"
    )
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    found = tape.read("vn", "1d", "SYNBANK", columns=["high", "low"], indicators=["range3", "ma20"])
    assert found.column_names == ["ticker", "time", "high", "low", "ma20", "range3_wide", "range3_sum"]
    high, low = (found[name].to_numpy() for name in ("high", "low"))
    np.testing.assert_array_equal(found["range3_wide"].to_numpy(), (high - low) * 3)
    with pytest.raises(BadInput, match="rangeN"):
        tape.read("vn", "1d", "SYNBANK", indicators=["rnge3"])


def test_last_gives_the_newest_of_each(tape: Tape) -> None:
    whole = tape.read("vn", "1h", indicators=["ma10"])
    for ticker in ("SYNBANK", "SYNSTEEL"):
        own = whole.filter(pa.compute.equal(whole["ticker"], ticker))
        last = tape.last("vn", "1h", ticker, 5, indicators=["ma10"])
        assert last.combine_chunks().equals(own.slice(len(own) - 5).combine_chunks())


MISSING = {Defect.GAP, Defect.BAD_ROW, Defect.NEGATIVE_VOLUME}
"""What leaves no bar: a hole, and rows that the gate refuses."""


def planted_at(market: str, interval: str, missing: MissingBars) -> Planted | MissingBars:
    """The planted defect that a gap is; the gap itself where it is none."""
    for planted in PLANTED:
        same = (planted.market, planted.interval.value, planted.ticker) == (market, interval, missing.ticker)
        overlap = planted.window.start < missing.end and missing.start < planted.window.end
        if same and overlap and planted.kind in MISSING:
            return planted
    return missing


def test_complete_raises_for_every_planted_gap_and_for_none_other(tape: Tape) -> None:
    loaded = {("vn", i) for i in ("1d", "1h", "1m")} | {("crypto", "1d"), ("us", "1d")}
    here = [p for p in PLANTED if (p.market, p.interval.value) in loaded]
    raised = set()
    for market, interval in sorted(loaded):
        names = tape.read(market, interval)["ticker"].unique().to_pylist()
        for ticker in names:
            try:
                tape.read(market, interval, ticker, complete=True)
            except Incomplete as error:
                raised |= {planted_at(market, interval, each) for each in error.missing}
    assert {p for p in here if p.kind is Defect.GAP} <= raised
    assert {p for p in here if p.kind in MISSING and p.interval is Interval.D1} <= raised
    assert raised <= {p for p in here if p.kind in MISSING}, "and for nothing else"


def test_complete_looks_at_the_asked_window_only(tape: Tape) -> None:
    asked = {"start": "2025-04-01", "end": "2025-05-20", "complete": True}
    assert len(tape.read("vn", "1d", "SYNSTEEL", **asked)) > 20
    with pytest.raises(Incomplete, match="SYNSTEEL 2025-05-26") as caught:
        tape.read("vn", "1d", "SYNSTEEL", **(asked | {"end": "2025-06-10"}))
    assert caught.value.missing[0].bars == 5


@pytest.mark.parametrize("way", ["dsn", "http"])
def test_complete_minds_sessions_that_nobody_loaded(sampled: str, way: str) -> None:
    with open_tape(sampled, way, utc(2025, 9, 1)) as tape:
        days = tape.read("vn", "1d", "SYNBANK")["time"].to_pylist()
        assert len(tape.read("vn", "1d", "SYNBANK", complete=True)) == len(days), "no end was named"
        with pytest.raises(Incomplete, match="sessions after its last bar") as caught:
            tape.read("vn", "1d", "SYNBANK", end="2025-12-01", complete=True)
        (after,) = caught.value.missing
        assert days[-1] < after.start
        assert after.end <= utc(2025, 9, 1), "what is to come is not missing"
        with pytest.raises(Incomplete, match="before its first bar"):
            tape.read("crypto", "1d", "SYNCOIN", start="2012-01-01", complete=True)
        assert len(tape.read("vn", "1d", "SYNBANK", start=days[0], complete=True)) == len(days)


def test_gaps_and_conditions(tapes: dict[str, Tape]) -> None:
    one, other = (
        (
            tape.gaps("vn", "1d", closed=True),
            tape.gaps("vn", "1d", ["SYNSTEEL"], start="2025-05-01", end="2025-06-01"),
            tape.condition("vn", "1d", start="2025-03-03", end="2025-06-30"),
        )
        for tape in tapes.values()
    )
    assert one == other
    assert one[1]["sessions"].to_pylist() == [5]
    assert set(one[2]["condition"].to_pylist()) >= {"available", "missing"}


@pytest.mark.parametrize(
    ("words", "asked", "error", "says"),
    [
        (("vn", "1d", "SYNBNK"), {}, UnknownTicker, "SYNBANK"),
        (("mars", "1d"), {}, BadInput, "vn"),
        (("vn", "4h"), {}, BadInput, "1h"),
        (("vn", "1d", []), {}, BadInput, "leave them out"),
        (("vn", "1d"), {"columns": ["clos"]}, BadInput, "close"),
        (("vn", "1w"), {"columns": ["adjusted_close"]}, BadInput, "volume"),
        (("vn", "1d"), {"start": "2025-06-01", "end": "2025-06-01"}, BadInput, "not included"),
        (("vn", "1d"), {"start": "yesterday"}, BadInput, "YYYY-MM-DD"),
        (("vn", "1d"), {"pin": "early", "state": "published"}, BadInput, "exclude"),
        (("vn", "1w"), {"pin": "early"}, BadInput, "rolled up"),
        (("vn", "1mo"), {"adjusted": True}, BadInput, "factors"),
        (("vn", "1d"), {"pin": "late"}, BadInput, "early"),
        (("us", "1d"), {"pin": "early"}, BadInput, "of vn"),
        (("vn", "1d"), {"state": "proved"}, BadInput, "published"),
        (("vn", "1d"), {"newest": 0}, BadInput, "one or more"),
    ],
)
def test_what_cannot_be_read_says_what_can(
    tape: Tape, words: tuple[Any, ...], asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        tape.read(*words, **asked)


def test_a_pin_that_lost_a_part_is_told(tape: Tape, sampled: str) -> None:
    with connect(sampled, autocommit=True) as connection:
        change = "update bars.market_data_1d set close = close * {} where ticker = 'SYNFOOD' and time = '2025-04-01'"
        connection.execute(change.format("2").encode())
        try:
            with pytest.raises(PinBroken, match="early"):
                tape.read("vn", "1d", "SYNFOOD", pin="early")
        finally:
            connection.execute(change.format("0.5").encode())


def test_who_has_no_key_is_told_how_to_get_one(sampled: str) -> None:
    """A server as it runs, and long answers as they come."""
    from served import serving

    with connect(sampled) as connection:
        key = create(connection, "reader", "read", now=datetime.now(UTC))
    with serving(sampled) as served:
        with (
            ht.open(served.url, key="ht_wrong") as refused,
            pytest.raises(DatabaseRefused, match="keys create"),
        ):
            refused.read("vn", "1d", "SYNBANK")
        with ht.open(served.url, key=key) as allowed, ht.open(sampled) as direct:
            one, other = (tape.read("vn", "1m", indicators=ALL) for tape in (allowed, direct))
            assert one.equals(other)


def test_importing_it_loads_neither_airflow_nor_pandas() -> None:
    code = (
        "import sys; import hypertape as ht; early = set(sys.modules);"
        "import hypertape.reader.over_dsn, hypertape.reader.over_http;"
        "heavy = {'airflow', 'pandas', 'fastapi', 'great_expectations', 'sqlalchemy', 'exchange_calendars'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert not {'pyarrow', 'psycopg', 'pydantic', 'numpy'} & early"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
