"""A market as a file of a project, `markets/jp.toml`: the fields of `Market` by name. Errors name the line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

from hypertape.errors import BadProject
from hypertape.model import STORED_INTERVALS, Interval, Market
from hypertape.project import bad, line_of, read_toml, require_keys, unknown_key

KINDS = ("stock", "index", "etf", "crypto")
REQUIRED = (
    "title",
    "timezone",
    "calendar",
    "price_unit",
    "sources",
    "history_start",
    "schedule",
    "daily_move_limit",
)
OPTIONAL = (
    "code", "table", "suffixes", "symbols", "file_scale", "positive_prices", "freshness_sessions", "hour_mark_minutes",
    "retention_days", "modes", "gate_actions", "plausible_prices",
)  # fmt: skip
_USUAL_SCHEDULE = {Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"}
_CODE = re.compile(r"[a-z][a-z0-9_]{0,30}")


def read_market(path: Path) -> Market:
    """The market of `markets/<code>.toml`, without its tickers."""
    given = read_toml(path)
    require_keys(path, given, (*REQUIRED, *OPTIONAL))
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise bad(path, 1, f"there is no {missing[0]}", f"A market has: {', '.join(REQUIRED)}.")
    table = _Table(path, given)
    code = table.text(
        "code", path.stem, lambda text: text == path.stem and _CODE.fullmatch(text), "Its file's name."
    )
    return Market(
        code=code,
        table=table.text("table", f"{code}_data", _CODE.fullmatch, "Small letters, digits and underscores."),
        title=table.text("title"),
        timezone=table.text("timezone", None, _is_zone, "A name such as Asia/Tokyo."),
        calendar=_calendar(table.text("calendar")),
        price_unit=table.text("price_unit"),
        sources=table.texts("sources"),
        history_start=table.by_interval("history_start", date, {}),
        schedule=table.by_interval("schedule", str, _USUAL_SCHEDULE, croniter.is_valid),
        daily_move_limit=table.number("daily_move_limit", 0.0),
        suffixes=table.mapping("suffixes", str),
        symbols={source: table.mapping("symbols", str, source) for source in table.mapping("symbols", dict)},
        file_scale=table.number("file_scale", 1.0),
        positive_prices=table.of("positive_prices", bool, True),
        freshness_sessions=table.of("freshness_sessions", int, 2),
        hour_mark=timedelta(minutes=table.of("hour_mark_minutes", int, 0)),
        retention={Interval.parse(i): timedelta(days=n) for i, n in table.intervals("retention_days", int).items()},
        modes=table.texts("modes", ()),
        gate_actions=table.mapping("gate_actions", str),
        plausible_prices=table.ranges("plausible_prices"),
    )  # fmt: skip


class _Table:
    """The values of a market's file, each refused with its line where it has another type than is meant."""

    def __init__(self, path: Path, given: Mapping[str, Any]) -> None:
        self._path, self._given = path, given

    def refuse(self, *key: str, value: object, valid: str) -> BadProject:
        return bad(self._path, line_of(self._path, *key), f"{key[-1]} = {value!r} cannot be used", valid)

    def of(self, key: str, kind: type, otherwise: Any = None) -> Any:
        value = self._given.get(key, otherwise)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.refuse(key, value=value, valid=f"Write {_WRITTEN[kind]}.")
        return value

    def text(
        self,
        key: str,
        otherwise: str | None = None,
        is_valid: Callable[[str], object] = bool,
        valid: str = "Write a text.",
    ) -> str:
        value = str(self.of(key, str, otherwise))
        if not is_valid(value):
            raise self.refuse(key, value=value, valid=valid)
        return value

    def texts(self, key: str, otherwise: Sequence[str] | None = None) -> tuple[str, ...]:
        value = self._given.get(key, otherwise)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise self.refuse(key, value=value, valid='Write a list of texts: ["csv_tree", "yahoo"].')
        if otherwise is None and not value:
            raise self.refuse(key, value=value, valid="Name one at least.")
        return tuple(value)

    def number(self, key: str, above: float) -> float:
        value = self._given.get(key, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise self.refuse(key, value=value, valid="Write a number above zero.")
        return float(value)

    def mapping(self, key: str, kind: type, *inside: str) -> dict[str, Any]:
        value = self._given.get(key, {})
        for name in inside:
            value = value[name]
        if not isinstance(value, dict):
            raise self.refuse(
                key, *inside, value=value, valid=f"Write a table [{key}] with lines name = value."
            )
        for name, one in value.items():
            if not isinstance(one, kind):
                raise self.refuse(key, *inside, name, value=one, valid=f"Write {_WRITTEN[kind]}.")
        return dict(value)

    def intervals(self, key: str, kind: type) -> dict[str, Any]:
        value = self.mapping(key, kind)
        stored = [interval.value for interval in STORED_INTERVALS]
        for name in value:
            if name not in stored:
                raise unknown_key(self._path, (key, name), stored)
        return value

    def by_interval(
        self, key: str, kind: type, usual: Mapping[Interval, Any], is_valid: Callable[[Any], object] = bool
    ) -> dict[Interval, Any]:
        """One value for all intervals or a table of them; what is left out is the usual one, else that of 1d."""
        given = self._given[key]
        if not isinstance(given, kind | dict):
            raise self.refuse(
                key, value=given, valid=f"Write {_WRITTEN[kind]}; or a table [{key}] with 1d, 1h, 1m."
            )
        if isinstance(given, kind):
            given, one = {Interval.D1.value: given}, True
        else:
            given, one = self.intervals(key, kind), False
        if Interval.D1.value not in given:
            raise self.refuse(key, value=self._given[key], valid=f"Name 1d at least: 1d = {_WRITTEN[kind]}.")
        for name, value in given.items():
            if not is_valid(value):
                raise self.refuse(
                    *([key] if one else [key, name]), value=value, valid=f"Write {_WRITTEN[kind]}."
                )
        return {i: given.get(i.value, usual.get(i, given[Interval.D1.value])) for i in STORED_INTERVALS}

    def ranges(self, key: str) -> dict[str, tuple[float, float]]:
        """`stock = [10, 100000]` by kind."""
        found = {}
        for kind, pair in self.mapping(key, list).items():
            numbers = [x for x in pair if isinstance(x, int | float) and not isinstance(x, bool)]
            if kind not in KINDS:
                raise unknown_key(self._path, (key, kind), KINDS)
            if len(pair) != 2 or len(numbers) != 2 or not 0 <= numbers[0] < numbers[1]:
                raise self.refuse(
                    key, kind, value=pair, valid="Write the lowest and the highest: [10, 100000]."
                )
            found[kind] = (float(pair[0]), float(pair[1]))
        return found


_WRITTEN = {
    str: 'a text (a schedule as five cron fields, UTC: "30 7 * * 1-5")',
    int: "a whole number",
    bool: "true or false",
    date: "a date: 2015-01-05",
    dict: "a table",
    list: "a list",
}


def _calendar(name: str) -> str:
    return "24/7" if name == "always" else name


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
