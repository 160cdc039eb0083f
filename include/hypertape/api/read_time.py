"""Indicators that are computed when somebody asks for them: `ema=12,26`, `indicators=rsi14`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hypertape.errors import BadInput
from hypertape.indicators import columns_at_read, indicators_at_read
from hypertape.model import Market

if TYPE_CHECKING:
    from hypertape.api.bar_chunks import BarSlice
    from hypertape.api.bar_query import BarQuery

MOST = 10
"""Indicators by name in one query."""


def read_indicators(text: str | None) -> tuple[str, ...]:
    """Read names of indicators. Raises BadInput for one that nobody knows, with those there are."""
    names = tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    if len(names) > MOST:
        raise BadInput(f"{len(names)} indicators are more than {MOST}", next_step="Ask for some at a time.")
    columns_at_read(names)
    return names


def more_columns(emas: Sequence[int], indicators: Sequence[str]) -> tuple[str, ...]:
    """The columns of what was asked for, each once."""
    return tuple(dict.fromkeys((*ema_columns(emas), *columns_at_read(indicators))))


def ema_columns(emas: Sequence[int]) -> tuple[str, ...]:
    """`ema12`, `ema26`."""
    return tuple(f"ema{n}" for n in emas)


def with_indicators(
    slices: Iterable[BarSlice], query: BarQuery, market: Market, ticker: str
) -> Iterator[BarSlice]:
    """A whole series with the indicators that were asked for by name, of prices in the unit of the answer."""
    from hypertape.api.bar_chunks import BarSlice, in_legacy_unit  # noqa: PLC0415 (it reads queries)

    kept = list(slices)
    if not kept:
        return
    columns = {name: np.concatenate([bars.columns[name] for bars in kept]) for name in kept[0].columns}
    bars = BarSlice(np.concatenate([bars.time for bars in kept]), columns)
    read = in_legacy_unit(bars, market, ticker) if query.legacy else bars
    found = indicators_at_read(query.indicators, read.columns)
    yield BarSlice(bars.time, {**{name: found[name] for name in found}, **columns})
