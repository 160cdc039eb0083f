"""Reference pages that are made of the program itself whenever the site is built: they cannot be out of date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import typer

from hypertape.api import create_app
from hypertape.cli import app
from hypertape.model import FINDING_KINDS, utc
from hypertape.quality.rules import RULES
from hypertape.settings import Settings
from hypertape.warehouse.findings.mends import MENDS, Failed, check_mend

_COMMAND = re.compile(r"hypertape (?:(?!;|, then|\. | \(|, or ).)+")
"""A command within the words of a mend."""

MADE = "*This page is made of the program each time the site is built.*"


def commands() -> str:
    """Every verb of the command line: what it does, its arguments and options, its examples."""
    parts = [
        "# Commands",
        MADE,
        "What the exit codes mean: [exit codes](exit-codes.md). How a command is used: the how-to pages.",
    ]
    for path, command in _leaves(typer.main.get_command(app)):
        parts += [f"## hypertape {' '.join(path)}", _text(command.help)]
        if rows := [
            _row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]:
            parts.append("\n".join(["| argument or option | meaning |", "|---|---|", *rows]))
        if command.epilog:
            parts.append("```text\n" + _plain(command.epilog) + "\n```")
    return "\n\n".join(filter(None, parts)) + "\n"


def routes() -> str:
    """Every route of the read API with its parameters, from its OpenAPI description."""
    described = create_app(
        Settings(), authorize=lambda _: lambda: None, clock=lambda: utc(2025), dsn=lambda: ""
    ).openapi()
    parts = ["# Routes", MADE, "Logins, limits and the words of answers: [reading over HTTP](http.md)."]
    for path, methods in sorted(described["paths"].items()):
        for method, operation in methods.items():
            parts += [
                f"## {method.upper()} {path}",
                _text(operation.get("description") or operation.get("summary")),
            ]
            if rows := [_parameter(each, described) for each in operation.get("parameters", ())]:
                parts.append("\n".join(["| parameter | in | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(filter(None, parts)) + "\n"


def findings(runbook: str) -> str:
    """Every kind of finding with its severity and the runbook's paragraph, and what mends each failed check."""
    told = dict(re.findall(r"^- `(\w+)`: (.*(?:\n  .*)*)", runbook, re.M))
    kinds = [
        f"| `{kind}` | {severity or 'the check’s'} | {_cell(told[kind])} |"
        for kind, severity in FINDING_KINDS.items()
    ]
    said = {rule.name: rule.description for rule in RULES}
    example = Failed("vn", "1d", "", ("VIC",), utc(2024, 1, 15), utc(2024, 1, 16), "")
    checks = [
        f"| `{name}` | {_cell(said.get(name, ''))} | {_mend(check_mend(replace(example, check=name)))} |"
        for name in MENDS
    ]
    return "\n".join([*_FINDINGS, *kinds, *_CHECKS, *checks, ""])


_FINDINGS = (
    "# Findings and what mends them", "", MADE, "",
    "How they are read, put away and told: [the runbook](../runbook.md#findings).", "",
    "## Kinds", "", "| kind | severity | what it means, and what to do |", "|---|---|---|",
)  # fmt: skip
_CHECKS = (
    "", "## Checks", "",
    "What mends a check that fails, for one day of VIC as an example. A finding names its own tickers and days.", "",
    "| check | what it says | what mends it |", "|---|---|---|",
)  # fmt: skip


def _mend(text: str) -> str:
    """A mend with its commands as code."""
    return _COMMAND.sub(lambda found: f"`{found[0].strip()}`", _cell(text))


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if path and (not children or command.invoke_without_command):
        yield path, command
    for name, child in sorted(children.items()):
        yield from _leaves(child, (*path, name))


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = default is not None and default is not False and default is not True and not callable(default)
    told = _cell(getattr(parameter, "help", "") or "")
    return f"| {names} | {told}{f' (default: `{default}`)' if shown and 'default' not in told else ''} |"


def _parameter(each: dict[str, Any], described: dict[str, Any]) -> str:
    if "$ref" in each:
        each = described["components"]["parameters"][each["$ref"].rpartition("/")[2]]
    return f"| `{each['name']}` | {each['in']} | {_cell(each.get('description') or '')} |"


def _text(text: str | None) -> str:
    """Help as Markdown: no headings of its own, and no angle brackets that would be taken for HTML."""
    return re.sub(r"^#+ ", "", (text or "").strip(), flags=re.M).replace("<", "&lt;")


def _plain(text: str) -> str:
    return re.sub(r"\n\s*\n", "\n", text.strip())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
