"""A tape is asked badly, loses its connection, is shared, forked, pickled, closed: it answers right or says why not."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from tape_lab import NOW, open_tape

import hypertape
from hypertape.errors import (
    BadInput,
    BadSetting,
    DatabaseUnreachable,
    Incomplete,
    UnknownInterval,
    UnknownMarket,
    UnknownTicker,
)
from hypertape.model import utc
from hypertape.reader import Tape
from hypertape.reader.over_dsn import OverDsn
from hypertape.settings import Settings

MAY = {"start": "2025-05-01", "end": "2025-06-01"}


@pytest.fixture
def direct(sampled: str) -> Iterator[Tape]:
    """A tape of the test's own over the database."""
    with open_tape(sampled, "dsn") as tape:
        yield tape


def end_sessions(dsn: str) -> int:
    """End what readers have open, as a restart of the server does; how many there were."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'hypertape reader' and datname = current_database()"
        ).fetchone()[0]  # type: ignore[index]


# bad questions

BAD: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ("no market", ("", "1d"), {}, UnknownMarket, "Markets: "),
    ("a market that is none", (None, "1d"), {}, BadInput, "market=None .* a text"),
    ("an interval that is none", ("vn", 1), {}, BadInput, "interval=1 .* a text"),
    ("no interval", ("vn", ""), {}, UnknownInterval, "Intervals: "),
    ("no tickers", ("vn", "1d", []), {}, BadInput, "leave them out"),
    ("an empty ticker", ("vn", "1d", ""), {}, BadInput, "'' is no ticker"),
    ("one of them empty", ("vn", "1d", ["SYNBANK", ""]), {}, BadInput, "'' is no ticker"),
    ("one of them none", ("vn", "1d", ["SYNBANK", None]), {}, BadInput, "None is no ticker"),
    ("a number", ("vn", "1d", 7), {}, BadInput, "tickers=7 is no list"),
    ("numbers", ("vn", "1d", [7203]), {}, BadInput, "7203 is no ticker"),
    ("a line break", ("vn", "1d", "SYN\nBANK"), {}, BadInput, "is no ticker"),
    ("a zero byte", ("vn", "1d", "SYN\x00"), {}, BadInput, "is no ticker"),
    ("unknown, near ones", ("vn", "1d", "SYNBNAK"), {}, UnknownTicker, "SYNBANK"),
    ("in small letters", ("vn", "1d", "synbank"), {}, UnknownTicker, "SYNBANK"),
    ("SQL", ("vn", "1d", "'; drop table series; --"), {}, UnknownTicker, "There are: SYNBANK"),
    ("a path", ("vn", "1d", "../x"), {}, UnknownTicker, "There are: SYNBANK"),
    ("a date that is none", ("vn", "1d"), {"start": "yesterday"}, BadInput, "'yesterday' is not a date"),
    ("a number for a date", ("vn", "1d"), {"start": 20250101}, BadInput, "start=20250101 is no date"),
    ("no date of pandas", ("vn", "1d"), {"start": pd.NaT}, BadInput, "is no date"),
    ("no date of numpy", ("vn", "1d"), {"start": np.datetime64("NaT")}, BadInput, "is not a date"),
    ("before all time", ("vn", "1d"),
     {"start": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))}, BadInput, "is no date"),
    ("ends before it begins", ("vn", "1d"), {"start": "2025-06-01", "end": "2025-05-01"}, BadInput, "not before"),
    ("an empty window", ("vn", "1d"), {"start": "2025-06-01", "end": "2025-06-01"}, BadInput, "not included"),
    ("a column there is not", ("vn", "1d"), {"columns": ["clse"]}, BadInput, "Columns: open"),
    ("columns that are none", ("vn", "1d"), {"columns": 1}, BadInput, "columns=1 is no list"),
    ("an indicator there is not", ("vn", "1d"), {"indicators": ["rsx14"]}, BadInput, "Indicators: "),
    ("an average of nothing", ("vn", "1d"), {"indicators": ["ema0"]}, BadInput, "N from 1"),
    ("a word for a flag", ("vn", "1d"), {"complete": "false"}, BadInput, "True or False"),
    ("a number for a flag", ("vn", "1d"), {"adjusted": 1}, BadInput, "True or False"),
    ("a state there is not", ("vn", "1d"), {"state": "publishd"}, BadInput, "any, published"),
    ("no bars", ("vn", "1d"), {"newest": 0}, BadInput, "one or more"),
    ("a part of a bar", ("vn", "1d"), {"newest": 1.5}, BadInput, "a whole number"),
    ("a flag for a number", ("vn", "1d"), {"newest": True}, BadInput, "a whole number"),
    ("a pin there is not", ("vn", "1d"), {"pin": "erly"}, BadInput, "There is no pin erly.*Pins: early"),
    ("a pin of another market", ("us", "1d"), {"pin": "early"}, BadInput, "It holds 1d of vn"),
    ("an instant to come", ("vn", "1d"), {"as_of": "2199-01-01"}, BadInput, "is to come"),
    ("two of what exclude each other", ("vn", "1d"), {"as_of": "2026-01-01", "pin": "early"}, BadInput, "exclude"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "asked", "error", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_a_bad_question_is_told_and_the_next_one_answered(
    tape: Tape, words: tuple[Any, ...], asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        tape.read(*words, **asked)
    assert len(tape.last("vn", "1d", "SYNBANK")) == 1


def test_a_clock_that_is_ahead_reads_now(tape: Tape) -> None:
    """What a client calls now may be a moment ahead of the server: it is waited for, and reads the same ever after."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    first = tape.read("vn", "1d", "SYNBANK", as_of=soon)
    assert datetime.now(UTC) >= soon
    assert len(first) > 0
    assert tape.read("vn", "1d", "SYNBANK", as_of=soon).equals(first)


def test_a_ledger_that_says_nothing_of_a_misspelt_ticker_says_so(tape: Tape) -> None:
    """No gap of it is no proof that nothing is missing."""
    week = {"start": "2025-05-05", "end": "2025-05-10"}
    with pytest.raises(UnknownTicker, match="SYNBNAK"):
        tape.gaps("vn", "1d", ["SYNBANK", "SYNBNAK"])
    with pytest.raises(UnknownTicker, match="SYNBNAK"):
        tape.condition("vn", "1d", ["SYNBANK", "SYNBNAK"], **week)
    assert len(tape.gaps("vn", "1d", "SYNBANK", **week)) == 0
    assert len(tape.condition("vn", "1d", "SYNBANK", **week)) == 5
    assert len(tape.condition("vn", "1d", "SYNBANK", start="2025-05-10", end="2025-05-11")) == 0


@pytest.mark.parametrize("way", ["dsn", "http"])
def test_sixty_thousand_names_are_not_all_repeated(tapes: dict[str, Tape], way: str) -> None:
    names = [f"NO{k:05}" for k in range(60_000)]
    with pytest.raises(UnknownTicker) as caught:
        tapes[way].read("vn", "1d", names)
    assert "NO00000" in str(caught.value)
    assert "more are no tickers" in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_sixty_thousand_names_are_read(direct: Tape) -> None:
    """The same few, each many times: what is asked for twice is answered once."""
    names = ["SYNBANK", "SYNTECH"] * 30_000
    assert direct.last("vn", "1d", names)["ticker"].to_pylist() == ["SYNBANK", "SYNTECH"]


GIVEN: list[Any] = [
    ["SYNTECH", "SYNBANK"],
    ("SYNBANK", "SYNTECH", "SYNBANK"),
    {"SYNBANK", "SYNTECH"},
    (name for name in ("SYNTECH", "SYNBANK")),
    np.array(["SYNBANK", "SYNTECH"]),
    pd.Series(["SYNBANK", "SYNTECH"]),
    pa.array(["SYNBANK", "SYNTECH"]),
    pa.chunked_array([["SYNBANK"], ["SYNTECH"]]),
]


@pytest.mark.parametrize("names", GIVEN, ids=lambda each: type(each).__name__)
def test_tickers_come_as_programs_have_them(direct: Tape, names: Any) -> None:
    assert direct.last("vn", "1d", names)["ticker"].to_pylist() == ["SYNBANK", "SYNTECH"]


HANOI = timezone(timedelta(hours=7))
STARTS: list[Any] = [
    "2025-05-05",
    "2025-05-05T07:00:00+07:00",
    date(2025, 5, 5),
    datetime(2025, 5, 5),  # noqa: DTZ001 (without a zone it is UTC)
    datetime(2025, 5, 5, tzinfo=UTC),
    datetime(2025, 5, 5, 7, tzinfo=HANOI),
    pd.Timestamp("2025-05-05"),
    pd.Timestamp("2025-05-05T07:00", tz="Asia/Ho_Chi_Minh"),
    np.datetime64("2025-05-05"),
    np.datetime64("2025-05-05T00:00:00.000000000"),
]


@pytest.mark.parametrize("start", STARTS, ids=repr)
def test_an_instant_is_one_in_every_form(direct: Tape, start: Any) -> None:
    found = direct.read("vn", "1d", "SYNTECH", start=start, end="2025-05-08")["time"].to_pylist()
    assert found == [utc(2025, 5, 5), utc(2025, 5, 6), utc(2025, 5, 7)]


@pytest.mark.parametrize("n", [1, 10**6, 10**12])
def test_last_of_more_bars_than_there_are(direct: Tape, n: int) -> None:
    assert len(direct.last("vn", "1d", "SYNBANK", n)) == (
        1 if n == 1 else len(direct.read("vn", "1d", "SYNBANK"))
    )
    assert len(direct.last("vn", "1mo", "SYNBANK", n)) <= 31


def test_the_widest_window_is_all(direct: Tape) -> None:
    whole = direct.read("vn", "1h", "SYNBANK")
    assert direct.read("vn", "1h", "SYNBANK", start="0001-01-01", end="9999-12-31").equals(whole)
    assert len(direct.read("vn", "1h", "SYNBANK", start="9999-01-01")) == 0


def test_complete_over_a_market_that_never_closes(direct: Tape) -> None:
    whole = {"start": "2025-05-01", "end": "2025-05-09"}
    assert len(direct.read("crypto", "1d", "SYNGAS", **whole, complete=True)) == 8
    with pytest.raises(Incomplete, match="SYNGAS"):
        direct.read("crypto", "1d", "SYNGAS", **MAY, complete=True)


# connections


def test_a_restart_between_two_questions_is_not_noticed(direct: Tape, sampled: str) -> None:
    before = direct.read("vn", "1d")
    assert end_sessions(sampled) >= 1
    assert direct.read("vn", "1d").equals(before)
    end_sessions(sampled)
    assert len(direct.gaps("vn", "1d")) > 0
    end_sessions(sampled)
    assert len(direct.condition("vn", "1d", "SYNBANK", start="2025-05-05", end="2025-05-07")) == 2


def test_a_restart_in_the_middle_of_iter_costs_no_bar(direct: Tape, sampled: str) -> None:
    whole = direct.read("vn", "1m")
    batches = direct.iter("vn", "1m")
    found = [next(batches)]
    for batch in batches:
        end_sessions(sampled)
        found.append(batch)
    assert pa.Table.from_batches(found).equals(whole)
    assert len(found) > 1


def test_a_server_that_is_gone_is_told_once_and_at_once(sampled: str) -> None:
    nowhere = psycopg.conninfo.make_conninfo(sampled, host="127.0.0.1", port="1", connect_timeout="2")
    with (
        Tape(OverDsn(Settings(), nowhere)) as tape,
        pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1"),
    ):
        tape.read("vn", "1d")


def test_a_connection_lost_in_a_question_is_asked_again(
    direct: Tape, sampled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hypertape.reader import bars

    before, ended = direct.read("vn", "1d"), []

    def losing(*words: Any, **more: Any) -> Any:
        if not ended:
            ended.append(end_sessions(sampled))
        return ask(*words, **more)

    ask = bars.ask_bars
    monkeypatch.setattr(bars, "ask_bars", losing)
    assert direct.read("vn", "1d").equals(before)
    assert ended


def test_questions_may_lie_inside_each_other(direct: Tape) -> None:
    whole = direct.read("vn", "1m", "SYNBANK")
    outer = direct.iter("vn", "1m")
    next(outer)
    assert direct.read("vn", "1m", "SYNBANK").equals(whole)
    assert pa.Table.from_batches(list(direct.iter("vn", "1m", "SYNBANK"))).equals(whole)
    outer.close()
    assert direct.read("vn", "1m", "SYNBANK").equals(whole)


@pytest.mark.parametrize("way", ["dsn", "http"])
def test_threads_share_a_tape(tapes: dict[str, Tape], way: str) -> None:
    tape, found, failed = tapes[way], {}, []
    tickers = ["SYNBANK", "SYNTECH", "SYNLAND", "SYNFOOD"]
    alone = {ticker: tape.read("vn", "1h", ticker) for ticker in tickers}

    def ask(ticker: str) -> None:
        try:
            for _ in range(5):
                assert tape.read("vn", "1h", ticker).equals(alone[ticker])
                found[ticker] = pa.Table.from_batches(list(tape.iter("vn", "1h", ticker)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(ticker,)) for ticker in tickers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(found[ticker].equals(alone[ticker]) for ticker in tickers)


def _asked_by_child(tape: Tape, answers: Any) -> None:
    try:
        answers.put(tape.last("vn", "1d", "SYNBANK")["close"].to_pylist())
    except Exception as error:
        answers.put(repr(error))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on_with_a_connection_of_its_own(direct: Tape) -> None:
    here = direct.last("vn", "1d", "SYNBANK")["close"].to_pylist()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_asked_by_child, args=(direct, answers))
    child.start()
    assert answers.get(timeout=60) == here
    child.join()
    assert direct.last("vn", "1d", "SYNBANK")["close"].to_pylist() == here, "the parent's still stands"


@pytest.mark.parametrize("way", ["dsn", "http"])
def test_it_does_not_go_into_a_pickle(tapes: dict[str, Tape], way: str) -> None:
    with pytest.raises(TypeError, match=r"hypertape\.open"):
        pickle.dumps(tapes[way])


@pytest.mark.parametrize("way", ["dsn", "http"])
def test_a_closed_tape_says_so(sampled: str, way: str) -> None:
    with open_tape(sampled, way) as tape:
        batches = tape.iter("vn", "1m")
        next(batches)
        tape.close()
        tape.close()
        for ask in (tape.read, tape.gaps, tape.last, lambda *it: list(tape.iter(*it))):
            with pytest.raises(BadInput, match="closed"):
                ask("vn", "1d")


def test_nobody_sees_its_password(sampled: str) -> None:
    with Tape(OverDsn(Settings(), "postgresql://tape:secret@db/x")) as tape:
        assert "secret" not in f"{tape!r} {vars(tape)}"


@pytest.mark.parametrize(
    ("address", "key", "error", "says"),
    [
        ("mysql://db/x", None, BadSetting, "cannot be read"),
        ("ftp://db/x", None, BadSetting, "cannot be read"),
        ("nonsense", None, BadSetting, "cannot be read"),
        ("postgresql://db/x", "ht_key", BadInput, "A key is for an API"),
        ("http://127.0.0.1:1", "ht_key", DatabaseUnreachable, "hypertape serve"),
    ],
)
def test_an_address_that_cannot_be_read_from_says_so(
    address: str, key: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        hypertape.open(address, key=key).read("vn", "1d")


def test_a_market_of_which_nothing_is_stored(
    new_warehouse: Callable[[], AbstractContextManager[str]],
) -> None:
    with new_warehouse() as dsn, Tape(OverDsn(Settings(), dsn, clock=lambda: NOW)) as tape:
        assert len(tape.read("vn", "1d")) == 0
        assert len(tape.read("vn", "1d", complete=True, **MAY)) == 0
        with pytest.raises(UnknownTicker, match="VIC is no ticker of vn"):
            tape.read("vn", "1d", "VIC")
