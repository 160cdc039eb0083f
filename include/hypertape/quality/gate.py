"""The gate before every load: what cannot be a bar is set aside with the rule it breaks, and the rest goes on.

The rules and what each does: `gate_rules`. Between the rules of the key and those of the bar the frame is sorted and of
rows with the same key the last one wins, so every input row ends as a bar, as a reject, or counted as a duplicate. An
adjusted close may be missing (null; NaN becomes null), and its sign is not judged: it is the vendor's derived figure,
and refusing it would lose a true bar.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import BadInput
from hypertape.frame import (
    BAR_SCHEMA,
    REJECT_SCHEMA,
    TIME_TYPE,
    empty_rejects,
    instant,
    micros,
    normalise,
    times_of,
)
from hypertape.model import BAR_COLUMNS, Interval, Market, utc
from hypertape.quality.gate_rules import (
    BAR_RULES,
    FAIL,
    FLAG,
    KEY_RULES,
    Context,
    Row,
    Rule,
    action_of,
    bar_rules,
    is_ticker,
    mask_of,
    ticker_of,
    ticker_text,
)

__all__ = ["BAR_RULES", "KEY_RULES", "WITH_ANOTHER", "Gated", "gate", "is_ticker", "ticker_text"]

WITH_ANOTHER = "with_another"
"""Rule of the rejects that are well themselves: a row of the same answer broke a rule whose action is `fail`."""

_EARLIEST_WRITTEN, _LATEST_WRITTEN = micros(utc(1)), micros(utc(9999))


@dataclass(frozen=True, slots=True)
class Gated:
    """What the gate made of a frame.

    `bars` is clean and normalised, `rejects` has frame.REJECT_SCHEMA, `duplicates` counts by ticker the rows
    that a later row of the same key replaced (tickers without any are absent). Rows in = bars + rejects +
    duplicates.
    """

    bars: pa.Table
    rejects: pa.Table
    duplicates: dict[str, int]


def gate(frame: pa.Table, market: Market, interval: Interval, *, now: datetime) -> Gated:
    """Split a bar frame, in any order and with any defects, into clean bars and rejects.

    `now` is an aware instant. Gating the bars again refuses nothing and changes nothing. Bars that the market only
    flags are among the bars: `gate_rules.flags_of` finds them. Raises BadInput when `now` has no time zone.
    """
    if now.tzinfo is None:
        raise BadInput(f"{now} has no time zone", next_step="Pass a UTC instant.")
    context = Context(market, interval, now)
    frame = frame.select(BAR_COLUMNS).cast(BAR_SCHEMA).combine_chunks()
    keyed, without_key = _sift(frame, KEY_RULES, context)
    unique, duplicates = _last_wins(keyed)
    judged = [rule for rule in bar_rules(market) if action_of(rule, market) != FLAG]
    bars, broken = _sift(_null_for_nan(unique), judged, context)
    rejects = pa.concat_tables([without_key, broken])
    bars, with_another = _sift(bars, [_with_another(rejects, market)], context)
    return Gated(bars, pa.concat_tables([rejects, with_another]), duplicates)


def _with_another(rejects: pa.Table, market: Market) -> Rule:
    """The rule that refuses the well rows of a ticker where one of its rows broke a rule whose action is `fail`."""
    fails = [rule.name for rule in (*KEY_RULES, *BAR_RULES) if action_of(rule, market) == FAIL]
    failed = rejects.filter(pc.is_in(rejects["rule"], value_set=pa.array(fails, pa.string())))
    first = dict(zip(failed["ticker"].to_pylist(), failed["rule"].to_pylist(), strict=True))
    tickers = pa.array(list(first), pa.string())
    return Rule(
        WITH_ANOTHER,
        lambda frame, _: mask_of(pc.is_in(frame["ticker"], value_set=tickers)),
        lambda row: first[row["ticker"]],
    )


def _sift(frame: pa.Table, rules: Sequence[Rule], context: Context) -> tuple[pa.Table, pa.Table]:
    """Part the rows that break no rule from the rest, which become rejects."""
    first_broken = np.full(len(frame), len(rules), np.int8)
    for index, rule in reversed(list(enumerate(rules))):
        first_broken[rule.broken(frame, context)] = index
    bad = first_broken < len(rules)
    if not bad.any():
        return frame, empty_rejects()
    names = [rules[index] for index in first_broken[bad]]
    return frame.filter(pa.array(~bad)), _rejects(frame.filter(pa.array(bad)), names)


def _rejects(frame: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """The reject table of refused rows, `rules[k]` being what row k broke."""
    times = times_of(frame.set_column(1, "time", pc.fill_null(frame["time"], instant(0))))
    rows = frame.drop_columns("time").to_pylist()
    texts = _time_texts(frame)
    records = [{"ticker": row["ticker"], "time": text, **row} for row, text in zip(rows, texts, strict=True)]
    writable = (times >= _EARLIEST_WRITTEN) & (times < _LATEST_WRITTEN)
    columns = [
        pa.array([ticker_of(row) for row in records], pa.string()),
        pc.if_else(pa.array(writable), frame["time"], pa.scalar(None, TIME_TYPE)),
        pa.array([rule.name for rule in rules], pa.string()),
        pa.array([rule.value(row) for rule, row in zip(rules, records, strict=True)], pa.string()),
        pa.array([_json(row) for row in records], pa.string()),
    ]
    return pa.table(columns, schema=REJECT_SCHEMA)


def _time_texts(frame: pa.Table) -> list[str | None]:
    """ISO 8601 UTC, also of times that no datetime can hold."""
    naive = frame["time"].cast(pa.timestamp("us")).combine_chunks().to_numpy(zero_copy_only=False)
    texts = (str(time).removesuffix(".000000") for time in naive)
    return [None if text == "NaT" else f"{text}+00:00" for text in texts]


def _json(row: Row) -> str:
    """Strict JSON whose numbers read back exactly; what JSON has no number for (nan, inf) is text."""
    return json.dumps({name: _json_value(value) for name, value in row.items()}, allow_nan=False)


def _json_value(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _last_wins(frame: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    if _is_normal(frame):
        return frame, {}
    unique, dropped = normalise(frame)
    if not dropped:
        return unique, {}
    kept = _rows_by_ticker(unique)
    before = _rows_by_ticker(frame)
    return unique, {ticker: rows - kept[ticker] for ticker, rows in before.items() if rows > kept[ticker]}


def _is_normal(frame: pa.Table) -> bool:
    """True when the rows are already sorted with unique keys; far cheaper to see than to sort again."""
    codes = pc.dictionary_encode(frame["ticker"]).combine_chunks()
    tickers = codes.dictionary.to_pylist()
    if tickers != sorted(tickers):
        return False
    code, time = codes.indices.to_numpy(), times_of(frame)
    later = (code[1:] == code[:-1]) & (time[1:] > time[:-1])
    return bool((later | (code[1:] > code[:-1])).all())


def _rows_by_ticker(frame: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(frame["ticker"])
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _null_for_nan(frame: pa.Table) -> pa.Table:
    adjusted = frame["adjusted_close"]
    missing = pc.is_nan(adjusted)
    if not pc.any(missing).as_py():
        return frame
    position = frame.schema.get_field_index("adjusted_close")
    column = pc.if_else(missing, pa.scalar(None, pa.float64()), adjusted)
    return frame.set_column(position, BAR_SCHEMA.field("adjusted_close"), column)
