"""Market data messages to ticks: the best bid and ask of each symbol, and the instruments of a security list.

| type | what |
|---|---|
| W | snapshot: replaces the book of its symbol |
| X | increments: new, changed and deleted entries, each with its symbol |
| y | security list: 55 symbol or id, 1007 name, 107 description, 1008 digits, 969 tick size, 231 contract size |

An entry is known by its 278 where it has one, else by its side. Trades (269=2) and other kinds of entries are
left out. A tick's time is that of its newest entry (272 and 273) or of the message (52), its sequence the
number of the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypertape.stream.feeds._fix_wire import Message, Tag
from hypertape.stream.model import SymbolInfo, Tick
from hypertape.stream.record import BadRecord, micros_of, price_of, symbol_of, units_of

BID, ASK = b"0", b"1"
_NEW, _CHANGE, _DELETE = b"0", b"1", b"2"

Entry = dict[int, bytes]


@dataclass
class _Book:
    bids: dict[bytes, tuple[int, int | None]] = field(default_factory=dict)
    asks: dict[bytes, tuple[int, int | None]] = field(default_factory=dict)

    def best(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Best bid and ask with their volumes; None where a side is empty."""
        bid, bid_volume = max(self.bids.values(), key=lambda level: level[0], default=(None, None))
        ask, ask_volume = min(self.asks.values(), key=lambda level: level[0], default=(None, None))
        return bid, ask, bid_volume, ask_volume


class Books:
    """The books of a connection. `names` maps what messages call a symbol to its name, as the security list says."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._books: dict[str, _Book] = {}
        self.names: dict[str, str] = {}

    def clear(self) -> None:
        """Forget the books: a new connection begins with snapshots."""
        self._books.clear()

    def ticks(self, message: Message, *, late: bool = False) -> list[Tick]:
        """Read W or X. `late`: it came before already, so a snapshot is a tick of then and changes no book of now.

        Raises BadRecord; the book stays as it was then.
        """
        if message.kind == b"W":
            symbol = self._name(message.values)
            book = _Book()
            entries = list(_entries(message, Tag.ENTRY_TYPE))
            for entry in entries:
                _put(book, entry, _NEW)
            if not late:
                self._books[symbol] = book
            return self._tick(message, symbol, book, entries)
        return [] if late else self._increment(message)

    def _increment(self, message: Message) -> list[Tick]:
        changed: dict[str, tuple[_Book, list[Entry]]] = {}
        last = ""
        for entry in _entries(message, Tag.ACTION):
            symbol = last = self._name(entry) if Tag.SYMBOL in entry else last
            if symbol not in changed:
                book = self._books.get(symbol, _Book())
                changed[symbol] = _Book(dict(book.bids), dict(book.asks)), []
            _put(changed[symbol][0], entry, entry[Tag.ACTION])
            changed[symbol][1].append(entry)
        found = [
            tick
            for symbol, (book, entries) in changed.items()
            for tick in self._tick(message, symbol, book, entries)
        ]
        self._books.update({symbol: book for symbol, (book, _) in changed.items()})
        return found

    def _tick(self, message: Message, symbol: str, book: _Book, entries: list[Entry]) -> list[Tick]:
        bid, ask, bid_volume, ask_volume = book.best()
        if (bid is None and ask is None) or not any(
            e.get(Tag.ENTRY_TYPE) in (BID, ASK, None) for e in entries
        ):
            return []
        time = max(_time(message, entry) for entry in entries)
        return [Tick(symbol, time, message.sequence, bid, ask, bid_volume, ask_volume, self._source)]

    def _name(self, fields: Entry) -> str:
        try:
            given = fields[Tag.SYMBOL].decode("utf-8")
        except (KeyError, UnicodeDecodeError) as error:
            raise BadRecord("there is no readable symbol (55)") from error
        return symbol_of(self.names.get(given, given))

    def instruments(self, message: Message) -> tuple[list[SymbolInfo], list[str]]:
        """Read a security list: the instruments, and what is wrong with those that cannot be used. Learns
        their names.
        """
        found, wrong = [], []
        for entry in _entries(message, Tag.SYMBOL):
            try:
                given = entry[Tag.SYMBOL].decode("utf-8", "replace")
                name = entry.get(Tag.NAME, entry[Tag.SYMBOL]).decode("utf-8", "replace")
                digits = entry.get(Tag.DIGITS, b"")
                description = entry.get(Tag.DESCRIPTION)
                info = SymbolInfo(
                    symbol_of(name),
                    description.decode("utf-8", "replace") if description else None,
                    int(digits) if digits.isdigit() and len(digits) < 3 else None,
                    price_of("tick size", entry.get(Tag.INCREMENT)),
                    price_of("contract size", entry.get(Tag.MULTIPLIER)),
                )
            except BadRecord as error:
                wrong.append(str(error))
                continue
            self.names[given] = info.symbol
            found.append(info)
        return found, wrong

    def wire_name(self, symbol: str) -> str:
        """What messages call a symbol."""
        return next((wire for wire, name in self.names.items() if name == symbol), symbol)


def _entries(message: Message, first: int) -> Iterator[Entry]:
    """The entries of the message's repeating group: each begins with the same field."""
    entry: Entry | None = None
    for tag, value in message.fields:
        if tag == first:
            if entry is not None:
                yield entry
            entry = {tag: value}
        elif entry is not None:
            entry.setdefault(tag, value)
    if entry is not None:
        yield entry


def _put(book: _Book, entry: Entry, action: bytes) -> None:
    side, known = entry.get(Tag.ENTRY_TYPE), entry.get(Tag.ENTRY_ID)
    if action == _DELETE:
        for levels in (book.bids, book.asks) if side is None else (_levels(book, side),):
            if levels is not None:
                levels.pop(known or side or b"", None)
        return
    if action not in (_NEW, _CHANGE):
        raise BadRecord(f"update action (279) {action!r} is none of 0, 1, 2")
    levels = _levels(book, side)
    if levels is None:
        return
    price = price_of("price (270)", entry.get(Tag.PRICE))
    volume = units_of("size (271)", entry.get(Tag.SIZE))
    key = known or side or b""
    before = levels.get(key)
    if price is None and before is None:
        raise BadRecord("an entry has no price (270)")
    levels[key] = (before[0] if price is None and before else price or 0), volume


def _levels(book: _Book, side: bytes | None) -> dict[bytes, tuple[int, int | None]] | None:
    return book.bids if side == BID else book.asks if side == ASK else None


def _time(message: Message, entry: Entry) -> int:
    sent = message.text(Tag.SENDING_TIME)
    original = message.values.get(Tag.ORIGINAL_TIME)
    if message.is_repeat and original:
        sent = original.decode("utf-8", "replace")
    day, _, time = sent.partition("-")
    day = entry.get(Tag.DATE, day.encode()).decode("utf-8", "replace")
    time = entry.get(Tag.TIME, time.encode()).decode("utf-8", "replace")
    return micros_of(f"{day[:4]}-{day[4:6]}-{day[6:]}T{time}Z")
