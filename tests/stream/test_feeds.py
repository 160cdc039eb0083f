"""The feeds of files and of FIX against the laws of every feed; that of RabbitMQ is in test_rabbitmq, beside
its broker.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from acceptor import Acceptor, accepting
from conformance import CHECKS, Played

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.stream.feeds import feed_calendar, feed_names, open_feed, parse_address
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.record import FIELDS, json_of, tick_fields

START = 1_767_571_200_000_000  # 2026-01-05


def tick(number: int, source: str, symbol: str = "EURUSD") -> Tick:
    bid = 108_455_000 + number
    return Tick(symbol, START + number, number, bid, bid + 2000, SCALE, 2 * SCALE, source)


def csv_of(row: Tick) -> bytes:
    fields = tick_fields(row)
    return ",".join(str(fields.get(name, "")) for name in FIELDS).encode()


LINES = {
    "jsonl": (json_of, b'{"symbol": "EURUSD", "bid": NaN}', b""),
    "csv": (csv_of, b"EURUSD,yesterday,1,1.1,1.2,,", (",".join(FIELDS) + "\n").encode()),
}


class FilePlayer:
    """Plays to a feed of lines: short scripts as a file, long ones through a pipe whose writer can be seen
    waiting.
    """

    def __init__(self, kind: str, directory: Path) -> None:
        self._kind, self._directory = kind, directory

    @asynccontextmanager
    async def __call__(self, script: Sequence[str]) -> AsyncIterator[Played]:
        path = self._directory / f"ticks.{self._kind}"
        write, bad, header = LINES[self._kind]
        ticks: list[Tick] = []
        lines = []
        number, source = 0, f"{self._kind}:{path.name}"
        for word in script:
            number += word in ("tick", "skip")
            if word in ("tick", "repeat"):
                ticks.append(tick(number, source))
                lines.append(write(ticks[-1]))
            elif word == "bad":
                lines.append(bad)
        if len(script) < 1000:
            path.write_bytes(header + b"\n".join(lines))  # the last line has no newline
            yield Played(
                open_feed(f"{self._kind}:{path}"), ticks, [bad] * list(script).count("bad"), ends=True
            )
            return
        written = [0]
        os.mkfifo(path)
        writer = threading.Thread(target=self._write, args=(path, header, lines, written))
        writer.start()

        async def taken() -> int:
            return written[0]

        yield Played(open_feed(f"{self._kind}:{path}"), ticks, ends=True, taken=taken)
        writer.join()

    @staticmethod
    def _write(path: Path, header: bytes, lines: list[bytes], written: list[int]) -> None:
        try:
            with path.open("wb", buffering=0) as pipe:
                pipe.write(header)
                for line in lines:
                    pipe.write(line + b"\n")
                    written[0] += 1
        except BrokenPipeError:
            pass


class FixPlayer:
    """Plays to the feed of FIX: snapshots of one symbol, as soon as it has subscribed."""

    @asynccontextmanager
    async def __call__(self, script: Sequence[str]) -> AsyncIterator[Played]:
        async with accepting(resends=False) as acceptor:
            feed = open_feed(f"fix:127.0.0.1:{acceptor.port}?sender=ME&target=THEM&symbols=EURUSD")
            played = Played(feed)
            ready = asyncio.Event()
            acceptor.on_subscribed = ready.set
            # expected ticks are numbered by the session: logon and list come first
            numbers = iter(range(3, 3 + len(script) + 1))
            steps = [(word, None if word == "repeat" else next(numbers)) for word in script]
            last = 0
            for second, (word, number) in enumerate(steps):
                if word == "tick":
                    assert number is not None
                    last = second
                    played.ticks.append(self._tick(number, second, feed.name))
                elif word == "repeat":
                    played.ticks.append(played.ticks[-1])
                elif word == "bad":
                    played.bad.append(b"")
            task = asyncio.create_task(self._play(acceptor, ready, steps, played))

            async def taken() -> int:
                return acceptor.delivered

            played.taken = taken
            try:
                yield played
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            assert last >= 0

    @staticmethod
    def _tick(number: int, second: int, source: str) -> Tick:
        time = START + (second % 60) * 1_000_000 + second // 60
        return Tick("EURUSD", time, number, 108_455_000, 108_457_000, SCALE, 2 * SCALE, source)

    @staticmethod
    async def _play(
        acceptor: Acceptor, ready: asyncio.Event, steps: list[tuple[str, int | None]], played: Played
    ) -> None:
        await ready.wait()
        last = b""
        bad = 0
        for second, (word, _) in enumerate(steps):
            if word == "tick":
                last = acceptor.snapshot("1.08455", "1.08457", second)
                acceptor.send(last)
            elif word == "bad":
                data = acceptor.snapshot("-1.08455", "1.08457", second)
                played.bad[bad], bad = data, bad + 1
                acceptor.send(data)
            elif word == "skip":
                acceptor.snapshot("1.08455", "1.08457", second)
            else:
                number = acceptor.number
                acceptor.send(_again(acceptor, number))
            acceptor.delivered += 1
            assert acceptor.writer is not None
            await acceptor.writer.drain()


def _again(acceptor: Acceptor, number: int) -> bytes:
    captured: list[bytes] = []
    send, acceptor.send = acceptor.send, captured.append  # type: ignore[method-assign]
    acceptor.resends = True
    acceptor._resend(number, number)
    acceptor.resends = False
    acceptor.send = send  # type: ignore[method-assign]
    return captured[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "fix"])
def test_every_feed(kind, check, tmp_path):
    asyncio.run(check(FixPlayer() if kind == "fix" else FilePlayer(kind, tmp_path)))


def test_a_new_feed_is_found_and_must_be_held_to_the_laws():
    assert feed_names() == ("amqp", "csv", "fix", "jsonl", "synthetic"), (
        "play the laws of conformance to the new one too"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ticks.jsonl", "names no feed"),
        ("kafka:topic", "names no feed"),
        ("jsonl:", "no such file"),
        ("jsonl:nowhere.jsonl", "no such file"),
        ("jsonl:-?speed=2", "no option 'speed'"),
        ("jsonl:-?numbering=both", "One of: symbol, feed, none"),
        ("jsonl:-?silence=soon", "A number from 0"),
        ("jsonl:-?silence=nan", "A number from 0"),
        ("jsonl:-?silence=1&silence=2", "twice"),
        ("fix:quotes.example", "no HOST:PORT"),
        ("fix:quotes.example:99999?sender=ME&target=THEM", "no HOST:PORT"),
        ("fix:me:secret@quotes.example:5201?sender=ME&target=THEM", "no HOST:PORT"),
        ("fix:quotes.example:5201?sender=ME", "no target"),
        ("amqp:ticks", "HYPERTAPE_RABBITMQ_URL"),
        ("amqp:", "names no queue"),
    ],
)
def test_an_address_that_cannot_work_says_what_would(text, said):
    with pytest.raises(BadInput, match="(?s)" + said.replace("?", "\\?")):
        open_feed(text)


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path):
    for name, number in (("b.jsonl", 2), ("a.jsonl", 1), ("c.txt", 9)):
        (tmp_path / name).write_bytes(json_of(tick(number, "")) + b"\n")

    async def sequences() -> list[int]:
        feed = open_feed(f"jsonl:{tmp_path}")
        return [event.sequence async for batch in feed.run() for event in batch if isinstance(event, Tick)]

    assert asyncio.run(sequences()) == [1, 2]
    with pytest.raises(BadInput, match=r"no file in it ends in \.csv"):
        open_feed(f"csv:{tmp_path}")


def test_a_file_that_vanishes_is_named(tmp_path):
    path = tmp_path / "ticks.jsonl"
    path.write_bytes(b"")
    feed = open_feed(f"jsonl:{path}")
    path.unlink()
    with pytest.raises(SourceFileMissing, match=r"ticks\.jsonl cannot be read"):
        asyncio.run(anext(feed.run()))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"symbol,time,sequence,bid,ask,price\n", "the column 'price'"),
        (b"symbol,time,bid,ask\n", "no column 'sequence'"),
        (b"symbol,time,sequence,bid,bid\n", "a column twice"),
        (b"\xff\xfe\n", "cannot be read"),
    ],
)
def test_a_csv_header_that_is_none_is_refused(tmp_path, header, said):
    path = tmp_path / "ticks.csv"
    path.write_bytes(header + b"EURUSD,2026-01-05T00:00:00Z,1,1.1,1.2\n")
    with pytest.raises(BadInput, match=said):
        asyncio.run(anext(open_feed(f"csv:{path}").run()))


def test_options_say_whose_ticks_they_are(tmp_path):
    path = tmp_path / "ticks.jsonl"
    path.write_bytes(json_of(tick(1, "")))
    feed = open_feed(f"jsonl:{path}?source=fix:ME-THEM")
    assert feed.name == "fix:ME-THEM"
    (batch,) = asyncio.run(_all(feed))
    assert batch[0].source == "fix:ME-THEM"
    assert parse_address("jsonl:-?silence=2").number("silence", 0) == 2


def test_a_feed_speaks_by_the_calendar_that_its_address_names():
    assert feed_calendar("jsonl:-", START) == "24/7"
    assert feed_calendar("amqp:quotes?calendar=vn", START) == "HOSE", "a market's"
    assert feed_calendar("synthetic:1?calendar=XNYS", START) == "XNYS"
    with pytest.raises(BadInput, match="There is no calendar 'moon'"):
        feed_calendar("csv:-?calendar=moon", START)


async def _all(feed):
    return [batch async for batch in feed.run()]
