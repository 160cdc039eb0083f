"""The law of rows: every row that came in is a bar, a duplicate, refused, or outside of what was asked for.

Whoever reads bars from somewhere counts the rows before it looks at them, and holds its answer to the law with
`require_all`: a row that is lost is a defect of this program, and it says so instead of storing the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypertape.errors import RowsLost


@dataclass(frozen=True, slots=True)
class RowCount:
    """What became of the rows of one ticker.

    `rows_in` came in; `bars` are (or may become) bars, `duplicates` gave way to a later row of their key, `refused`
    counts rows by the rule they break, `outside` are good rows outside of the window that was asked for.
    """

    rows_in: int = 0
    bars: int = 0
    duplicates: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0

    @property
    def lost(self) -> int:
        """Rows nobody accounts for; negative where rows were made up. 0 is the law."""
        return self.rows_in - self.bars - self.duplicates - sum(self.refused.values()) - self.outside

    def __add__(self, other: RowCount) -> RowCount:
        return RowCount(
            self.rows_in + other.rows_in,
            self.bars + other.bars,
            self.duplicates + other.duplicates,
            Counter(self.refused) + Counter(other.refused),
            self.outside + other.outside,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "rows_in": self.rows_in,
            "bars": self.bars,
            "duplicates": self.duplicates,
            "refused": dict(self.refused),
            "outside": self.outside,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RowCount:
        """Read what `to_json` wrote."""
        return cls(**value)


def require_all(counts: Mapping[str, RowCount], place: str) -> None:
    """Raise RowsLost where the rows of a ticker are not all accounted for; `place` says who read them."""
    for ticker, count in counts.items():
        if count.lost:
            raise RowsLost(
                f"{place}: {count.rows_in} rows came in and {count.rows_in - count.lost} are accounted for",
                ticker=ticker,
            )
