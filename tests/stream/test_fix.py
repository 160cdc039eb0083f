"""The FIX session against a real acceptor on loopback TCP, whose wire simplefix writes and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import simplefix
from acceptor import Acceptor, accepting
from conformance import of

from hypertape.errors import FeedRefused
from hypertape.stream.feeds import FeedConfig, open_feed
from hypertape.stream.feeds._fix_wire import Framer, Garbled, Message, encode
from hypertape.stream.model import SCALE, Event, FeedGap, GapFilled, Rejected, SymbolInfo, Tick

CONFIG = FeedConfig(
    fix_password="secret-1", first_pause=0.05, longest_pause=0.1, clock=lambda: 1_767_571_200_000_000
)

Scene = Callable[[Acceptor, list[Event]], Awaitable[None]]


def played(
    scene: Scene, *, options: str = "&symbols=EURUSD", config: FeedConfig = CONFIG, **acceptor: Any
) -> list[Event]:
    """What the feed yields while a scene is played to it; the scene starts when the feed has subscribed."""

    async def play() -> list[Event]:
        events: list[Event] = []
        async with asyncio.timeout(20), accepting(**acceptor) as other:
            feed = open_feed(f"fix:127.0.0.1:{other.port}?sender=ME&target=THEM{options}", config)

            async def read() -> None:
                async for batch in feed.run():
                    events.extend(batch)

            reading = asyncio.create_task(read())
            await asyncio.wait(
                {reading, asyncio.create_task(other.subscribed.wait())}, return_when="FIRST_COMPLETED"
            )
            if not reading.done():
                await scene(other, events)
                await feed.close()
            await reading
        return events

    return asyncio.run(play())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def ticks(events: list[Event]) -> list[tuple[int | None, int | None]]:
    return [(tick.bid, tick.ask) for tick in of(Tick, events)]


def test_it_logs_on_lists_and_subscribes():
    heard: list[simplefix.FixMessage] = []

    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.08455", "1.08457"))
        await until(lambda: bool(of(Tick, events)))
        heard.extend(other.heard)

    events = played(scene, options="&user=me&symbols=EURUSD&sender_sub=QUOTE")
    logon, listing, request = heard[:3]
    assert [message.get(35) for message in heard[:3]] == [b"A", b"x", b"V"]
    assert (logon.get(553), logon.get(554), logon.get(141), logon.get(108)) == (
        b"me",
        b"secret-1",
        b"Y",
        b"30",
    )
    assert logon.get(50) == b"QUOTE"
    assert listing.get(559) == b"0"
    assert (request.get(55), request.get(263), request.get(264)) == (
        b"1",
        b"1",
        b"1",
    )  # by what messages call it
    listed = of(SymbolInfo, events)
    assert listed[0] == SymbolInfo("EURUSD", "EURUSD spot", 5, 1000, None)
    assert ticks(events) == [(108_455_000, 108_457_000)]


def test_without_names_all_that_are_listed_are_subscribed():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        await until(lambda: other.types().count("V") == 2)
        assert {message.get(55) for message in other.heard if message.get(35) == b"V"} == {b"1", b"2"}

    played(scene, options="")


def test_an_acceptor_without_lists_is_asked_by_name():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        await until(lambda: other.types().count("V") == 1)
        assert other.heard[-1].get(55) == b"EURUSD"

    assert "refused: no lists here" in of(Rejected, played(scene, lists=b"no"))[0].error


def test_a_refused_logon_ends_it_without_the_password():
    with pytest.raises(FeedRefused, match="refused: unknown user") as told:
        played(None, refuse="unknown user")  # type: ignore[arg-type]
    assert "secret-1" not in str(told.value)


def test_a_later_logon_that_is_refused_is_tried_again():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        await until(lambda: len(of(Tick, events)) == 1)
        other.refuse = "closed for the night"
        other.cut()
        await until(lambda: other.logons >= 3)
        other.subscribed.clear()
        other.refuse = None
        await other.subscribed.wait()
        other.send(other.snapshot("1.00002", "2", 2))
        await until(lambda: len(of(Tick, events)) == 2)

    events = played(scene)
    assert [gap.reason for gap in of(FeedGap, events)] == ["reconnect", "reconnect"]
    assert of(GapFilled, events) == [], "the numbers began anew, so nobody knows"


def test_increments_change_the_book_and_deletes_empty_it():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        stamp = ((272, "20260105"), (273, "00:00:01"))
        other.send(other.snapshot("1.08455", "1.08457"))
        other.send(
            other.build("X", (268, 1), (279, 1), (269, 0), (55, "1"), (270, "1.08456"), (271, 5), *stamp)
        )
        other.send(other.build("X", (268, 2), (279, 0), (269, 0), (278, "b2"), (55, "1"), (270, "1.08450"), (271, 7),
                               (279, 2), (269, 1), (55, "1")))  # fmt: skip
        other.send(
            other.build("X", (268, 1), (279, 0), (269, 2), (55, "1"), (270, "1.08456"), (271, 1))
        )  # a trade
        other.send(other.build("X", (268, 1), (279, 2), (269, 0), (55, "1")))
        await until(lambda: len(of(Tick, events)) == 4)

    events = played(scene)
    assert ticks(events) == [
        (108_455_000, 108_457_000),
        (108_456_000, 108_457_000),
        (108_456_000, None),
        (108_450_000, None),
    ]
    assert [tick.bid_volume for tick in of(Tick, events)] == [SCALE, 5 * SCALE, 5 * SCALE, 7 * SCALE]
    assert of(Rejected, events) == []


def test_a_bad_increment_changes_nothing():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.08455", "1.08457"))
        other.send(
            other.build(
                "X",
                (268, 2),
                (279, 1),
                (269, 0),
                (55, "1"),
                (270, "9"),
                (279, 1),
                (269, 1),
                (55, "1"),
                (270, "1e3"),
            )
        )
        other.send(other.build("X", (268, 1), (279, 1), (269, 1), (55, "1"), (270, "1.08458")))
        await until(lambda: len(of(Tick, events)) == 2)

    events = played(scene)
    assert ticks(events) == [(108_455_000, 108_457_000), (108_455_000, 108_458_000)]
    assert [rejected.error for rejected in of(Rejected, events)] == [
        "price (270) b'1e3' is no plain decimal number from 0 upward"
    ]


def test_missing_numbers_are_asked_for_and_come_in_order():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        lost = [other.snapshot(f"1.0000{n}", "2", n) for n in (2, 3)]
        other.send(other.snapshot("1.00004", "2", 4))
        await until(lambda: len(of(Tick, events)) == 4)
        assert len(lost) == 2

    events = played(scene)
    assert [tick.bid for tick in of(Tick, events)] == [100_001_000, 100_002_000, 100_003_000, 100_004_000]
    (opened, ended), (filled,) = of(FeedGap, events), of(GapFilled, events)
    assert (opened.reason, opened.last_sequence, opened.first_sequence, opened.end) == (
        "sequence",
        3,
        6,
        None,
    )
    assert filled == GapFilled(ended, "resend")
    assert ended.end == of(Tick, events)[-1].time


@pytest.mark.parametrize("resends", [True, False], ids=["some are sent again", "none is"])
def test_what_is_not_sent_again_stays_a_gap(resends):
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        lost = other.number + 1
        other.snapshot("1.00002", "2", 2)
        other.build(
            "0"
        )  # a heartbeat that was lost too: never sent again, and it may have been a quote for all we know
        if not resends:
            del other.sent[lost]
        other.send(other.snapshot("1.00004", "2", 4))
        await until(lambda: of(Tick, events)[-1:] != [] and of(Tick, events)[-1].bid == 100_004_000)

    events = played(scene)
    assert len(of(Tick, events)) == 2 + resends
    assert [gap.reason for gap in of(FeedGap, events)] == ["sequence", "sequence"]
    assert of(GapFilled, events) == []


def test_a_sequence_reset_goes_on_where_it_says():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        other.send(
            other.build("4", (36, 50), number=40)
        )  # a reset, not a gap fill: its own number does not count
        other.number = 49
        other.send(other.snapshot("1.00002", "2", 2))
        await until(lambda: len(of(Tick, events)) == 2)
        assert "2" not in other.types(), "nothing is missing after a reset"

    (gap, _) = of(FeedGap, played(scene))
    assert (gap.last_sequence, gap.first_sequence) == (3, 50)


def test_a_reset_backwards_is_refused():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.build("4", (36, 1), number=40))
        await until(lambda: "3" in other.types())
        other.send(other.snapshot("1.00001", "2", 1))
        await until(lambda: len(of(Tick, events)) == 1)

    played(scene)


def test_garbled_bytes_are_kept_and_asked_for_again():
    sent: list[bytes] = []

    async def scene(other: Acceptor, events: list[Event]) -> None:
        good = other.snapshot("1.00001", "2", 1)
        sent.append(good[:-4] + (b"000\x01" if good[-4:] != b"000\x01" else b"001\x01"))
        other.send(sent[0])
        other.send(other.snapshot("1.00002", "2", 2))
        await until(lambda: len(of(Tick, events)) == 2)

    events = played(scene)
    assert [tick.bid for tick in of(Tick, events)] == [100_001_000, 100_002_000]
    (rejected,) = of(Rejected, events)
    assert rejected == Rejected("fix:ME-THEM", sent[0], "no FIX message: its checksum is wrong")
    assert [filled.by for filled in of(GapFilled, events)] == ["resend"]


def test_test_requests_are_answered_and_our_requests_sent_again():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.build("1", (112, "are you there")))
        await until(lambda: "0" in other.types())
        assert next(m for m in other.heard if m.get(35) == b"0").get(112) == b"are you there"
        seen = len(other.heard)
        other.send(other.build("2", (7, 1), (16, 0)))
        await until(lambda: len(other.heard) >= seen + 4)
        again = other.heard[seen:]
        assert [(m.get(35), int(m.get(34))) for m in again] == [(b"4", 1), (b"x", 2), (b"V", 3), (b"4", 4)]
        assert [m.get(43) for m in again] == [b"Y"] * 4
        assert (again[0].get(123), again[0].get(36)) == (b"Y", b"2")
        assert again[1].get(122) is not None

    played(scene)


def test_a_cut_in_the_middle_of_a_message_is_resumed():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        whole = other.snapshot("1.00002", "2", 2)
        other.send(whole[: len(whole) // 2])
        await until(lambda: len(of(Tick, events)) == 1)
        await asyncio.sleep(0.05)
        other.cut()
        await until(lambda: other.logons == 2)
        other.send(other.snapshot("1.00003", "2", 3))
        await until(lambda: len(of(Tick, events)) == 3)

    events = played(scene)
    assert [tick.bid for tick in of(Tick, events)] == [100_001_000, 100_002_000, 100_003_000]
    apart = [gap for gap in of(FeedGap, events) if gap.reason == "reconnect"]
    assert apart[0].end is None
    assert apart[0].start == of(Tick, events)[0].time
    assert apart[1].end == of(Tick, events)[1].time
    assert {filled.gap.reason for filled in of(GapFilled, events)} == {"sequence", "reconnect"}


def test_a_reconnect_that_counts_from_one_stays_a_gap():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        await until(lambda: len(of(Tick, events)) == 1)
        other.subscribed.clear()
        other.cut()
        await other.subscribed.wait()
        other.send(other.snapshot("1.00002", "2", 2))
        await until(lambda: len(of(Tick, events)) == 2)
        assert [m.get(141) for m in other.heard if m.get(35) == b"A"] == [b"Y", b"Y"]

    events = played(scene, options="&symbols=EURUSD&resume=no")
    assert [(gap.reason, gap.end is None) for gap in of(FeedGap, events)] == [
        ("reconnect", True),
        ("reconnect", False),
    ]
    assert of(GapFilled, events) == []


def test_a_stale_heartbeat_is_a_silent_gap():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        await until(lambda: len(of(Tick, events)) == 1)
        other.answers = False
        await until(lambda: "1" in other.types())
        await until(lambda: bool(of(FeedGap, events)))
        other.answers = True

    events = played(scene, options="&symbols=EURUSD&heartbeat=1")
    assert of(FeedGap, events)[0]._replace(last_sequence=None) == FeedGap(
        "fix:ME-THEM", None, "silent", of(Tick, events)[0].time, None, None, None
    )


def test_heartbeats_go_out_while_nobody_reads():
    async def play() -> list[str]:
        async with asyncio.timeout(20), accepting() as other:
            feed = open_feed(
                f"fix:127.0.0.1:{other.port}?sender=ME&target=THEM&symbols=EURUSD&heartbeat=1", CONFIG
            )
            batches = feed.run()
            await anext(batches)  # the security list; then nobody asks any more
            await asyncio.sleep(1.6)
            types = other.types()
            await feed.close()
            await batches.aclose()  # type: ignore[attr-defined]
        return types

    assert "0" in asyncio.run(play())


def test_a_number_too_low_breaks_the_session():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(other.snapshot("1.00001", "2", 1))
        other.number = 1
        other.send(other.snapshot("1.00002", "2", 2))
        await until(lambda: other.logons == 2)
        assert next(m for m in other.heard if m.get(35) == b"5").get(58).startswith(b"MsgSeqNum too low")

    played(scene)


def test_messages_of_somebody_else_break_the_session():
    async def scene(other: Acceptor, events: list[Event]) -> None:
        other.send(
            encode("0", [(49, "THEM"), (56, "YOU"), (34, other.number + 1), (52, "20260105-00:00:00")])
        )
        await until(lambda: other.logons == 2)

    played(scene)


def test_closing_logs_out():
    heard: list[str] = []

    async def play() -> None:
        async with asyncio.timeout(20), accepting() as other:
            feed = open_feed(f"fix:127.0.0.1:{other.port}?sender=ME&target=THEM&symbols=EURUSD", CONFIG)
            reading = asyncio.create_task(_to_end(feed))
            await other.subscribed.wait()
            await feed.close()
            await reading
            await until(lambda: "5" in other.types())
            heard.extend(other.types())

    asyncio.run(play())
    assert heard[-1] == "5"


async def _to_end(feed: Any) -> None:
    async for _ in feed.run():
        pass


# --- the wire

GOOD = encode("0", [(49, "A"), (56, "B"), (34, 7)])


def test_the_codec_agrees_with_simplefix():
    parser = simplefix.FixParser()
    parser.append_buffer(encode("W", [(49, "A"), (56, "B"), (34, 3), (55, "EURUSD"), (270, "1.08455")]))
    message = parser.get_message()
    assert message is not None
    (ours,) = Framer().feed(message.encode())
    assert isinstance(ours, Message)
    assert (ours.kind, ours.sequence, ours.text(55), ours.text(270)) == (b"W", 3, "EURUSD", "1.08455")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_messages_are_found_however_they_arrive(size):
    framer, stream = Framer(), b"garbage" + GOOD + b"8=FIX" + GOOD + GOOD
    found = [
        part for start in range(0, len(stream), size) for part in framer.feed(stream[start : start + size])
    ]
    assert [part.raw for part in found if isinstance(part, Message)] == [GOOD] * 3
    assert b"".join(part.raw for part in found if isinstance(part, Garbled)) == b"garbage8=FIX"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (GOOD.replace(b"\x0134=7", b"\x0134=8"), "checksum"),
        (GOOD.replace(b"9=", b"9=1", 1), "body length"),
        (GOOD.replace(b"9=", b"9=x", 1), "no number"),
        (GOOD.replace(b"9=", b"9=99999999", 1), "no number"),
        (encode("0", [(49, "A"), (56, "B")]), "no sequence number"),
        (encode("0", [(49, "A"), (34, "-7")]), "no sequence number"),
    ],
    ids=["wrong sum", "wrong length", "length of letters", "giant length", "no number", "negative number"],
)
def test_a_broken_message_is_told_and_the_next_one_found(broken, why):
    parts = list(Framer().feed(broken + GOOD * 20))
    lost = [part for part in parts if isinstance(part, Garbled)]
    assert why in lost[0].why
    assert lost[0].raw.startswith(broken[:20])
    assert [part.raw for part in parts if isinstance(part, Message)][-15:] == [GOOD] * 15
