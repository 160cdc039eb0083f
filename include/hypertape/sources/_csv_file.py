"""One bar file of the documents' CSV format, read so that a bad cell costs its row and nothing else.

A typed parse of the whole file comes first. Only when it fails are the lines split as text and the good ones
told from the bad ones, by the same conversions: a row means the same on either way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hypertape.cells import shown
from hypertape.errors import BadInput, SourceFileEmpty, SourceSchemaChanged
from hypertape.frame import BAR_SCHEMA, TIME_TYPE, empty_rejects, instant, reject_frame
from hypertape.model import INDICATOR_COLUMNS, PRICE_COLUMNS

CELLS = ("ticker", "time", *PRICE_COLUMNS, "volume")
"""The columns that are read. The 13 indicators may follow; they are computed anew downstream."""

LONGEST_ROW = 2_000
"""Characters kept of a rejected line."""

_HEADERS = (CELLS, (*CELLS, *INDICATOR_COLUMNS))
_NUMBERS = CELLS[2:]
_NAIVE = pa.timestamp("us")
_QUOTED_CELL = re.compile(rb'(?<![^,\n])"([^",\n]*)"(?![^,\n])')
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a file holds, in its order.

    `bars` is a frame.BAR_SCHEMA table (adjusted_close null), `rejects` a frame.REJECT_SCHEMA table. `rows_in` counts
    the lines that are not blank, before anybody looked at them: each is one of the two.
    """

    bars: pa.Table
    rejects: pa.Table
    rows_in: int


def parse_stream(
    file: BinaryIO, ticker: str, *, session_zone: str | None = None, at_once: int
) -> Iterator[ParsedFile]:
    """Read one bar file piece by piece, about `at_once` bytes of whole lines at a time; otherwise like `parse`."""
    piece = file.read(at_once) + file.readline()
    header = _plain_text(piece).partition(b"\n")[0]
    first_line = 2
    yield parse(piece, ticker, session_zone=session_zone)
    lines = piece.count(b"\n") - 1
    while piece := file.read(at_once) + file.readline():
        first_line, lines = first_line + lines, piece.count(b"\n")
        if piece.strip():
            whole = header + b"\n" + piece
            yield parse(whole, ticker, session_zone=session_zone, first_line=first_line)


def parse(data: bytes, ticker: str, *, session_zone: str | None = None, first_line: int = 2) -> ParsedFile:
    """Read one bar file.

    Times without a zone are UTC. With `session_zone` (daily files) a zoned time that is midnight there stands
    for its session date. `first_line` is the number of the line after the header, where the rest of a long file is
    read. Raises SourceFileEmpty, SourceSchemaChanged (another header), BadInput (UTF-16).
    """
    data = _plain_text(data)
    if not data.strip():
        raise SourceFileEmpty("The file is empty")
    header, _, body = data.partition(b"\n")
    names = _checked_header(header)
    if not body.strip():
        raise SourceFileEmpty("The file has a header and no rows")
    bars = _parse_typed(body, names, ticker, session_zone)
    if bars is not None:
        return ParsedFile(bars, empty_rejects(), _written_lines(body))
    return _parse_line_by_line(body, len(names), ticker, session_zone, first_line)


def _plain_text(data: bytes) -> bytes:
    """Take away the byte order mark, carriage returns and the quotes around whole cells."""
    if data.startswith(_UTF16_MARKS):
        raise BadInput("The file is UTF-16", next_step="Save it as UTF-8.")
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _QUOTED_CELL.sub(rb"\1", data) if b'"' in data else data


def _checked_header(header: bytes) -> list[str]:
    names = [name.strip() for name in header.decode("utf-8", "replace").split(",")]
    if tuple(names) not in _HEADERS:
        raise SourceSchemaChanged(
            f"The header is {shown(','.join(names))!r}, expected {','.join(CELLS)!r}",
            next_step="Export the file with that header; the 13 indicator columns may follow it.",
        )
    return names


def _parse_typed(body: bytes, names: list[str], ticker: str, session_zone: str | None) -> pa.Table | None:
    """Read a file without a fault; None when there is one."""
    for time_type in (_NAIVE, TIME_TYPE):
        try:
            table = _read_typed(body, names, time_type)
        except pa.ArrowInvalid:
            continue
        if table["time"].null_count or not pc.all(pc.equal(table["ticker"], ticker)).as_py():
            return None
        times = _as_instants(table["time"].combine_chunks(), session_zone)
        return _frame(ticker, times, {name: table[name].fill_null(np.nan) for name in _NUMBERS})
    return None


def _read_typed(body: bytes, names: list[str], time_type: pa.DataType) -> pa.Table:
    types = {"ticker": pa.string(), "time": time_type, **dict.fromkeys(_NUMBERS, pa.float64())}
    return pyarrow.csv.read_csv(
        pa.BufferReader(body),
        read_options=pyarrow.csv.ReadOptions(column_names=names),
        parse_options=pyarrow.csv.ParseOptions(quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=list(CELLS), null_values=[""], strings_can_be_null=False
        ),
    )


def _parse_line_by_line(
    body: bytes, width: int, ticker: str, session_zone: str | None, first_line: int
) -> ParsedFile:
    lines = pa.array(body.decode("utf-8", "replace").split("\n"), pa.string())
    numbers = pa.array(np.arange(first_line, len(lines) + first_line))
    written = pc.not_equal(pc.utf8_trim_whitespace(lines), "")
    lines, numbers = lines.filter(written), numbers.filter(written)
    split = pc.split_pattern(lines, ",")
    whole = pc.equal(pc.list_value_length(split), width)
    cells = _columns(split.filter(whole), width)
    ragged = pc.invert(whole)
    good, bars, rejected = _convert(cells, numbers.filter(whole), ticker, session_zone)
    rejected += [
        _ragged(line, number, width, ticker, session_zone)
        for line, number in zip(
            lines.filter(ragged).to_pylist(), numbers.filter(ragged).to_pylist(), strict=True
        )
    ]
    return ParsedFile(bars.filter(good), reject_frame(rejected), _written_lines(body))


def _written_lines(body: bytes) -> int:
    return sum(1 for line in body.split(b"\n") if line.strip())


def _columns(split: Any, width: int) -> dict[str, Any]:
    flat = split.flatten()
    return {name: flat.take(pa.array(np.arange(at, len(flat), width))) for at, name in enumerate(CELLS)}


def _convert(
    cells: dict[str, Any], lines: Any, ticker: str, session_zone: str | None
) -> tuple[Any, pa.Table, list[tuple[Any, ...]]]:
    """Return the mask of good rows, all rows as bars, and the bad ones as reject tuples."""
    times = _times(cells["time"], session_zone)
    values = {name: _floats(cells[name]) for name in _NUMBERS}
    faults = [("ticker", "wrong_ticker", pc.not_equal(cells["ticker"], ticker))]
    faults.append(("time", "bad_time", pc.is_null(times)))
    faults += [(name, "text_in_number", bad) for name, (_, bad) in values.items()]
    rejected: list[tuple[Any, ...]] = []
    good = np.ones(len(times), bool)
    for name, rule, mask in faults:
        bad = np.asarray(mask) & good
        rejected += [
            _reject(cells, lines, row, ticker, times, rule, name) for row in np.flatnonzero(bad).tolist()
        ]
        good &= ~bad
    return (
        pa.array(good),
        _frame(ticker, times, {name: column for name, (column, _) in values.items()}),
        rejected,
    )


def _reject(
    cells: dict[str, Any], lines: Any, row: int, ticker: str, times: Any, rule: str, name: str
) -> tuple[Any, ...]:
    content = {column: shown(cells[column][row].as_py()) for column in CELLS}
    line = json.dumps({"line": lines[row].as_py(), **content}, ensure_ascii=False)
    return ticker, _aware(times[row]), rule, content[name], line


def _ragged(line: str, number: int, width: int, ticker: str, session_zone: str | None) -> tuple[Any, ...]:
    fields = line.split(",")
    time = _times(pa.array(fields[1:2], pa.string()), session_zone)
    row = json.dumps({"line": number, "text": shown(line, LONGEST_ROW)}, ensure_ascii=False)
    fault = f"{len(fields)} fields, expected {width}"
    return ticker, _aware(time[0]) if len(time) else None, "wrong_field_count", fault, row


def _times(texts: Any, session_zone: str | None) -> Any:
    """Convert times, null where the text is none."""
    naive = _cast_where_possible(texts, _NAIVE)
    if naive.null_count == 0:
        return _as_instants(naive, session_zone)
    zoned = _as_instants(_cast_where_possible(texts, TIME_TYPE), session_zone)
    return pc.coalesce(_as_instants(naive, session_zone), zoned)


def _as_instants(times: Any, session_zone: str | None) -> Any:
    """Make UTC instants of naive (UTC) or zoned times."""
    if times.type.tz is None:
        return times.cast(TIME_TYPE)
    if session_zone is None:
        return times
    local = pc.local_timestamp(times.cast(pa.timestamp("us", session_zone)))
    is_midnight = pc.equal(local, pc.floor_temporal(local, unit="day"))
    return pc.if_else(is_midnight, local.cast(TIME_TYPE), times)


def _floats(texts: Any) -> tuple[Any, Any]:
    """Convert numbers. Returns values (NaN where the cell is empty) and the mask of cells that are no
    numbers."""
    trimmed = pc.ascii_trim_whitespace(texts)
    is_empty = pc.equal(trimmed, "")
    values = _cast_where_possible(trimmed, pa.float64())
    return values.fill_null(np.nan), pc.and_not(pc.is_null(values), is_empty)


def _cast_where_possible(texts: Any, kind: pa.DataType) -> Any:
    """Cast text, null where it does not convert."""
    distinct = texts.dictionary_encode()
    converted = pa.concat_arrays([pa.nulls(0, kind), *_cast_pieces(distinct.dictionary, kind)])
    return converted.take(distinct.indices)


def _cast_pieces(texts: Any, kind: pa.DataType) -> list[Any]:
    """Halve what does not convert as a whole until the culprits stand alone."""
    try:
        return [texts.cast(kind)]
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return [pa.nulls(1, kind)]
        half = len(texts) // 2
        return [*_cast_pieces(texts[:half], kind), *_cast_pieces(texts[half:], kind)]


def _frame(ticker: str, times: Any, values: dict[str, Any]) -> pa.Table:
    columns = [pa.repeat(ticker, len(times)), times, *(values[name] for name in _NUMBERS)]
    return pa.table([*columns, pa.nulls(len(times), pa.float64())], schema=BAR_SCHEMA)


def _aware(time: Any) -> Any:
    return instant(time.value) if time.is_valid else None
