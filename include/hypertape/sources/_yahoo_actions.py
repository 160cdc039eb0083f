"""Dividends, capital gains and splits in what Yahoo's chart endpoint answers, and those that cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypertape.cells import number, shown
from hypertape.frame import instant
from hypertape.model import midnight
from hypertape.sources._actions import RefusedAction, action_table, refused_table
from hypertape.sources._collect import TickerAnswer
from hypertape.sources._protocol import CAPITAL_GAIN_SCHEMA, DIVIDEND_SCHEMA, SPLIT_SCHEMA

_SECONDS = 4e9
"""Later than any date in seconds, and sooner than any in milliseconds."""


def with_actions(
    ticker: str, bars: TickerAnswer, result: Mapping[str, Any], meta: Mapping[str, Any], zone: str
) -> TickerAnswer:
    """The answer with its dividends, capital gains and splits, at 00:00 UTC of their dates in the exchange's zone."""
    found: dict[str, list[tuple[datetime, float]]] = {"dividends": [], "capitalGains": [], "splits": []}
    refused: list[RefusedAction] = []
    for name, kept in found.items():
        for event in _events(result, name):
            action = _action(name, event, meta, zone)
            if isinstance(action, RefusedAction):
                refused.append(action)
            else:
                kept.append(action)
    schemas = {"dividends": DIVIDEND_SCHEMA, "capitalGains": CAPITAL_GAIN_SCHEMA, "splits": SPLIT_SCHEMA}
    tables = {
        name: action_table(ticker, [at for at, _ in kept], [value for _, value in kept], schemas[name])
        for name, kept in found.items()
    }
    return replace(
        bars,
        dividends=tables["dividends"],
        capital_gains=tables["capitalGains"],
        splits=tables["splits"],
        refused_actions=refused_table(ticker, refused),
    )


def _events(result: Mapping[str, Any], name: str) -> list[Any]:
    events = result.get("events")
    found = events.get(name) if isinstance(events, dict) else None
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []


def _action(
    name: str, event: Any, meta: Mapping[str, Any], zone: str
) -> tuple[datetime, float] | RefusedAction:
    kind = {"dividends": "dividend", "capitalGains": "capital_gain", "splits": "split"}[name]
    event = event if isinstance(event, dict) else {}
    day = _event_day(event, zone)
    at = None if day is None else midnight(day)
    value = _ratio(event) if kind == "split" else number(event.get("amount"))
    paid, priced = event.get("currency"), meta.get("currency")
    if value is None or not math.isfinite(value) or (kind == "split" and value <= 0):
        written = (
            f"{event.get('numerator')}:{event.get('denominator')}" if kind == "split" else event.get("amount")
        )
        return RefusedAction(
            at, kind, math.nan, f"{shown(written)} is no {'ratio' if kind == 'split' else 'amount'}"
        )
    if at is None:
        return RefusedAction(None, kind, value, f"{shown(event.get('date'))} is no date")
    if kind != "split" and isinstance(paid, str) and paid and isinstance(priced, str) and priced != paid:
        return RefusedAction(at, kind, value, f"{value:g} {shown(paid)} where prices are in {shown(priced)}")
    return at, value


def _ratio(event: Mapping[str, Any]) -> float | None:
    new, old = number(event.get("numerator")), number(event.get("denominator"))
    return new / old if new is not None and old else None


def _event_day(event: Mapping[str, Any], zone: str) -> date | None:
    seconds = number(event.get("date"))
    if seconds is None or not -_SECONDS <= seconds < _SECONDS:
        return None
    return instant(int(seconds * 1_000_000)).astimezone(ZoneInfo(zone)).date()
