"""What a line must be to be a tick: exactly what it says, or refused with a reason; never a crash or another number."""

from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal

import pytest
from conformance import of
from hypothesis import given
from hypothesis import strategies as st

from hypertape.stream.feeds import open_feed
from hypertape.stream.feeds._lines import KEPT_BYTES, Lines
from hypertape.stream.feeds._sequence import Sequences
from hypertape.stream.feeds._silence import watched
from hypertape.stream.model import SCALE, FeedGap, GapFilled, Rejected, Tick
from hypertape.stream.record import (
    BadRecord,
    decimal_text,
    instant_text,
    json_of,
    micros_of,
    tick_of_json,
)

LINE = {
    "symbol": "EURUSD",
    "time": "2026-01-05T00:00:00.123456Z",
    "sequence": 17,
    "bid": "1.08455",
    "ask": "1.08457",
    "bid_volume": "1",
    "ask_volume": "2",
}
TIME = 1_767_571_200_123_456


def line(**changes: object) -> bytes:
    """The specification's line with some fields changed; None removes one, bytes are written as they are."""
    fields = {name: value for name, value in {**LINE, **changes}.items() if value is not None}
    raw = [
        json.dumps(name).encode()
        + b": "
        + (value if isinstance(value, bytes) else json.dumps(value).encode())
        for name, value in fields.items()
    ]
    return b"{" + b", ".join(raw) + b"}"


def test_the_specifications_line_is_a_tick():
    expected = Tick("EURUSD", TIME, 17, 108_455_000, 108_457_000, SCALE, 2 * SCALE, "lab")
    assert tick_of_json(json.dumps(LINE).encode(), "lab") == expected


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"bid": "0.00000001"}, "bid", 1),
        ({"bid": "92233720368.54775807"}, "bid", 2**63 - 1),
        ({"bid": "1.084550000000"}, "bid", 108_455_000),
        ({"bid": b"1.08455"}, "bid", 108_455_000),
        ({"bid": b"1.1"}, "bid", 110_000_000),
        ({"bid": None}, "bid", None),
        ({"bid": b"null"}, "bid", None),
        ({"bid_volume": "0"}, "bid_volume", 0),
        ({"ask_volume": None}, "ask_volume", None),
        ({"time": "2026-01-05T07:00:00.123456+07:00"}, "time", TIME),
        ({"time": "2026-01-05T00:00:00Z"}, "time", TIME - 123_456),
        ({"time": "2026-01-05T00:00:00.123456000Z"}, "time", TIME),
        ({"symbol": "BTC/USD"}, "symbol", "BTC/USD"),
        ({"symbol": "VN30F1M.Ü"}, "symbol", "VN30F1M.Ü"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_exact_is_taken(changes, field, value):
    assert getattr(tick_of_json(line(**changes), "lab"), field) == value


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (line(bid="1.084551234"), "more than 8 decimals"),
        (line(bid=b"1e0"), "no plain decimal"),
        (line(bid="1E5"), "no plain decimal"),
        (line(bid=b"NaN"), "not a line of jsonl"),
        (line(bid="NaN"), "no plain decimal"),
        (line(bid="Infinity"), "no plain decimal"),
        (line(bid="-1.08"), "no plain decimal"),
        (line(bid="+1.08"), "no plain decimal"),
        (line(bid="1,08"), "no plain decimal"),
        (line(bid=".5"), "no plain decimal"),
        (line(bid="5."), "no plain decimal"),
        (line(bid=""), "no plain decimal"),
        (line(bid=" 1.08"), "no plain decimal"),
        (line(bid="١٢"), "no plain decimal"),
        (line(bid="0"), "not above 0"),
        (line(bid=True), "no plain decimal"),
        (line(bid=[1]), "no plain decimal"),
        (line(bid={"a": 1}), "no plain decimal"),
        (line(bid="92233720368.54775808"), "above 92233720368"),
        (line(bid="9" * 5000), "no plain decimal"),
        (line(bid=b"9" * 5000), "no plain decimal"),
        (line(bid=None, ask=None), "neither bid nor ask"),
        (line(bid_volume="-1"), "bid_volume"),
        (line(sequence=-1), "sequence"),
        (line(sequence=b"1.0"), "sequence"),
        (line(sequence=True), "sequence"),
        (line(sequence="17"), "sequence"),
        (line(sequence=2**63), "sequence"),
        (line(sequence=None), "sequence"),
        (line(time="2026-01-05T00:00:00"), "with Z or an offset"),
        (line(time="2026-01-05T00:00:00 Europe/Paris"), "with Z or an offset"),
        (line(time="2026-01-05T00:00:00+25:00"), "does not exist"),
        (line(time="2026-01-05 00:00:00Z"), "with Z or an offset"),
        (line(time="2026-02-30T00:00:00Z"), "does not exist"),
        (line(time="2026-01-05T00:00:60Z"), "does not exist"),
        (line(time="2026-01-05T00:00:00.1234567Z"), "finer than a microsecond"),
        (line(time="1969-12-31T23:59:59Z"), "not between 1970"),
        (line(time="9999-12-31T23:59:59-23:59"), "not between 1970"),
        (line(time="0001-01-01T00:00:00+23:59"), "not between 1970"),
        (line(time=1767571200), "not a line of jsonl"),
        (line(symbol=""), "symbol"),
        (line(symbol="EUR USD"), "symbol"),
        (line(symbol="EUR\x00USD"), "symbol"),
        (line(symbol="E" * 51), "symbol"),
        (line(symbol="EUR\u202eUSD"), "symbol"),
        (line(symbol=b'"\\ud800"'), "not a line of jsonl"),
        (line(symbol=b'"\xff"'), "not a line of jsonl"),
        (line(symbol=None), "not a line of jsonl"),
        (line(price="1"), "unknown field"),
        (b"[" * 100_000, "bytes or more"),
        (b"[" * 60_000, "not a line of jsonl"),
        (b"null", "not a line of jsonl"),
        (b"{}", "not a line of jsonl"),
        (b"\x00", "not a line of jsonl"),
        (b'{"symbol": "EURUSD"', "not a line of jsonl"),
        (line() + line(), "not a line of jsonl"),
        (line(symbol="E" * 2_000_000), "bytes or more"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_tick_is_refused_with_its_reason(record, reason):
    with pytest.raises(BadRecord) as told:
        tick_of_json(record, "lab")
    assert reason in str(told.value)
    assert len(str(told.value)) < 400
    assert str(told.value).isprintable(), "logs and tables must be able to show it"
    assert "\x00" not in str(told.value)


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(data):
    with contextlib.suppress(BadRecord):
        tick_of_json(data, "lab")


@given(st.text("0123456789-:TZ+. \x00é", max_size=40))
def test_no_time_crashes_it(text):
    with contextlib.suppress(BadRecord):
        micros_of(text)


@given(
    st.integers(1, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 7_258_118_399_999_999),
    st.integers(0, 2**63 - 1),
)
def test_what_is_written_is_read_back(price, volume, time, sequence):
    tick = Tick("EURUSD", time, sequence, price, None, volume, None, "lab")
    assert tick_of_json(json_of(tick), "lab") == tick
    assert Decimal(decimal_text(price)) == Decimal(price) / SCALE
    assert micros_of(instant_text(time)) == time


def test_a_line_of_megabytes_costs_a_megabyte(tmp_path):
    path = tmp_path / "ticks.jsonl"
    with path.open("wb") as file:
        file.write(line() + b"\n")
        for _ in range(50):
            file.write(b"x" * KEPT_BYTES)
        file.write(b"\n" + line(sequence=18) + b"\r\n" + b"y" * (2 * KEPT_BYTES))

    async def read():
        return [event async for batch in open_feed(f"jsonl:{path}").run() for event in batch]

    events = asyncio.run(read())
    assert [tick.sequence for tick in of(Tick, events)] == [17, 18]
    assert [len(rejected.record) for rejected in of(Rejected, events)] == [KEPT_BYTES, KEPT_BYTES]


@given(st.lists(st.binary(max_size=20).filter(lambda text: b"\n" not in text)), st.integers(1, 9))
def test_lines_are_the_same_however_they_are_cut(lines, size):
    data = b"\n".join(lines)
    cutter = Lines()
    found = [
        text
        for start in range(0, len(data), size)
        for batch in cutter.add(data[start : start + size])
        for text in batch
    ]
    found.append(cutter.end())
    assert found == [text.removesuffix(b"\r") for text in lines or [b""]]


# --- numbers that are left out


def seen(*numbers: int | tuple[str, int], by: str = "symbol") -> list[object]:
    """What a run of numbers reveals, each a microsecond after the last."""
    sequences = Sequences("lab", by)
    events: list[object] = []
    for time, number in enumerate(numbers):
        symbol, value = number if isinstance(number, tuple) else ("EURUSD", number)
        for event in sequences.see(Tick(symbol, time, value, 1, None, None, None, "lab")):
            gap = event.gap if isinstance(event, GapFilled) else event
            assert isinstance(gap, FeedGap)
            events.append((type(event).__name__, gap.symbol, gap.last_sequence, gap.first_sequence))
    return events


def opened(last: int, first: int, symbol: str | None = "EURUSD") -> tuple[object, ...]:
    return ("FeedGap", symbol, last, first)


def filled(last: int, first: int, symbol: str | None = "EURUSD") -> tuple[object, ...]:
    return ("GapFilled", symbol, last, first)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([5, 6, 7], []),
        ([5, 7], [opened(5, 7)]),
        ([5, 7, 6], [opened(5, 7), filled(5, 7)]),
        ([5, 7, 6, 6], [opened(5, 7), filled(5, 7)]),
        ([5, 9, 8, 6, 7], [opened(5, 9), filled(5, 9)]),
        ([5, 9, 8, 8, 6], [opened(5, 9)]),
        ([5, 7, 9, 8, 6], [opened(5, 7), opened(7, 9), filled(7, 9), filled(5, 7)]),
        ([5, 5, 4], []),
        ([900, 1, 2, 4], [opened(2, 4)]),
        ([900, 902, 0, 1], [opened(900, 902)]),
        ([("A", 1), ("B", 7), ("A", 2), ("B", 9)], [opened(7, 9, "B")]),
    ],
    ids=[
        "nothing is missing", "one is", "it comes late", "it comes twice", "filled in any order", "half filled",
        "two gaps", "repetitions", "the count began anew", "a gap before it is not filled by it", "each symbol counts",
    ],
)  # fmt: skip
def test_gaps_of_a_sequence(numbers, expected):
    assert seen(*numbers) == expected


def test_a_feed_may_count_over_all_its_symbols_or_not_at_all():
    numbers = [("A", 1), ("B", 2), ("A", 5)]
    assert seen(*numbers, by="feed") == [opened(2, 5, None)]
    assert seen(*numbers, by="none") == []


# --- silence


def spoken(*steps: float | int, seconds: float = 0.05) -> list[object]:
    """What comes of a feed that pauses (floats, seconds) and says ticks (whole numbers)."""

    async def feed():
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                yield [Tick("EURUSD", step, step, 1, None, None, None, "lab")]

    async def listen():
        return [event async for batch in watched(feed(), "lab", seconds, lambda: 0) for event in batch]

    said: list[object] = []
    for event in asyncio.run(listen()):
        gap = event.gap if isinstance(event, GapFilled) else event
        said.append(event.time if isinstance(event, Tick) else (type(event).__name__, gap.end))
    return said


def test_silence_is_a_gap_from_the_last_tick_to_the_next():
    assert spoken(1, 0.2, 2) == [1, ("FeedGap", None), ("FeedGap", 2), ("GapFilled", 2), 2]


def test_a_feed_that_speaks_in_time_or_is_not_watched_is_not_silent():
    assert spoken(1, 0.01, 2) == [1, 2]
    assert spoken(1, 0.2, 2, seconds=0) == [1, 2]


def test_a_feed_that_ends_in_silence_leaves_the_gap_open():
    assert spoken(1, 0.2) == [1, ("FeedGap", None)]
