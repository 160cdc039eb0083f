"""Rules of the user's project: `checks/*.sql`, each a header of comments and a SELECT of what offends.

```
-- name: volume_spike
-- severity: warning
-- intervals: 1d
-- markets: vn, jp
-- description: No day trades more than a hundred times the ticker's average day
select ticker, time, volume from {bars} where ...
```

A file that cannot be used becomes a rule that does not run (`broken`, with file, line and what is valid), so that the
report of every run shows it and no other rule is touched. What its header says readably still counts: its name, its
markets and intervals, and that it is a warning. Else it is taken for critical and for a rule of all: what nobody can
read holds what it may have been meant to hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from psycopg import sql

from hypertape.errors import BadProject
from hypertape.markets import all_markets
from hypertape.model import CRITICAL, SEVERITIES, STORED_INTERVALS, WARNING, Interval, Market
from hypertape.project import Project, bad, find_project, read_text
from hypertape.quality.rules import RULES, Rule, applies

KEYS = ("name", "severity", "intervals", "markets", "description")
OPTIONAL = ("intervals", "markets")
"""Left out: all of them."""

PLACEHOLDERS = ("bars", "all_bars", "market", "interval", "start", "end", "now", "tickers")
"""What stands for the run at hand: {bars} are its rows, {all_bars} the relation they are from; others are values."""

_HEADER = re.compile(r"--\s*(\w+)\s*:\s*(.*)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")
_END = re.compile(r";((?:\s|--[^\n]*)*)\Z")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def rules_for(market: Market, interval: Interval) -> tuple[Rule, ...]:
    """The rules of one suite in the order they run: the shipped ones, then the project's."""
    return tuple(rule for rule in (*RULES, *project_rules()) if applies(rule, market, interval))


def project_rules() -> tuple[Rule, ...]:
    """The rules of the project, those that cannot be used included, by their files' names."""
    return _of_project(find_project())[0]


def problems() -> tuple[BadProject, ...]:
    """What is wrong with the project's files of checks."""
    return _of_project(find_project())[1]


@cache
def _of_project(project: Project | None) -> tuple[tuple[Rule, ...], tuple[BadProject, ...]]:
    rules: list[Rule] = []
    wrong: list[BadProject] = []
    taken = {rule.name for rule in RULES}
    for path in project.files("checks", ".sql") if project else ():
        try:
            rule = read_rule(path)
            if rule.name in taken:
                raise bad(
                    path,
                    line_of_header(path, "name"),
                    f"there is a rule {rule.name} already",
                    "Name it otherwise.",
                )
        except BadProject as error:
            wrong.append(error)
            rule = _broken(path, str(error), taken)
        taken.add(rule.name)
        rules.append(rule)
    return tuple(rules), tuple(wrong)


def _broken(path: Path, why: str, taken: Collection[str]) -> Rule:
    """A rule that does not run, with all that its header says readably."""
    given = _lenient_header(path)
    names = [name for name in (given.get("name", ""), path.stem) if _NAME.fullmatch(name)]
    intervals, markets = _words(given.get("intervals")), tuple(_words(given.get("markets")))
    stored = {interval.value: interval for interval in STORED_INTERVALS}
    return Rule(
        next((name for name in names if name not in taken), path.name),
        given.get("description") or f"The rule in {path.name} cannot be read",
        WARNING if given.get("severity") == WARNING else CRITICAL,
        "",
        intervals=tuple(stored[word] for word in intervals)
        if intervals and stored.keys() >= {*intervals}
        else STORED_INTERVALS,
        markets=markets if all_markets().keys() >= {*markets} else (),
        file=path,
        broken=why,
    )


def _lenient_header(path: Path) -> dict[str, str]:
    """What a file's first comments say of each key; nothing where there is no file to be read.

    Of a key that is there twice nothing, but the first name and description: nobody knows which is meant.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = [(key, value) for _, key, value in _header_lines(text)]
    given = dict(reversed(found))
    times = Counter(key for key, _ in found)
    return {key: given[key] for key in given if times[key] == 1 or key in ("name", "description")}


def _header_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """The lines `-- key: value` before the statement, each with its number."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("--"):
            return
        if found := _HEADER.match(line.strip()):
            yield number, found[1], found[2].strip()


def read_rule(path: Path) -> Rule:
    """The rule of one file. Raises BadProject."""
    text, given = read_text(path), dict[str, str]()
    for number, key, value in _header_lines(text):
        if key not in KEYS:
            raise bad(path, number, f"there is no {key!r}", f"A rule begins with: {_shown()}.")
        if key in given or not value:
            raise bad(path, number, f"{key} is empty or there twice", f"A rule begins with: {_shown()}.")
        given[key] = value
    missing = [key for key in KEYS if key not in given and key not in OPTIONAL]
    if missing:
        raise bad(path, 1, f"there is no line -- {missing[0]}:", f"A rule begins with: {_shown()}.")
    _require(
        path, "name", given["name"], _NAME.fullmatch(given["name"]), "small letters, digits, underscores"
    )
    _require(path, "severity", given["severity"], given["severity"] in SEVERITIES, ", ".join(SEVERITIES))
    return Rule(
        given["name"],
        given["description"],
        given["severity"],
        "",
        intervals=_intervals(path, given.get("intervals")),
        markets=tuple(_words(given.get("markets"))),
        file=path,
        text=_statement(path, text),
    )


def text_of(rule: Rule, names: dict[str, sql.Composable]) -> str:
    """The rule's statement with the run at hand in the place of its placeholders; other braces and all lines stay."""
    meant = {**names, "bars": sql.SQL("bar"), "all_bars": names["relation"]}
    return _PLACEHOLDER.sub(
        lambda found: meant[found[1]].as_string(None) if found[1] in PLACEHOLDERS else found[0], rule.text
    )


def _statement(path: Path, text: str) -> str:
    body = re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL).strip()
    first = body.split(None, 1)[0].lower() if body else ""
    if first not in ("select", "with"):
        line = next((n for n, row in enumerate(text.splitlines(), 1) if first and first in row.lower()), 1)
        raise bad(
            path, line, "it is no SELECT", "After the header write select ticker, time, … from {bars} where …"
        )
    if "{bars}" not in body and "{all_bars}" not in body:
        raise bad(
            path, 1, "it looks at no {bars}", f"Placeholders: {', '.join(f'{{{p}}}' for p in PLACEHOLDERS)}."
        )
    if ";" in re.sub(r"'[^']*'", "", body.rstrip("; \n\t")):
        raise bad(path, 1, "it has several statements", "Write one SELECT.")
    return _END.sub(r"\1", text.rstrip())


def _intervals(path: Path, text: str | None) -> tuple[Interval, ...]:
    stored = [interval.value for interval in STORED_INTERVALS]
    for word in _words(text):
        _require(path, "intervals", word, word in stored, ", ".join(stored))
    return tuple(Interval.parse(word) for word in _words(text)) or STORED_INTERVALS


def _require(path: Path, key: str, value: str, holds: object, valid: str) -> None:
    if not holds:
        raise bad(path, line_of_header(path, key), f"{key}: {value} cannot be used", f"Valid: {valid}.")


def line_of_header(path: Path, key: str) -> int:
    """The line of a file where a key of its header stands; 1 where it does not."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return next((n for n, line in lines if (found := _HEADER.match(line.strip())) and found[1] == key), 1)


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _shown() -> str:
    return ", ".join(f"-- {key}:" + (" (may be left out)" if key in OPTIONAL else "") for key in KEYS)
