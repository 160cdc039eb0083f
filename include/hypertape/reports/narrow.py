"""Tables on a narrow screen: each cell carries its column's name, so that the style can show a row as a list."""

from __future__ import annotations

import re

_TABLE = re.compile(r"<table>(.*?)</table>", re.DOTALL)
"""Plain tables; maps, which have a class, stay as they are and are scrolled."""

_HEAD = re.compile(r"<th scope=\"col\"([^>]*)>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr[^>]*>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(td|th)\b([^>]*)>")
_TAG = re.compile(r"<[^>]+>")
_SPAN = re.compile(r'colspan="(\d+)"')


def name_cells(html: str) -> str:
    """A page of ours with `data-label` on every cell of its plain tables that have a head."""
    return _TABLE.sub(lambda table: f"<table>{_named(table[1])}</table>", html)


def _named(table: str) -> str:
    head, mark, body = table.partition("<tbody>")
    columns = [_TAG.sub("", text).strip().replace('"', "&quot;") for _, text in _HEAD.findall(head)]
    return head + mark + _ROW.sub(lambda row: _of_row(row[0], columns), body) if columns else table


def _of_row(row: str, columns: list[str]) -> str:
    at = 0

    def named(cell: re.Match[str]) -> str:
        nonlocal at
        label = columns[at] if at < len(columns) else ""
        span = _SPAN.search(cell[2])
        at += int(span[1]) if span else 1
        return f'<{cell[1]}{cell[2]} data-label="{label}">'

    return _CELL.sub(named, row)
