"""Indicators of a frame as part of the series it will join."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from hypertape.frame import ENRICHED_SCHEMA, Bars, split_series
from hypertape.indicators import enrich
from hypertape.model import INDICATOR_COLUMNS, Interval, Market
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.loading.merge import join_bars, merge
from hypertape.warehouse.loading.stored import read_neighbours, read_spans, series_states


def enrich_bars(
    connection: psycopg.Connection[Any], market: Market, interval: Interval, bars: pa.Table
) -> pa.Table:
    """Return a normalised bar frame with its 13 indicators (ENRICHED_SCHEMA; null where there is no value).

    The lookback is what the warehouse holds: stored bars before the frame's, and stored bars between them that the
    frame does not have.
    """
    series = dict(split_series(bars))
    with translate_errors(connection):
        states = series_states(connection, market, interval, sorted(series))
        spans = {t: (int(b.time[0]), int(b.time[-1])) for t, b in series.items() if t in states}
        neighbours = read_neighbours(connection, market, interval, states, spans)
        stored = read_spans(connection, market, interval, spans)
    parts = []
    for ticker, incoming in series.items():
        inside = stored.get(ticker, Bars.empty())
        before = neighbours[ticker][0] if ticker in neighbours else Bars.empty()
        parts.append(_columns(merge(join_bars(before, inside), incoming).bars, incoming))
    columns = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0)
        for name in INDICATOR_COLUMNS
    }
    arrays = [
        *bars.columns,
        *(pa.array(column, pa.float64(), from_pandas=True) for column in columns.values()),
    ]
    return pa.table(arrays, schema=ENRICHED_SCHEMA)


def _columns(whole: Bars, incoming: Bars) -> dict[str, Any]:
    wanted = np.searchsorted(whole.time, incoming.time)
    computed = enrich(whole.close, whole.volume)
    return {name: computed[name][wanted] for name in INDICATOR_COLUMNS}
