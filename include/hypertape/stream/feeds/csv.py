"""`csv:FILE`, `csv:DIRECTORY`, `csv:-`: a header that names the columns, then a tick a line. Columns: symbol,
time, sequence, bid, ask, bid_volume, ask_volume in any order; an empty field is one that is missing. What a
field may hold: `record`.
"""

from __future__ import annotations

import csv
import io

from hypertape.errors import BadInput
from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._lines import OPTIONS as OPTIONS
from hypertape.stream.feeds._lines import HeaderLine, LineFeed
from hypertape.stream.model import Feed, Tick
from hypertape.stream.record import FIELDS, LONGEST_LINE, BadRecord, tick_of

EXAMPLE = "csv:ticks.csv"

_NEEDED = ("symbol", "time", "sequence")


def build(address: Address, config: FeedConfig) -> Feed:
    """Build the feed. Raises SourceFileMissing for a file that is not there."""
    return LineFeed(address, config, ".csv", lambda: _File(str(address)).parse)


class _File:
    """Reads the lines of one file, the header first."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._columns: list[str] | None = None

    def parse(self, line: bytes, source: str) -> Tick:
        """Read a line. Raises BadRecord; HeaderLine for the first; BadInput for a header that is none."""
        if self._columns is None:
            self._columns = self._header(line)
            raise HeaderLine
        cells = _cells(line)
        if len(cells) != len(self._columns):
            raise BadRecord(f"the line has {len(cells)} fields, the header {len(self._columns)}")
        found = {name: cell for name, cell in zip(self._columns, cells, strict=True) if cell != ""}
        for name in _NEEDED:
            if name not in found:
                raise BadRecord(f"{name} is empty")
        bid, ask, bid_volume, ask_volume = (
            found[name].encode("utf-8") if name in found else None for name in FIELDS[3:]
        )
        sequence = found["sequence"].encode("utf-8")
        return tick_of(found["symbol"], found["time"], sequence, bid, ask, bid_volume, ask_volume, source)

    def _header(self, line: bytes) -> list[str]:
        try:
            names = [name.strip() for name in _cells(line.removeprefix(b"\xef\xbb\xbf"))]
        except BadRecord as error:
            raise BadInput(f"{self._place}: the header cannot be read: {error}", next_step=_HELP) from error
        strange = [name for name in names if name not in FIELDS]
        lacking = [name for name in _NEEDED if name not in names]
        if strange or lacking or len(set(names)) != len(names):
            what = (
                f"the column {strange[0]!r}"
                if strange
                else f"no column {lacking[0]!r}"
                if lacking
                else "a column twice"
            )
            raise BadInput(f"{self._place}: the header has {what}", next_step=_HELP)
        return names


_HELP = f"The first line names the columns: {','.join(FIELDS)}."


def _cells(line: bytes) -> list[str]:
    if len(line) > LONGEST_LINE:
        raise BadRecord(f"the line has {len(line)} bytes or more; a tick has at most {LONGEST_LINE}")
    try:
        text = line.decode("utf-8")
        if '"' not in text:
            return text.split(",")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRecord(f"not a line of CSV: {error}") from error
    if len(rows) != 1:
        raise BadRecord("not a line of CSV: a quote is left open")
    return rows[0]
