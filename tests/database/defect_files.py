"""Made-up bar files with one kind of defect each, so that the defect tests mean something without the real files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

Row = list[str]

HEADER = "ticker,time,open,high,low,close,volume"
FIRST, LAST = date(2024, 9, 3), date(2025, 8, 25)
HOURS = ("03:00:00", "04:00:00", "06:00:00", "07:00:00")


def write_defect_files(root: Path, sessions: Sequence[date]) -> None:
    """One directory per made-up ticker; every name begins with MADE. `sessions` are the dates that trade."""
    days = [day for day in sessions if FIRST <= day <= LAST]
    for ticker, spoil in DEFECTS.items():
        chance = random.Random(ticker)
        _write(root / ticker / "1D.csv", spoil(_walk(ticker, [str(day) for day in days], chance, 1.0)))
        hours = [f"{day} {hour}" for day in days[-60:] for hour in HOURS]
        _write(root / ticker / "1h.csv", spoil(_walk(ticker, hours, chance, 0.3)))
        minutes = [f"{day} {2 + at // 60:02}:{at % 60:02}:00" for day in days[-5:] for at in range(15, 135)]
        _write(root / ticker / "1m.csv", spoil(_walk(ticker, minutes, chance, 0.05)))


def write_index(root: Path, sessions: Sequence[date]) -> None:
    """An index without a defect, for where the real one is not there."""
    days = [str(day) for day in sessions if FIRST - timedelta(days=30) <= day <= LAST]
    _write(root / "VNINDEX" / "1D.csv", _walk("VNINDEX", days, random.Random("VNINDEX"), 1.0))


def _walk(ticker: str, times: Sequence[str], chance: random.Random, spread: float) -> list[Row]:
    rows, close = [], 40.0
    for time in times:
        opened, close = close, round(close * (1 + chance.uniform(-0.02, 0.02) * spread), 2)
        high, low = round(max(opened, close) * 1.004, 2), round(min(opened, close) * 0.996, 2)
        rows.append([ticker, time, *map(str, (opened, high, low, close, chance.randint(10, 900) * 100))])
    return rows


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *(",".join(row) for row in rows)]) + "\n")


def _impossible(rows: list[Row]) -> list[Row]:
    for at in range(7, len(rows) - 1, 31):
        rows[at][3], rows[at][4] = rows[at][4], rows[at][3]  # high and low change places
    rows[11][5] = str(float(rows[11][3]) + 1)  # a close above the high
    return rows


def _holes(rows: list[Row]) -> list[Row]:
    days = sorted({row[1][:10] for row in rows})
    gone = {*days[2:4], days[len(days) // 2], *days[-4:-3]}
    return [row for row in rows if row[1][:10] not in gone]


def _untraded(rows: list[Row]) -> list[Row]:
    for at in range(5, len(rows), 17):
        rows[at][6] = "0"
    return rows


def _jumps(rows: list[Row]) -> list[Row]:
    for at in (20, 60, 61):
        for row in rows[at:]:
            row[2:6] = [str(round(float(price) * 1.25, 2)) for price in row[2:6]]
    return rows


def _repeated(rows: list[Row]) -> list[Row]:
    stale = [*rows[30][:6], "1"]
    return [*rows[:30], stale, *rows[30:]]


DEFECTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "MADEORDER": _impossible,
    "MADEHOLES": _holes,
    "MADEZERO": _untraded,
    "MADEJUMPS": _jumps,
    "MADETWICE": _repeated,
    "MADESOUND": lambda rows: rows,
}
