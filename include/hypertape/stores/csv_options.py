"""How a CSV tree is written and read, apart from where it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CsvFormat(StrEnum):
    """What the numbers of a written file look like."""

    LOSSLESS = "lossless"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """`lossless` writes every double so that it reads back the same; `legacy` rounds as the documents' program did.

    With `legacy_scale` the files' prices are in the market's legacy unit (thousands for vn, indices excepted) and are
    multiplied when read, divided when written. `market` names the market of a tree without market directories. With
    `replace` a write leaves no bar of an existing file that it does not bring itself.
    """

    format: CsvFormat = CsvFormat.LOSSLESS
    legacy_scale: bool = False
    market: str | None = None
    replace: bool = False
