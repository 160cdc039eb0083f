"""The gap ledger in the database: found, explained, closed, never twice; with every run or from scratch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from gap_lab import Tape
from lab import tuples_written

from hypertape.errors import BadInput
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.gaps.healing import GapFilter, count_attempts, healable_gaps, list_gaps

SIBLINGS = {"S1": range(99), "S2": range(99), "S3": range(99)}


@pytest.fixture
def tape(connection):
    return Tape(connection)


def test_a_hole_in_an_answer_is_provider_empty_once(tape):
    run = tape.load({"A": [0, 1, 3, 4], **SIBLINGS}, 0, 5)
    first = tape.note(run, tape.window(0, 5))
    assert tape.picture("A")[:5] == "..e.."
    assert (first.opened, first.open) == (1, {"provider empty": 1})
    before = tape.rows()
    assert tape.note(run, tape.window(0, 5)).opened == 0
    assert tape.note().opened == 0 or tape.picture("A")[:5] == "..e.."
    assert tape.rows("end_time <= %s", tape.time(5)) == before


def test_a_second_look_writes_nothing(tape):
    tape.load({"A": [3, 4, 7], **SIBLINGS}, 0, 10)
    tape.note()
    with tuples_written(tape.connection) as written:
        again = tape.note()
    assert (again.opened, again.closed, again.changed) == (0, 0, 0)
    assert written == {}


def test_a_bar_that_arrives_closes_its_entry_and_splits_the_run(tape):
    tape.note(tape.load({"A": [0, 1, 5, 6], **SIBLINGS}, 0, 7))
    (stored,) = tape.rows("ticker = 'A'", columns="gap_id")
    brought = tape.load({"A": [3]}, 3, 4)
    counts = tape.note(brought)
    assert tape.picture("A")[:7] == "..e.e.."
    assert counts.closed == 1
    ((start, reason, found, closed, how),) = tape.rows(
        "closed_at is not null", columns="start_time, reason, found_run, closed_run, closed_reason"
    )
    assert (start, reason, found, closed, how) == (tape.time(3), "provider empty", "run1", brought, "arrived")
    assert stored in tape.rows("ticker = 'A' and closed_at is null", columns="gap_id"), (
        "the row keeps its identity"
    )


def test_a_failed_load_and_a_late_answer(tape):
    tape.load({**SIBLINGS, "A": range(99)}, 0, 3)
    failed = tape.load({**SIBLINGS, "A": "!"}, 3, 5)
    tape.note(failed)
    assert tape.picture("A")[:5] == "...ff"
    ((detail,),) = tape.rows("ticker = 'A'", columns="detail")
    assert "the vendor is down" in detail
    tape.note(tape.load({"A": []}, 3, 5))
    assert tape.picture("A")[:5] == "...ee"
    ((reason, former, changed),) = tape.rows("ticker = 'A'", columns="reason, former_reason, changed_at")
    assert (reason, former, changed) == ("provider empty", "fetch failed", tape.now)
    tape.note(tape.load({"A": [3, 4]}, 3, 5))
    assert tape.picture("A")[:5] == "....."


def test_no_data_is_an_answer(tape):
    tape.load({**SIBLINGS, "A": range(99)}, 0, 3)
    tape.note(tape.load({**SIBLINGS, "A": "N"}, 3, 5))
    assert tape.picture("A")[:5] == "...ee"


def test_a_refused_row_is_no_empty_answer_and_names_its_rule(tape):
    tape.load({"A": [0, 2], **SIBLINGS}, 0, 3)
    tape.refuse("A", 1)
    tape.note()
    assert tape.picture("A")[:3] == ".f."
    assert tape.rows("sessions = 1 and reason = 'fetch failed'", columns="detail") == [
        ("refused: ohlc_order; the row is in quarantine",)
    ]
    tape.connection.execute("update quarantine set released_at = now()")
    tape.note()
    assert tape.picture("A")[:3] == ".e.", "released and still not there"


def test_not_listed_until_an_older_bar_turns_up(tape):
    for _ in range(2):
        tape.note(tape.load({"A": range(6, 99), **SIBLINGS}, 0, 10))
    assert tape.picture("A")[:10] == "nnnnnn...."
    tape.note(tape.load({"A": [2]}, 2, 3))
    assert tape.picture("A")[:10] == "nn.eee....", (
        "inside the span since then, though no run asked for it again"
    )


def test_a_first_answer_alone_makes_no_listing(tape):
    """It may be cut short; healing asks once more, over the whole stretch, and then it is believed."""
    tape.note(tape.load({"A": range(6, 99), **SIBLINGS}, 0, 10))
    assert tape.rows("ticker = 'A'", columns="reason, sessions, detail") == [
        ("provider empty", 6, "before its first bar, answered once: not listed yet, or a cut answer")
    ]
    tape.note(tape.load({"A": range(99)}, 8, 12))
    (gap,) = healable_gaps(tape.connection, tape.market, tape.interval)
    assert gap.window == tape.window(0, 6), "an overlap is no second answer"
    second = tape.load({"A": range(6, 99)}, 0, 7)
    count_attempts(tape.connection, tape.market, tape.interval, second, tape.now)
    tape.note(second)
    assert tape.rows("ticker = 'A'", columns="reason, former_reason, sessions, attempts, detail") == [
        ("not listed", "provider empty", 6, 0, None)
    ]
    assert healable_gaps(tape.connection, tape.market, tape.interval) == []


def test_a_replay_of_refused_rows_is_no_answer(tape):
    tape.note(tape.load({"A": range(6, 99), "B": "!", **SIBLINGS}, 0, 10))
    tape.note(tape.load({"A": [8], "B": []}, 0, 10, reason="replay"))
    assert tape.picture("A")[:10] == "eeeeee...."
    assert tape.picture("B")[:10] == "f" * 10


def test_listed_by_another_interval(tape):
    for _ in range(2):
        tape.note(tape.load({"A": range(6, 99), **SIBLINGS}, 0, 10))
    tape.connection.execute(
        "insert into series (market, interval, ticker, first_time, last_time) values ('vn', '1h', 'A', %s, %s)",
        (tape.time(4), tape.time(9)),
    )
    tape.note()
    assert tape.picture("A")[:10] == "nnnnee...."


def test_a_month_without_a_bar_is_delisted_and_a_return_is_not(tape):
    tape.note(tape.load({"A": range(10), **SIBLINGS}, 0, 20))
    assert tape.picture("A")[10:20] == "e" * 10
    for end in range(21, 32):
        tape.note(tape.load({"A": [], **SIBLINGS}, end - 3, end))
    assert tape.picture("A")[10:31] == "d" * 21
    assert tape.rows("ticker = 'A'", columns="sessions, former_reason") == [(21, "provider empty")]
    tape.note(tape.load({"A": [31], **SIBLINGS}, 30, 32))
    assert set(tape.picture("A")[10:31]) <= {"x", "e"}, "it came back: inside its span"


def test_a_holiday_the_calendar_lacks_until_somebody_has_a_bar(tape):
    everybody = [0, 1, 3, 4]
    tape.note(tape.load({"A": everybody, "B": everybody, "C": everybody}, 0, 5))
    assert [tape.picture(name)[:5] for name in "ABC"] == ["..h.."] * 3
    tape.note(tape.load({"D": range(99)}, 0, 5))
    assert [tape.picture(name)[:5] for name in "ABC"] == ["..e.."] * 3, "others' entries are judged again"


def test_a_day_that_another_interval_has_is_no_holiday(tape):
    everybody = [0, 1, 3, 4]
    opening = tape.sessions[2].opens
    tape.connection.execute(
        "insert into bars.market_data_1h (ticker, time, open, high, low, close, volume, load_id) "
        "values ('Z', %s, 1, 1, 1, 1, 5, 0)",
        (opening,),
    )
    tape.connection.execute(
        "insert into series (market, interval, ticker, first_time, last_time) values ('vn', '1h', 'Z', %s, %s)",
        (opening, opening),
    )
    tape.note(tape.load({"A": everybody, "B": everybody, "C": everybody}, 0, 5))
    assert tape.picture("A")[:5] == "..e.."


def test_a_week_without_deals_is_a_halt_once_it_was_answered_twice(tape):
    have = [0, 1, *range(7, 99)]
    tape.note(tape.load({"A": have, **SIBLINGS}, 0, 10))
    assert tape.picture("A")[:10] == "..eeeee..."
    tape.note(tape.load({"A": have}, 0, 10))
    assert tape.picture("A")[:10] == "..xxxxx..."


def test_a_week_in_which_the_hours_show_deals_is_no_halt(tape):
    have = [0, 1, *range(7, 99)]
    tape.connection.execute(
        "insert into bars.market_data_1h (ticker, time, open, high, low, close, volume, load_id) "
        "values ('A', %s, 1, 1, 1, 1, 5, 0)",
        (tape.sessions[4].opens,),
    )
    for _ in range(2):
        tape.note(tape.load({"A": have, **SIBLINGS}, 0, 10))
    assert tape.picture("A")[:10] == "..eeeee..."


def test_a_known_halt_names_its_source(connection):
    tape = Tape(connection, first=utc(2018, 1, 22).date(), days=5)
    tape.note(tape.load({"A": [0, 3, 4], **SIBLINGS}, 0, 5))
    assert tape.picture("A") == ".xx.."
    ((detail,),) = tape.rows(columns="detail")
    assert "https://" in detail


def test_nobody_asked_for_the_hole_between_two_islands(tape):
    tape.note(tape.load({"A": range(99), **SIBLINGS}, 0, 3))
    tape.note(tape.load({"A": range(99)}, 6, 9))
    assert tape.picture("A")[:10] == "...uuu...."
    assert tape.picture("S1")[:10] == "." * 10, "what nobody looked at is not said to be missing"
    tape.note(tape.load({"A": range(99)}, 2, 6))
    assert tape.picture("A")[:10] == "." * 10


def test_the_open_session_is_never_missing(tape):
    during = tape.sessions[3].opens + timedelta(hours=1)
    run = tape.load({"A": [0, 1], **SIBLINGS}, 0, 5, now=during)
    tape.note(run, now=during)
    assert tape.picture("A")[:5] == "..e..", "session 3 has not closed, 4 has not begun"
    tape.note(now=tape.sessions[3].closes)
    assert tape.picture("A")[:5] == "..ee."


def test_a_load_during_the_session_does_not_cover_it(tape):
    tape.load({"A": range(99), **SIBLINGS}, 0, 3)
    window = Window(tape.time(2), tape.sessions[3].opens + timedelta(hours=1))
    tape.connection.execute(
        "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, code_version) "
        "values ('early', 'vn', '1d', 'A', 'x', %s, %s, 'loaded', '1')",
        (window.start, window.end),
    )
    tape.note(now=tape.sessions[3].closes)
    assert tape.picture("A")[:4] == "...u"


def test_a_ticker_that_only_failed_is_in_the_ledger(tape):
    tape.note(tape.load({"A": "!", **SIBLINGS}, 0, 3))
    assert tape.picture("A")[:3] == "fff"


def test_dropped_history_is_not_due(tape, monkeypatch):
    tape.note(tape.load({"A": [0, 9], **SIBLINGS}, 0, 10))
    assert tape.picture("A")[:10] == ".eeeeeeee."
    monkeypatch.setitem(tape.market.__dict__, "retention", {Interval.D1: tape.now - tape.time(5)})
    tape.note()
    assert tape.picture("A")[:10] == ".....eeee."
    assert tape.rows("closed_at is not null", columns="closed_reason") == [("not due",)]


def test_a_given_window_is_looked_at_whether_anybody_asked_or_not(tape):
    tape.load({"A": range(99), **SIBLINGS}, 0, 5)
    tape.note(window=tape.window(3, 8), tickers=["A"])
    assert tape.picture("A")[:9] == ".....uuu."
    assert tape.rows("ticker <> 'A'") == []


def test_hours_are_judged_by_the_session(connection):
    tape = Tape(connection, interval=Interval.H1, days=6)
    connection.execute(
        "insert into bars.market_data_1h (ticker, time, open, high, low, close, volume, load_id) "
        "select 'A', t, 1, 1, 1, 1, 5, 0 from unnest(%s::timestamptz[]) as t",
        ([tape.sessions[0].opens, tape.sessions[2].closes, tape.sessions[4].opens + timedelta(hours=5)],),
    )
    connection.execute(
        "insert into series (market, interval, ticker, first_time, last_time) values ('vn', '1h', 'A', %s, %s)",
        (tape.sessions[0].opens, tape.sessions[4].opens + timedelta(hours=5)),
    )
    tape.note()
    found = tape.rows(columns="start_time, end_time, bars, sessions, reason, inside")
    assert [row[:-1] for row in found if not row[-1]] == [
        (tape.sessions[k].opens, tape.sessions[k].closes, 5, 1, "unknown") for k in (1, 3, 5)
    ], "a session with one bar, also one at the very close, is not missing as a whole"
    assert {row[0].date() for row in found if row[-1]} == {tape.sessions[k].date for k in (0, 4)}, (
        "what it lacks inside is an entry of its own"
    )


def test_rollups_have_no_gaps(tape):
    with pytest.raises(BadInput, match="Look at 1d"):
        Tape(tape.connection, interval=Interval.W1).note()


def test_listing_filters(tape):
    for _ in range(2):
        tape.note(tape.load({"A": [0, 2, 4], "B": range(2, 99), **SIBLINGS}, 0, 5))
    tape.note(tape.load({"A": [1]}, 1, 2))

    def found(closed=False, **wanted):
        rows = list_gaps(tape.connection, GapFilter(**wanted), closed=closed)
        return [(row["ticker"], row["reason"], row["closed_reason"]) for row in rows]

    assert found() == [("A", "provider empty", None), ("B", "not listed", None)]
    assert found(closed=True, tickers=("A",)) == [
        ("A", "provider empty", "arrived"),
        ("A", "provider empty", None),
    ]
    assert found(reasons=("not listed",), markets=("vn",), intervals=("1d",)) == [("B", "not listed", None)]
    assert found(start=tape.time(3)) == [("A", "provider empty", None)]
    assert found(end=tape.time(3)) == [("B", "not listed", None)]
    assert found(markets=("us",)) == []
    with pytest.raises(BadInput, match="There is no reason 'lost'"):
        found(reasons=("lost",))
