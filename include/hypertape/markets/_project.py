"""What a project says of markets: `markets/jp.toml`, `tickers/vn.csv`, `calendars/vn.csv` and `[markets.vn]` of its
hypertape.toml. Every reader raises BadProject, with file, line and what is valid."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from pathlib import Path

from hypertape.errors import BadProject
from hypertape.markets._market_file import KINDS, read_market
from hypertape.model import Market, SessionException, Ticker
from hypertape.project import (
    MARKET_TABLES,
    Project,
    bad,
    line_of,
    read_csv,
    read_toml,
    require_keys,
    unknown_key,
)

TICKER_COLUMNS = ("ticker", "name", "group", "kind")
EXCEPTION_COLUMNS = ("date", "hours", "why")
HOW = ("replace", "add")
"""What a project's list does with the shipped one: stands in its place, or comes beside it."""

_TICKER = re.compile(r"(?!.*\.\.)(?!\.$)[A-Za-z0-9._^=-]{1,32}")
_HOURS = re.compile(r"(\d{2}:\d{2})-(\d{2}:\d{2})")


def read_tickers(path: Path) -> tuple[Ticker, ...]:
    """The lines of `tickers/<code>.csv`; a ticker has one."""
    found: dict[str, Ticker] = {}
    for line, row in read_csv(path, TICKER_COLUMNS):
        ticker = row["ticker"]
        if not _TICKER.fullmatch(ticker):
            raise bad(
                path, line, f"{ticker!r} cannot be a ticker", "Letters, digits and . _ ^ = -, at most 32."
            )
        if ticker in found:
            raise bad(path, line, f"{ticker} stands there twice", "Keep one of the lines.")
        if row["kind"] not in KINDS:
            raise bad(path, line, f"there is no kind {row['kind']!r}", f"Kinds: {', '.join(KINDS)}.")
        found[ticker] = Ticker(**row)
    return tuple(found.values())


def with_project(
    project: Project, shipped: Mapping[str, Market]
) -> tuple[dict[str, Market], dict[str, BadProject]]:
    """The shipped markets and the project's by code, sorted; and by code or path why others cannot be used."""
    found, wrong = dict(shipped), dict[str, BadProject]()
    for path in project.files("markets", ".toml"):
        try:
            found[path.stem] = _new(project, path, found)
        except BadProject as error:
            wrong[path.stem if path.stem not in shipped else str(path)] = error
    for code in list(found):
        try:
            found[code] = _completed(project, found[code])
        except BadProject as error:
            del found[code]
            wrong[code] = error
    return dict(sorted(found.items())), wrong | _strays(
        project, [code for code in (*found, *wrong) if "/" not in code]
    )


def _new(project: Project, path: Path, known: Mapping[str, Market]) -> Market:
    market = read_market(path)
    if market.code in known:
        raise bad(path, 1, f"there is a market {market.code} already", "Name the file otherwise.")
    taken = {word: other.code for other in known.values() for word in (other.code, other.table, *other.modes)}
    for key, words in (("table", [market.code, market.table]), ("modes", market.modes)):
        if clash := [word for word in words if word in taken]:
            what = f"{clash[0]} is a name of the market {taken[clash[0]]}"
            raise bad(path, line_of(path, key), what, f"Choose another {key}.")
    tickers = project.root / "tickers" / path.with_suffix(".csv").name
    if not tickers.is_file():
        raise bad(
            path, 1, f"its tickers are missing: {tickers}", f"Make the file, with {','.join(TICKER_COLUMNS)}."
        )
    return market


def _completed(project: Project, market: Market) -> Market:
    path = project.root / "calendars" / f"{market.code}.csv"
    exceptions = read_exceptions(path) if path.is_file() else ()
    return replace(market, tickers=with_list(project, market), exceptions=exceptions)


def _strays(project: Project, known: Sequence[str]) -> dict[str, BadProject]:
    """Files about a market that there is not."""
    files = [path for folder in ("tickers", "calendars") for path in project.files(folder, ".csv")]
    stray = {
        str(path): bad(path, 1, f"there is no market {path.stem}", f"Markets: {', '.join(sorted(known))}.")
        for path in files
        if path.stem not in known
    }
    tables = read_toml(project.file).get(MARKET_TABLES, {})
    if not isinstance(tables, dict):
        return stray | {
            MARKET_TABLES: bad(
                project.file, line_of(project.file, MARKET_TABLES), "it is no table", "Write [markets.vn]."
            )
        }
    for code in tables:
        if code not in known:
            stray[f"{MARKET_TABLES}.{code}"] = unknown_key(project.file, (MARKET_TABLES, code), known)
    return stray


def with_list(project: Project, market: Market) -> tuple[Ticker, ...]:
    """The tickers of a market where the project has a list: in place of the shipped one, or beside it."""
    path = project.root / "tickers" / f"{market.code}.csv"
    adds = _how(project, market.code) == "add"
    if not path.is_file():
        return market.tickers
    own = read_tickers(path)
    named = {entry.ticker for entry in own}
    return (*(entry for entry in market.tickers if entry.ticker not in named), *own) if adds else own


def _how(project: Project, code: str) -> str:
    key = (MARKET_TABLES, code)
    tables = read_toml(project.file).get(MARKET_TABLES, {})
    table = tables.get(code, {}) if isinstance(tables, dict) else tables
    if not isinstance(table, dict):
        raise bad(
            project.file, line_of(project.file, *key), f"{code} is no table", f"Write [{'.'.join(key)}]."
        )
    require_keys(project.file, table, ["tickers"], *key)
    how = table.get("tickers", HOW[0])
    if how not in HOW:
        line = line_of(project.file, *key, "tickers")
        raise bad(project.file, line, f"tickers = {how!r} means nothing", f"Valid: {', '.join(HOW)}.")
    return str(how)


def read_exceptions(path: Path) -> tuple[SessionException, ...]:
    """The lines of `calendars/<code>.csv`: date, `closed` or hours of the market's own zone, why."""
    found: dict[date, SessionException] = {}
    for line, row in read_csv(path, EXCEPTION_COLUMNS):
        try:
            day = date.fromisoformat(row["date"])
        except ValueError as error:
            raise bad(path, line, f"{row['date']!r} is no date", "Write YYYY-MM-DD.") from error
        if day in found:
            raise bad(path, line, f"{day} stands there twice", "Keep one of the lines.")
        if not row["why"]:
            raise bad(path, line, "nothing says why", "Write the reason, best with where it was announced.")
        found[day] = SessionException(day, _hours(path, line, row["hours"]), row["why"])
    return tuple(found.values())


def _hours(path: Path, line: int, text: str) -> tuple[time, time] | None:
    if text == "closed":
        return None
    try:
        opens, closes = (time.fromisoformat(edge) for edge in _HOURS.fullmatch(text).groups())  # type: ignore[union-attr]
    except (AttributeError, ValueError) as error:
        raise bad(
            path, line, f"{text!r} are no hours", "Write closed, or opening and close: 09:00-11:30."
        ) from error
    if opens >= closes:
        raise bad(path, line, f"{text} ends before it begins", "Write the opening first: 09:00-11:30.")
    return opens, closes
