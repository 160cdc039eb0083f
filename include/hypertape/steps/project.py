"""A user's project from the outside: made anew, its settings shown with where each came from, its files looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from hypertape import markets, sources
from hypertape.calendars.exceptions import days_of
from hypertape.errors import BadInput, BadProject, UnknownMarket
from hypertape.indicators import _requested
from hypertape.model import Market
from hypertape.project import FILE, Project, bad, find_project, line_of
from hypertape.quality import project_rules
from hypertape.quality.gate_rules import check_actions
from hypertape.quality.rules import Rule
from hypertape.settings import Settings, origin_of, shown, variable_of
from hypertape.sources import _discovery

TEMPLATE = Path(__file__).parent / "new_project"
"""What `hypertape init` copies. Files that start with an underscore are examples: nothing reads them."""

_SOME_DAY = date(2024, 1, 8)


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting with its value, secrets masked, and where that came from."""

    name: str
    variable: str
    value: str | int | float | bool | None
    origin: str


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of the project, what it adds, and why it cannot be used (None where it can)."""

    file: str
    adds: str
    problem: str | None


def shown_settings(settings: Settings) -> list[ShownSetting]:
    """Every setting in the order of their table."""
    return [
        ShownSetting(name, variable_of(name), shown(name, getattr(settings, name)), origin_of(name))
        for name in Settings.model_fields
    ]


def make_project(directory: Path) -> tuple[list[Path], list[Path]]:
    """Write a small commented project; return the files that were written and those that were there and stay as they
    are. Raises BadInput where that cannot be."""
    written, kept = [], []
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        target = directory / source.relative_to(TEMPLATE)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as text, target.open("xb") as file:
                shutil.copyfileobj(text, file)
            written.append(target)
        except FileExistsError:
            kept.append(target)
        except OSError as error:
            raise BadInput(
                f"{target} cannot be written: {error.strerror}", next_step="Name another directory."
            ) from error
    return written, kept


def looked_at(project: Project) -> list[ProjectFile]:
    """Every file of the project that something reads, with what it adds or why it cannot be used."""
    wrong = [str(error) for error in problems()]
    found = [(project.root / FILE, "settings"), *_added(project)]
    lines = [
        ProjectFile(str(path), adds, next((text for text in wrong if text.startswith(str(path))), None))
        for path, adds in found
    ]
    named = {line.problem for line in lines}
    return lines + [ProjectFile(str(project.root), "", text) for text in wrong if text not in named]


def _added(project: Project) -> Iterator[tuple[Path, str]]:
    kinds = (
        ("markets", ".toml", "market"),
        ("tickers", ".csv", "tickers of"),
        ("calendars", ".csv", "exceptions of"),
        ("checks", ".sql", "check"),
        ("sources", ".py", "source"),
        ("indicators", ".py", "indicator"),
    )
    for folder, suffix, what in kinds:
        yield from ((path, f"{what} {path.stem}") for path in project.files(folder, suffix))


def problems() -> list[BadProject]:
    """All that is wrong with the project's files, also what shows only when a market is used. Raises BadProject for a
    hypertape.toml that cannot be read."""
    project = find_project()
    found = [*markets.problems(), *project_rules.problems(), *_discovery.problems(), *_requested.problems()]
    found += [
        _unknown(rule, name)
        for rule in project_rules.project_rules()
        for name in rule.markets
        if not _is_market(name)
    ]
    for path in project.files("markets", ".toml") if project else ():
        market = markets.all_markets().get(path.stem)
        found += _in_use(path, market) if market is not None else []
    return found


def _is_market(name: str) -> bool:
    try:
        markets.get_market(name)
    except UnknownMarket:
        return False
    except BadProject:  # it is there, and told of by itself
        return True
    return True


def _unknown(rule: Rule, name: str) -> BadProject:
    assert rule.file is not None
    line = project_rules.line_of_header(rule.file, "markets")
    return bad(rule.file, line, f"there is no market {name}", f"Markets: {', '.join(markets.all_markets())}.")


def _in_use(path: Path, market: Market) -> Iterator[BadProject]:
    """What a market names that other rooms have: its calendar, its sources, the actions of its gate."""
    try:
        days_of(market, _SOME_DAY, _SOME_DAY)
    except BadInput as error:
        yield bad(path, line_of(path, "calendar"), error.what, error.advice)
    known = sources.source_names()
    for name in market.sources:
        if name not in known:
            what = f"there is no source {name!r}"
            yield bad(path, line_of(path, "sources"), what, f"Sources: {', '.join(known)}.")
    for rule, action in market.gate_actions.items():
        try:
            check_actions(replace(market, gate_actions={rule: action}))
        except BadInput as error:
            yield bad(path, line_of(path, "gate_actions", rule), error.what, error.advice)
