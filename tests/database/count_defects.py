"""Count the defects of bar files in plain Python, without the product: the answer its report is held to.

    python tests/database/count_defects.py DIRECTORY

A directory holds one directory per ticker with 1D.csv, 1h.csv or 1m.csv. The sessions are the dates of VNINDEX's days:
the index has a bar whenever anything trades. Each ticker is judged between its own first and last good bar.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

NAMES = {"1d": "1D.csv", "1h": "1h.csv", "1m": "1m.csv"}
DAILY_LIMIT = 0.16
WITHIN_A_DAY = {"1d": 1.0, "1h": 0.75, "1m": 0.5}
"""Share of the daily limit that a close may move between two bars of one day."""


@dataclass
class Defects:
    """What is wrong with one file; times are as written."""

    rows: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # what is impossible about it, by time
    repeated: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)  # open or close outside the range
    untraded: list[str] = field(default_factory=list)
    jumps: list[str] = field(default_factory=list)

    @property
    def good(self) -> int:
        return self.rows - len(self.refused) - len(self.repeated)


def count(directory: Path) -> dict[str, dict[str, Defects]]:
    """The defects of every file: interval → ticker → Defects."""
    sessions = sorted({row["time"][:10] for row in _rows(directory / "VNINDEX" / NAMES["1d"])})
    return {
        interval: {
            path.parent.name: defects(_rows(path), interval, sessions)
            for path in sorted(directory.glob(f"*/{name}"))
        }
        for interval, name in NAMES.items()
    }


def defects(rows: list[dict[str, str]], interval: str, sessions: list[str]) -> Defects:
    """Judge the rows of one file. Of rows with the same time the last one counts."""
    found = Defects(len(rows))
    last = {row["time"]: row for row in rows}
    found.repeated = sorted({row["time"] for row in rows if row is not last[row["time"]]})
    good = []
    for time, row in sorted(last.items()):
        if fault := _fault(row):
            found.refused[time] = fault
        else:
            good.append((time, float(row["close"]), float(row["volume"])))
            found.flagged += [time] if _outside(row) else []
    days = {time[:10] for time, _, _ in good}
    found.missing = [day for day in sessions if good[0][0][:10] < day < good[-1][0][:10] and day not in days]
    found.untraded = [time for time, _, volume in good if volume == 0]
    for (before, old, _), (time, new, _) in pairwise(good):
        same_day = before[:10] == time[:10]
        if abs(new / old - 1) > DAILY_LIMIT * (WITHIN_A_DAY[interval] if same_day else 1.0):
            found.jumps.append(time)
    return found


def _fault(row: dict[str, str]) -> str:
    opened, high, low, close = (float(row[name]) for name in ("open", "high", "low", "close"))
    if min(opened, high, low, close) <= 0:
        return "no price"
    if float(row["volume"]) < 0:
        return "negative volume"
    return "high below low" if high < low else ""


def _outside(row: dict[str, str]) -> bool:
    """An open or close outside the range: such days are kept as they are, and told of."""
    opened, high, low, close = (float(row[name]) for name in ("open", "high", "low", "close"))
    return low - min(opened, close) > 1e-9 * low or max(opened, close) - high > 1e-9 * high


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


if __name__ == "__main__":
    found = count(Path(sys.argv[1]))
    json.dump(
        {i: {t: asdict(d) for t, d in files.items()} for i, files in found.items()}, sys.stdout, indent=1
    )
