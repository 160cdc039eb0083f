"""Storing what was not stored the first time: dead letters after the mend, and what lies in the spool."""

from __future__ import annotations

from dataclasses import dataclass

from hypertape.stream.database import DatabaseSink
from hypertape.stream.gaps import close_filled_gaps
from hypertape.stream.letters import DeadLetter, dead_letters, mark_replayed
from hypertape.stream.model import Tick
from hypertape.stream.record import BadRecord, tick_of_json
from hypertape.warehouse.connect import connect

PAGE = 1000


@dataclass
class Replayed:
    """What a replay did: letters stored, refused again, and those whose bytes are still no tick."""

    stored: int = 0
    refused: int = 0
    unreadable: int = 0
    gaps_closed: int = 0


async def replay_letters(dsn: str, database: DatabaseSink, *, source: str | None = None) -> Replayed:
    """Store the open dead letters that are ticks by now, and close the gaps that this fills.

    A letter is settled only when the database has its tick; one that is refused again stays, counted once more.
    `database` is started. Raises what keeps the database from taking ticks.
    """
    done = Replayed()
    after = 0
    while True:
        with connect(dsn) as connection:
            letters = dead_letters(connection, source=source, after=after, limit=PAGE)
        if not letters:
            break
        after = letters[-1].letter_id
        await _replay_page(dsn, database, letters, done)
    with connect(dsn) as connection:
        done.gaps_closed = len(close_filled_gaps(connection, "replay"))
    return done


async def _replay_page(dsn: str, database: DatabaseSink, letters: list[DeadLetter], done: Replayed) -> None:
    readable: dict[int, Tick] = {}
    for letter in letters:
        try:
            readable[letter.letter_id] = tick_of_json(letter.record, letter.source)
        except BadRecord:
            done.unreadable += 1
    if not readable:
        return
    await database.publish(list(readable.values()))
    await database.ticks.drained()
    times = {letter.letter_id: letter.times for letter in letters}
    with connect(dsn) as connection:
        again = dead_letters(connection, after=letters[0].letter_id - 1, limit=PAGE * 2)
        refused = {
            letter.letter_id
            for letter in again
            if letter.letter_id in readable and letter.times > times[letter.letter_id]
        } | _refused_as_tick(readable, again, times)
        settled = [letter_id for letter_id in readable if letter_id not in refused]
        mark_replayed(connection, settled)
    done.stored += len(settled)
    done.refused += len(readable) - len(settled)


def _refused_as_tick(readable: dict[int, Tick], letters: list[DeadLetter], times: dict[int, int]) -> set[int]:
    """Records that came back as letters of their tick: the tick was refused, so the record is not settled."""
    fresh: set[tuple[str, str, int, int]] = set()
    for letter in letters:
        if letter.kind == "tick" and letter.times > times.get(letter.letter_id, 0):
            try:
                fresh.add(_key(tick_of_json(letter.record, letter.source)))
            except BadRecord:
                continue
    return {letter_id for letter_id, tick in readable.items() if _key(tick) in fresh}


def _key(tick: Tick) -> tuple[str, str, int, int]:
    return tick.source, tick.symbol, tick.time, tick.sequence


async def drain_spool(database: DatabaseSink) -> tuple[int, int]:
    """Start a sink and wait until what an earlier process left is stored; return records of ticks and of notices."""
    ticks = database.ticks.status.spool_records
    notices = database.notices.status.spool_records
    await database.ticks.drained()
    await database.notices.drained()
    return ticks, notices
