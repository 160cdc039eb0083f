"""The answers of every route as JSON Schema: what the description promises and the tests hold the routes to.

Plain documents, not models: the routes answer with rows of statements and records of numpy, which no model is made of.
A column that a row gains is no breach of its schema; one that it loses is.
"""

from __future__ import annotations

from typing import Any

from hypertape.model import INDICATOR_COLUMNS, PRICE_COLUMNS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
ANYTHING: Schema = {"type": "object"}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(item: Schema) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item}


def named(value: Schema) -> Schema:
    """An object whose keys are data, such as tickers."""
    return {"type": "object", "additionalProperties": value}


def record(fields: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields, of which only the optional ones may be absent."""
    return {"type": "object", "properties": {**fields, **(optional or {})}, "required": list(fields)}


def fields(kind: Schema, names: str) -> dict[str, Schema]:
    """Fields of one kind, their names in a text."""
    return dict.fromkeys(names.split(), kind)


def reference(name: str) -> Schema:
    """A schema of `SCHEMAS` by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def page(name: str, row: str) -> Schema:
    """A page of a list: its rows, and the cursor to the next page."""
    return record({name: listed(reference(row)), "next": maybe(TEXT)})


_MAYBE_INSTANT, _MAYBE_TEXT, _MAYBE_WHOLE, _MAYBE_NUMBER = map(maybe, (INSTANT, TEXT, WHOLE, NUMBER))
_SERIES = fields(TEXT, "market interval ticker")
_CHECKED = fields(WHOLE, "checks critical warnings broken")
_COUNTED = {
    **_CHECKED,
    "passed": WHOLE,
    "others": {**listed(TEXT), "description": "Statuses beside passed, failed, broken."},
}

_OF_SYMBOL = {"symbol_id": WHOLE, "symbol": TEXT}
_TICK = {
    "time": INSTANT,
    "sequence": WHOLE,
    **fields(_MAYBE_TEXT, "bid ask bid_volume ask_volume"),
    "source": TEXT,
}
_CANDLE = {
    **fields(INSTANT, "open_time close_time"),
    **fields(TEXT, "open high low close volume"),
    "tick_count": WHOLE,
}
_STREAM = record(
    {
        **fields(TEXT, "name host"),
        "pid": WHOLE,
        **fields(INSTANT, "started_at beat_at"),
        "alive": FLAG,
        "figures": ANYTHING,
    }
)
_WORKER = record(
    {
        **fields(TEXT, "worker_id worker_type hostname"),
        "metadata": ANYTHING,
        **fields(INSTANT, "started_at last_heartbeat"),
        "gone_at": _MAYBE_INSTANT,
        "state": {**TEXT, "enum": ["working", "idle", "dead", "ended"]},
        "holds": named(listed(TEXT)),
        **fields(_MAYBE_INSTANT, "since last_ended"),
        **fields(WHOLE, "units completed failed skipped"),
    }
)
_HEADLINE = record(
    {"level": {**TEXT, "enum": ["good", "note", "bad", "unknown"]}, "text": TEXT, "because": listed(TEXT)}
)

BAR: Schema = {
    **record(
        {
            "time": {
                **TEXT,
                "description": "The bar's opening, UTC: a date for 1D and wider, else an instant.",
            },
            **fields(NUMBER, " ".join(PRICE_COLUMNS)),
            "volume": NUMBER,
            "symbol": TEXT,
        },
        {**dict.fromkeys(INDICATOR_COLUMNS, NUMBER), "provisional": FLAG},
    ),
    "patternProperties": {"^ema[1-9][0-9]*$": NUMBER},
    "description": "A bar. What is not known of it (an average of a young series) has no key. "
    "One that may still change, because its time is not over, has `provisional: true`.",
}

SCHEMAS: dict[str, Schema] = {
    "Error": record({"error": {**TEXT, "description": "What happened, and what to do next."}}),
    "Bar": BAR,
    "Symbol": record({
        "symbol_id": WHOLE, **fields(TEXT, "market ticker kind"), "digits": _MAYBE_WHOLE,
        **fields(_MAYBE_TEXT, "name group sector industry exchange currency"),
        **fields(_MAYBE_NUMBER, "tick_size contract_size"), **fields(_MAYBE_INSTANT, "first_seen last_seen"),
    }),
    "Tick": record(_TICK),
    "Candle": record(_CANDLE),
    "Series": record({
        **_SERIES, **fields(INSTANT, "first_time last_time"), "watermark": _MAYBE_INSTANT, "synthetic": FLAG,
    }),
    "Gap": record({
        "gap_id": WHOLE, **_SERIES, **fields(INSTANT, "start_time end_time found_at"),
        **fields(WHOLE, "sessions bars attempts"), "reason": TEXT,
        **fields(_MAYBE_TEXT, "detail former_reason found_run closed_run closed_reason"),
        **fields(_MAYBE_INSTANT, "last_checked_at closed_at"),
    }),
    "Finding": record({
        "finding_id": WHOLE, "times": WHOLE, **fields(TEXT, "state kind cause severity title mend opened_by"),
        **fields(_MAYBE_TEXT, "market interval link closed_by acknowledged_by acknowledged_reason"),
        "tickers": listed(TEXT), "evidence": ANYTHING, **fields(INSTANT, "opened_at last_seen_at"),
        **fields(_MAYBE_INSTANT, "closed_at acknowledged_at acknowledged_until"),
    }),
    "CheckResult": record({
        "result_id": WHOLE,
        **fields(TEXT, "run_id market interval suite expectation target description severity status"),
        **fields(_MAYBE_WHOLE, "evaluated unexpected"), "unexpected_percent": _MAYBE_NUMBER,
        "sample": listed(ANYTHING), "error": _MAYBE_TEXT, "seconds": NUMBER,
        **fields(INSTANT, "window_start window_end checked_at"),
    }),
    "Load": record({
        "load_id": WHOLE, "run_id": TEXT, **_SERIES, **fields(TEXT, "source status code_version"),
        **fields(WHOLE, "attempt fetched inserted updated recomputed unchanged quarantined duplicates"),
        **fields(_MAYBE_WHOLE, "expected missing"), "error": _MAYBE_TEXT, "seconds": NUMBER,
        **fields(INSTANT, "window_start window_end loaded_at"),
        **fields(_MAYBE_INSTANT, "first_changed last_changed provisional_from"),
    }),
    "Revision": record({
        **_SERIES, "time": INSTANT, **fields(NUMBER, "open high low close volume"), "adjusted_close": _MAYBE_NUMBER,
        **fields(WHOLE, "load_id replaced_by"), **fields(INSTANT, "valid_from valid_to"),
    }),
    "RefusedRow": record({
        **fields(WHOLE, "quarantine_id load_id"), "run_id": TEXT, **_SERIES, "time": _MAYBE_INSTANT,
        **fields(TEXT, "rule source row_text"), "value": _MAYBE_TEXT, "quarantined_at": INSTANT,
        "released_at": _MAYBE_INSTANT,
    }),
    "FlaggedBar": record({
        **fields(WHOLE, "flag_id load_id"), **_SERIES, **fields(INSTANT, "time flagged_at"),
        **fields(TEXT, "rule value"),
    }),
    "Action": record({
        "ticker": TEXT, "time": INSTANT, "kind": {**TEXT, "enum": ["split", "dividend", "capital_gain"]},
        "value": NUMBER,
    }),
    "Run": record({
        **fields(TEXT, "run_id market interval"), "sources": listed(TEXT), **_COUNTED,
        **fields(WHOLE, "tickers failed skipped fetched inserted updated unchanged quarantined"),
        "missing": _MAYBE_WHOLE, **fields(INSTANT, "window_start window_end loaded_at"),
    }),
    "CheckedRun": record({
        **fields(TEXT, "market interval run_id"), **_COUNTED, "checked_at": INSTANT, "names": listed(TEXT),
    }),
    "Place": record({
        "interval": TEXT, **fields(WHOLE, "tickers bars gap_bars quarantined behind"), "late": FLAG, "synthetic": FLAG,
        "synthetic_tickers": WHOLE, "synthetic_named": listed(TEXT),
        **fields(INSTANT, "first_time last_time oldest_last"), "watermark": _MAYBE_INSTANT,
        "last_run": maybe(reference("CheckedRun")),
    }),
    "BarOrigin": record({
        **fields(WHOLE, "load_id attempt fetched inserted updated unchanged quarantined bars"),
        **fields(TEXT, "run_id source status code_version"), "reason": _MAYBE_TEXT,
        **fields(INSTANT, "window_start window_end loaded_at"),
    }),
}  # fmt: skip
"""What several answers, or their rows, are made of."""

_HOLDING = record({
    **fields(WHOLE, "tickers bars"), **fields(_MAYBE_INSTANT, "last_bar last_sync watermark"),
})  # fmt: skip
_HEALTH_MARKET = record({
    **fields(TEXT, "title zone"), "trading_hours": FLAG, "intervals": named(_HOLDING),
})  # fmt: skip
_SESSION = record({"date": DAY, "opens": INSTANT, "closes": INSTANT})
_OVERVIEW_MARKET = record({
    **fields(TEXT, "market title zone price_unit"), "trading": FLAG, "last_session": maybe(_SESSION),
    "allowed": NUMBER, "intervals": listed(reference("Place")),
})  # fmt: skip
_FAILURE = record({
    **fields(WHOLE, "load_id attempt"), "run_id": TEXT, **_SERIES, "source": TEXT, "error": _MAYBE_TEXT,
    "loaded_at": INSTANT,
})  # fmt: skip
_TREND_DAY = record({**fields(TEXT, "market interval"), "day": DAY, **_CHECKED, "quarantined": WHOLE})
_OFFENDER = record({**_SERIES, **fields(WHOLE, "failed_loads quarantined"), "named_by": listed(TEXT)})

ANSWERS: dict[str, Schema] = {
    "/tickers": named(listed(reference("Bar"))),
    "/tickers/group": named(listed(TEXT)),
    "/tickers/name": named(TEXT),
    "/health": record({
        **fields(TEXT, "status version tier"), "now": INSTANT, "uptime_seconds": NUMBER, "stores": listed(TEXT),
        "markets": named(_HEALTH_MARKET),
    }),
    "/coverage": record({
        **fields(TEXT, "market interval by"), **fields(INSTANT, "start end"), "buckets": listed(TEXT),
        "expected": listed(WHOLE), "tickers": named(record({"first": INSTANT, "bars": listed(WHOLE)})),
        "next": maybe(TEXT),
    }),
    "/series": page("series", "Series"),
    "/gaps": page("gaps", "Gap"),
    "/quality": page("results", "CheckResult"),
    "/loads": page("loads", "Load"),
    "/revisions": page("revisions", "Revision"),
    "/quarantine": page("quarantine", "RefusedRow"),
    "/flags": page("flags", "FlaggedBar"),
    "/actions": record({"actions": listed(reference("Action"))}),
    "/origin": record({
        **fields(TEXT, "market interval symbol"), **fields(INSTANT, "start end"), "total": WHOLE,
        "loads": listed(reference("BarOrigin")),
    }),
    "/overview": record({
        "now": INSTANT, "headline": _HEADLINE, "findings": listed(reference("Finding")),
        "markets": listed(_OVERVIEW_MARKET), "failing": listed(_FAILURE), "failing_total": WHOLE,
    }),
    "/workers": record({"now": INSTANT, "workers": listed(_WORKER)}),
    "/runs": record({"runs": listed(reference("Run"))}),
    "/quality/trend": record({
        **fields(INSTANT, "now since"), "trend": listed(_TREND_DAY), "latest": listed(reference("CheckedRun")),
        "offenders": listed(_OFFENDER),
    }),
    "/api/v1/symbols": page("symbols", "Symbol"),
    "/api/v1/symbols/{symbol_id}": reference("Symbol"),
    "/api/v1/symbols/name/{name}": reference("Symbol"),
    "/api/v1/ticks/{symbol_id}": record({**_OF_SYMBOL, "ticks": listed(reference("Tick"))}),
    "/api/v1/ticks/{symbol_id}/latest": record({**_OF_SYMBOL, **_TICK}),
    "/api/v1/ohlc/{symbol_id}": record({**_OF_SYMBOL, "timeframe": TEXT, "candles": listed(reference("Candle"))}),
    "/api/v1/ohlc/{symbol_id}/latest": record({**_OF_SYMBOL, "timeframe": TEXT, **_CANDLE}),
    "/api/v1/stream": record({
        "now": INSTANT, "streams": listed(_STREAM), "newest_tick": _MAYBE_INSTANT, "lag_seconds": _MAYBE_NUMBER,
        **fields(WHOLE, "open_gaps dead_letters pending_ranges"),
    }),
    "/api/v1/stream/gaps": record({"gaps": listed(record({
        "gap_id": WHOLE, **fields(TEXT, "source reason"), **fields(_MAYBE_TEXT, "symbol closed_by"),
        **fields(INSTANT, "start_time opened_at"), **fields(_MAYBE_INSTANT, "end_time closed_at"),
        **fields(_MAYBE_WHOLE, "last_sequence first_sequence"),
    }))}),
    "/api/v1/stream/dead-letters": record({"dead_letters": listed(record({
        **fields(WHOLE, "letter_id times"), **fields(TEXT, "kind source record error"),
        **fields(INSTANT, "first_at last_at"), "replayed_at": _MAYBE_INSTANT,
    }))}),
    "/api/v1/stream/symbols": record({"symbols": listed(record({
        "symbol_id": WHOLE, "ticker": TEXT, "name": _MAYBE_TEXT, "digits": _MAYBE_WHOLE,
        **fields(_MAYBE_NUMBER, "tick_size contract_size"), "last_synced_at": _MAYBE_INSTANT,
    }))}),
    "/api/v1/stream/findings": record({
        "now": INSTANT, "headline": _HEADLINE, "findings": listed(reference("Finding")),
    }),
    "/openapi.json": ANYTHING,
    "/findings": record({"now": INSTANT, "headline": _HEADLINE, "findings": listed(reference("Finding"))}),
    "/findings/{finding_id}/acknowledge": reference("Finding"),
    "/findings/{finding_id}/reopen": reference("Finding"),
    "/condition": record({
        "now": INSTANT, **fields(TEXT, "market interval"),
        "conditions": listed(record({"session": DAY, **fields(TEXT, "ticker condition"), "reasons": listed(TEXT)})),
    }),
    "/caller": record({"name": TEXT, "may_write": FLAG}),
    "/gaps/reopen": record({"reopened": WHOLE}),
    "/cache/clear": record({"cleared": FLAG}),
}  # fmt: skip
"""The JSON that a route answers with 200, by its path."""
