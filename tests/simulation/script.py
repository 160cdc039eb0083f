"""When what befalls the tickers does, in sessions from the first on: over a year, or close together in one season.

A pair is the bounds a seed draws within. What must be far apart is: an overlap of ten bars does not reach from a
mistake to the moment at which a split or an operator lets it be seen, and healing comes after the days on which it is
in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

Bounds = tuple[int, int]


@dataclass(frozen=True)
class Script:
    """The sessions at which things begin. `told` is when old mistakes are set right, though nobody reads them then."""

    sessions: int
    deep: Bounds
    mistaken: Bounds
    mistaken_before_a_mend: Bounds
    told: int
    mend: int
    split: Bounds
    volume: int
    reverse: Bounds
    dividends: tuple[Bounds, Bounds]
    twice: tuple[int, Bounds]
    late: tuple[tuple[int, str], ...]
    halt: Bounds
    holes: tuple[Bounds, Bounds, Bounds]
    refused: Bounds
    asked: int
    listed: Bounds
    delisted: Bounds
    flaky: Bounds
    stood_in: int
    cut: int
    messy: int
    fresh: tuple[int, int, int, int, int]
    """Of the ticker that is renamed: a late close, a late volume told after the rename, a hole, the rename, a split."""
    closed: int
    outages: tuple[tuple[int, int], tuple[int, int]]
    stranded: int
    noons: tuple[int, int, int]
    """And at noon of the first split, and of the split while the vendor is away."""


YEAR = Script(
    sessions=250,
    deep=(178, 184),
    mistaken=(95, 105),
    mistaken_before_a_mend=(118, 122),
    told=150,
    mend=160,
    split=(60, 68),
    volume=100,
    reverse=(120, 130),
    dividends=((70, 74), (200, 210)),
    twice=(86, (93, 96)),
    late=((15, "close"), (52, "volume"), (53, "high"), (110, "low"), (111, "open"), (190, "every")),
    halt=(38, 42),
    holes=((48, 52), (100, 104), (168, 172)),
    refused=(72, 78),
    asked=104,
    listed=(108, 112),
    delisted=(138, 142),
    flaky=(28, 32),
    stood_in=145,
    cut=214,
    messy=131,
    fresh=(100, 123, 60, 125, 165),
    closed=155,
    outages=((85, 3), (228, 5)),
    stranded=22,
    noons=(20, 150, 225),
)

SEASON = Script(
    sessions=60,
    deep=(42, 45),
    mistaken=(3, 8),
    mistaken_before_a_mend=(4, 8),
    told=37,
    mend=46,
    split=(24, 29),
    volume=43,
    reverse=(35, 40),
    dividends=((12, 15), (46, 49)),
    twice=(32, (39, 42)),
    late=((9, "close"), (19, "volume"), (20, "high"), (35, "low"), (36, "open"), (43, "every")),
    halt=(15, 17),
    holes=((19, 22), (4, 7), (44, 46)),
    refused=(14, 19),
    asked=22,
    listed=(25, 28),
    delisted=(4, 6),
    flaky=(8, 10),
    stood_in=45,
    cut=47,
    messy=36,
    fresh=(12, 25, 8, 27, 55),
    closed=50,
    outages=((31, 3), (52, 3)),
    stranded=16,
    noons=(22, 37, 49),
)
"""Its calendar ends with its sessions; whatever befalls a ticker in a year does here as well."""
