"""The numbered conversation of FIX 4.4: who may speak, what is missing, and that the other side is alive.

Source: FIX 4.4, volume 2, "Session protocol". Numbers count every message of a direction. One that is too high means
that some are missing: they are asked for again (ResendRequest), and what came after them is held back so that books
are built in order. What the other side does not resend (a gap fill, or no answer) stays an open gap: it may
have skipped quotes. One that is too low and no repeat breaks the session.

| type | what |
|---|---|
| A 5 | logon, logout |
| 0 1 | heartbeat, test request |
| 2 4 | resend request, sequence reset (gap fill or reset) |
| 3 | reject |
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypertape.errors import FeedRefused
from hypertape.stream.feeds._fix_wire import Message, Tag, Value, encode

log = logging.getLogger("hypertape.stream.fix")

ADMINISTRATIVE = frozenset((b"0", b"1", b"2", b"3", b"4", b"5", b"A"))
MOST_HELD = 10_000
"""Messages that wait behind missing ones; with more the missing ones are given up."""


class Broken(Exception):
    """The session cannot go on; the feed connects anew. `silent`: nothing was heard for too long."""

    def __init__(self, why: str, *, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


@dataclass(frozen=True)
class Identity:
    """Who speaks with whom; `user` and `password` go into the logon where there are some."""

    sender: str
    target: str
    sender_sub: str = ""
    target_sub: str = ""
    user: str = ""
    password: str = ""
    heartbeat: int = 30


@dataclass
class Progress:
    """What a message brought: messages to be read in order, and what is known of missing numbers.

    `again` are repetitions of messages that came already. `missing` is a span that was left out, `settled` one
    that is over, with the numbers of it that never came.
    """

    deliver: list[Message] = field(default_factory=list)
    again: list[Message] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    settled: list[tuple[int, int, int]] = field(default_factory=list)


class Session:
    """One conversation; it survives a connection, so that the next one can go on where the last stopped.

    `send` writes bytes; `clock` gives microseconds since 1970, `monotonic` seconds.
    """

    def __init__(self, identity: Identity, clock: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self.identity, self._clock, self._monotonic = identity, clock, monotonic
        self.expected, self._next = 1, 1
        self.send: Callable[[bytes], None] = lambda data: None
        self.logged_on = False
        self.resets = 0
        """How often a side began to count anew: what was missing then is never sent again."""
        self._held: dict[int, Message] = {}
        self._span: tuple[int, int] | None = None
        self._lost = 0
        self._asked_at = self._heard = self._said = monotonic()
        self._test_at: float | None = None
        self._sent: dict[int, tuple[str, list[tuple[int, Value]], str]] = {}

    # --- what we say

    def logon(self, *, reset: bool) -> None:
        """Begin; with `reset` both sides count from 1 again."""
        self.logged_on, self._test_at = False, None
        self._heard = self._monotonic()
        self._span, self._lost = None, 0  # what was asked for on the last connection is asked for again
        if reset:
            self.expected, self._next, self.resets = 1, 1, self.resets + 1
            self._forget()
        fields: list[tuple[int, Value]] = [(Tag.ENCRYPT, 0), (Tag.HEARTBEAT, self.identity.heartbeat)]
        if reset:
            fields.append((Tag.RESET, "Y"))
        if self.identity.user:
            fields += [(Tag.USER, self.identity.user), (Tag.PASSWORD, self.identity.password)]
        self.say("A", fields)

    def say(self, kind: str, fields: list[tuple[int, Value]]) -> None:
        """Send a message with the next number; those that are not administrative can be sent again."""
        number, self._next = self._next, self._next + 1
        sent_at = _fix_time(self._clock())
        if kind.encode() not in ADMINISTRATIVE:
            self._sent[number] = kind, fields, sent_at
        self._write(kind, number, [(Tag.SENDING_TIME, sent_at)], fields)

    def keep_alive(self) -> None:
        """Send a heartbeat when nothing else was sent for its interval."""
        if self.logged_on and self._monotonic() - self._said >= self.identity.heartbeat:
            self.say("0", [])

    def on_time(self, reading_since: float) -> Progress:
        """Notice what did not come: a test request after silence, then Broken; missing numbers are given up.

        Only time during which we listened counts (`reading_since`, by the monotonic clock).
        """
        now, beat = self._monotonic(), self.identity.heartbeat
        quiet = now - max(self._heard, reading_since)
        if self._test_at is not None and now - max(self._test_at, reading_since) > beat:
            raise Broken(f"no answer to a test request in {beat} s", silent=True)
        if self.logged_on and self._test_at is None and quiet > 1.2 * beat:
            self._test_at = now
            self.say("1", [(Tag.TEST_ID, f"T{self._next}")])
        if not self.logged_on and quiet > 10:
            raise Broken("no answer to the logon in 10 s", silent=True)
        progress = Progress()
        if self._span and now - self._asked_at > max(beat, 1):
            self._give_up(progress)
        return progress

    # --- what we hear

    def receive(self, message: Message) -> Progress:
        """Take a message. Raises Broken where the session cannot go on, FeedRefused for a logon that is refused."""
        self._heard, self._test_at = self._monotonic(), None
        progress = Progress()
        self._check_parties(message)
        if message.kind == b"4" and message.values.get(Tag.GAP_FILL) != b"Y":
            self._reset(message, progress)
            return progress
        if message.kind == b"A":
            self._logged_on(message)
        elif not self.logged_on and message.kind != b"5":
            raise Broken("a message came before the logon")
        if message.kind in (b"1", b"2", b"5"):
            self._answer(message)
        if message.sequence < self.expected:
            self._too_low(message, progress)
        else:
            self._held[message.sequence] = message
            self._drain(progress)
        return progress

    def _check_parties(self, message: Message) -> None:
        theirs = message.text(Tag.SENDER), message.text(Tag.TARGET)
        if theirs != (self.identity.target, self.identity.sender):
            raise Broken(f"a message from {theirs[0]!r} to {theirs[1]!r} came on our connection")

    def _logged_on(self, message: Message) -> None:
        if message.values.get(Tag.RESET) == b"Y":
            self.expected, self.resets = message.sequence, self.resets + 1
            self._forget()
        self.logged_on = True

    def _answer(self, message: Message) -> None:
        if message.kind == b"1":
            self.say("0", [(Tag.TEST_ID, message.values.get(Tag.TEST_ID, b""))])
        elif message.kind == b"2":
            self._resend(message.number(Tag.BEGIN_SEQ_NO) or 1, message.number(Tag.END_SEQ_NO) or 0)
        elif not self.logged_on:
            raise FeedRefused(f"The FIX logon is refused: {message.text(Tag.TEXT) or 'no reason given'}")
        else:
            raise Broken(f"logged out: {message.text(Tag.TEXT) or 'no reason given'}")

    def _too_low(self, message: Message, progress: Progress) -> None:
        if message.is_repeat:
            progress.again.append(message)
        elif message.kind != b"A":
            why = f"number {message.sequence} came where {self.expected} was due"
            self.say("5", [(Tag.TEXT, f"MsgSeqNum too low: {why}")])
            raise Broken(why)

    def _drain(self, progress: Progress) -> None:
        """Hand out what is in order, and ask for what is missing before the rest."""
        while self.expected in self._held:
            message = self._held.pop(self.expected)
            following = message.number(Tag.NEW_SEQ_NO) if message.kind == b"4" else None
            if following is not None and following > self.expected:
                self._skip(following, progress, repeat=message.is_repeat)
            else:
                self.expected += 1
            progress.deliver.append(message)
            if self._span and self.expected > self._span[1]:
                self._settle(progress)
        if self._held and self._span is None:
            self._ask(progress)
        elif len(self._held) > MOST_HELD:
            self._give_up(progress)

    def _ask(self, progress: Progress) -> None:
        self._span = self.expected, min(self._held) - 1
        self._asked_at = self._monotonic()
        progress.missing.append(self._span)
        self.say("2", [(Tag.BEGIN_SEQ_NO, self._span[0]), (Tag.END_SEQ_NO, self._span[1])])

    def _skip(self, following: int, progress: Progress, *, repeat: bool) -> None:
        """Go on at a later number: what lies between is not sent again, whatever it was."""
        if self._span is None:
            first = self.expected if repeat else self.expected + 1  # an unasked one has a number of its own
            if first < following:
                progress.missing.append((first, following - 1))
                progress.settled.append((first, following - 1, following - first))
        else:
            self._lost += min(following, self._span[1] + 1) - self.expected
        self.expected = following
        for number in [number for number in self._held if number < following]:
            progress.deliver.append(self._held.pop(number))

    def _settle(self, progress: Progress) -> None:
        assert self._span is not None
        progress.settled.append((*self._span, self._lost))
        self._span, self._lost = None, 0

    def _give_up(self, progress: Progress) -> None:
        assert self._span is not None
        self._lost += self._span[1] + 1 - self.expected
        self.expected = self._span[1] + 1
        self._settle(progress)
        self._drain(progress)

    def _reset(self, message: Message, progress: Progress) -> None:
        """A reset, not a gap fill: numbers go on where it says, and what was missing never comes."""
        following = message.number(Tag.NEW_SEQ_NO)
        if following is None or following < self.expected:
            self.say("3", [(45, message.sequence), (371, Tag.NEW_SEQ_NO), (373, 5)])
            return
        if self._span or following > self.expected:
            first = self.expected
            if self._span is None:
                progress.missing.append((first, following - 1))
                self._span = first, following - 1
            self._lost += following - first
            self._settle(progress)
        self.expected = following
        progress.deliver += [self._held.pop(number) for number in sorted(self._held) if number < following]
        self._drain(progress)

    def _resend(self, first: int, last: int) -> None:
        """Send again what they missed: what asked for data as it was, all else as a gap fill."""
        last = min(last or self._next - 1, self._next - 1)
        number = first
        while number <= last:
            if number in self._sent:
                kind, fields, at = self._sent[number]
                head = [
                    (Tag.POSS_DUP, "Y"),
                    (Tag.SENDING_TIME, _fix_time(self._clock())),
                    (Tag.ORIGINAL_TIME, at),
                ]
                self._write(kind, number, head, fields)
                number += 1
                continue
            following = min((n for n in self._sent if n > number), default=last + 1)
            following = min(following, last + 1)
            head = [(Tag.POSS_DUP, "Y"), (Tag.SENDING_TIME, _fix_time(self._clock()))]
            self._write("4", number, head, [(Tag.GAP_FILL, "Y"), (Tag.NEW_SEQ_NO, following)])
            number = following

    def _write(
        self, kind: str, number: int, head: list[tuple[int, str]], fields: list[tuple[int, Value]]
    ) -> None:
        known = self.identity
        parties: list[tuple[int, Value]] = [(Tag.SENDER, known.sender), (Tag.TARGET, known.target)]
        subs = ((Tag.SENDER_SUB, known.sender_sub), (Tag.TARGET_SUB, known.target_sub))
        parties += [(tag, text) for tag, text in subs if text]
        self._said = self._monotonic()
        self.send(encode(kind, [*parties, (Tag.SEQUENCE, number), *head, *fields]))

    def _forget(self) -> None:
        self._held.clear()
        self._sent.clear()
        self._span, self._lost = None, 0


def _fix_time(micros: int) -> str:
    at = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{at:%Y%m%d-%H:%M:%S}.{micros % 1_000_000 // 1000:03}"
