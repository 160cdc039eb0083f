"""Corporate actions on their way in: tables of them, and the refusal of what cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hypertape.frame import TIME_TYPE, Floats, Micros, floats_of, times_of
from hypertape.sources._protocol import REFUSED_ACTION_SCHEMA

if TYPE_CHECKING:
    from hypertape.sources._collect import TickerAnswer

CASH = {"dividends": "dividend", "capital_gains": "capital_gain"}
"""Tables of what is paid in cash, and the kind of their actions."""


@dataclass(frozen=True, slots=True)
class RefusedAction:
    """An action that is not kept: on which date, of which kind (dividend, capital_gain, split), its value and why."""

    time: datetime | None
    kind: str
    value: float
    reason: str


def action_table(
    ticker: str, times: Sequence[datetime], values: Sequence[float], schema: pa.Schema
) -> pa.Table:
    """A table of actions of one ticker; `schema` says which."""
    columns = [
        pa.array([ticker] * len(times), pa.string()),
        pa.array(times, TIME_TYPE),
        pa.array(values, pa.float64()),
    ]
    return pa.table(columns, schema=schema)


def refused_table(ticker: str, refused: Iterable[RefusedAction]) -> pa.Table:
    """A table of refused actions of one ticker."""
    rows = [
        {"ticker": ticker, "time": one.time, "kind": one.kind, "value": one.value, "reason": one.reason}
        for one in refused
    ]
    return pa.Table.from_pylist(rows, schema=REFUSED_ACTION_SCHEMA)


def refuse_impossible(answer: TickerAnswer) -> TickerAnswer:
    """Refuse cash that is no amount or not less than the share cost before it: nobody pays out more than the price."""
    changed = {}
    refused: list[pa.Table] = [answer.refused_actions]
    times, closes = _closes(answer.bars)
    for name, kind in CASH.items():
        table: pa.Table = getattr(answer, name)
        if len(table) == 0:
            continue
        reasons = [_reason(row["amount"], _close_before(times, closes, at)) for row, at in _at(table)]
        keep = pa.array([reason is None for reason in reasons])
        changed[name] = table.filter(keep)
        refused += [
            refused_table(row["ticker"], [RefusedAction(row["time"], kind, row["amount"], reason)])
            for (row, _), reason in zip(_at(table), reasons, strict=True)
            if reason is not None
        ]
    return replace(answer, **changed, refused_actions=pa.concat_tables(refused)) if changed else answer


def _at(table: pa.Table) -> list[tuple[dict[str, Any], int]]:
    return list(zip(table.to_pylist(), times_of(table).tolist(), strict=True))


def _closes(bars: pa.Table) -> tuple[Micros, Floats]:
    """The times and closes of the bars that have one, by time."""
    times, closes = times_of(bars), floats_of(bars, "close")
    usable = np.isfinite(closes) & (closes > 0)
    order = np.argsort(times[usable], kind="stable")
    return times[usable][order], closes[usable][order]


def _close_before(times: Micros, closes: Floats, at: int) -> float | None:
    """The last close before an instant, else the first after it; None where there is no bar."""
    if len(times) == 0:
        return None
    return float(closes[max(0, int(np.searchsorted(times, at)) - 1)])


def _reason(amount: float, close: float | None) -> str | None:
    if not math.isfinite(amount) or amount <= 0:
        return f"{amount:g} is no amount"
    if close is not None and amount >= close:
        return f"{amount:g} is not less than the close of {close:g} before it"
    return None
