"""The house rules that no linter knows: where things live, how long they are, and that the documents keep up."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

import hypertape
from hypertape import errors
from hypertape.cli import app
from hypertape.settings import Settings, variable_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "include" / "hypertape"
MODULES = sorted(PACKAGE.rglob("*.py"))
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
QUERIES = sorted((ROOT / "sql" / "queries").glob("*.sql"))
SCRIPTS = sorted((ROOT / "sql").rglob("*.sql"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
GUIDE = [
    ROOT / "README.md",
    *(path for path in DOCUMENTS if path.is_relative_to(ROOT / "docs") and path not in DECISIONS),
]
"""What a user reads to find out how: the README, and docs/ without the reasons."""

LONG_FILES: dict[str, str] = {
    "include/hypertape/errors.py": "one flat tree, a few lines a class",
    "include/hypertape/model.py": "the vocabulary, flat, once",
    "include/hypertape/settings.py": "every setting, flat, once",
}
"""Modules over the limit, each with the reason (a long, flat, clear table is fine)."""

CLOCK_ROOMS = ("cli", "orchestration")
"""Rooms that may ask what time it is; everybody else is told."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(read(path))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


# --- length


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_short(path: Path) -> None:
    limit = 300 if name_of(path) not in LONG_FILES else 600
    assert len(read(path).splitlines()) <= limit, "split it by purpose, or give the reason in LONG_FILES"


def test_the_list_of_long_files_is_current() -> None:
    assert [name for name in LONG_FILES if len(read(ROOT / name).splitlines()) <= 300] == []


def test_dag_files_are_short() -> None:
    assert {name_of(path): n for path in DAG_FILES if (n := len(read(path).splitlines())) > 120} == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_function_is_short(path: Path) -> None:
    long = [
        f"{node.name} ({length} lines)"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert long == []


# --- who may do what


def reads_environment(tree: ast.Module) -> bool:
    doors = {"environ", "environb", "getenv"}
    return any(
        (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in doors)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & doors)
        for node in ast.walk(tree)
    )


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def clock_reads(tree: ast.Module) -> Iterator[str]:
    """Calls of the wall clock; `time.monotonic` and `time.perf_counter` measure spans and are fine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).split(".")[-1]
            if (owner, node.func.attr) in {
                ("datetime", "now"),
                ("datetime", "utcnow"),
                ("datetime", "today"),
                ("date", "today"),
                ("time", "time"),
            }:
                yield f"line {node.lineno}: {ast.unparse(node.func)}"


def test_only_settings_and_the_project_read_the_environment() -> None:
    """Which project it is has to be known before its settings are."""
    readers = ["include/hypertape/project.py", "include/hypertape/settings.py"]
    assert [name_of(p) for p in MODULES if reads_environment(tree_of(p))] == readers


def test_only_orchestration_imports_airflow() -> None:
    guilty = [p for p in MODULES if room_of(p) != "orchestration" and "airflow" in imported(tree_of(p))]
    assert [name_of(path) for path in guilty] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_library_code_is_told_the_time(path: Path) -> None:
    if room_of(path) not in CLOCK_ROOMS:
        assert list(clock_reads(tree_of(path))) == []


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("import os\nos.environ['A']", True),
        ("import os\nos.getenv('A')", True),
        ("from os import environ", True),
        ("import os\nos.getpid()", False),
    ],
)
def test_the_environment_rule_itself(code: str, reads: bool) -> None:
    assert reads_environment(ast.parse(code)) is reads


# --- SQL

STATEMENT = re.compile(
    r"\bselect\b.+\bfrom\b|\binsert\s+into\b|\bupdate\s+\S+\s+set\b|\bdelete\s+from\b|\bmerge\s+into\b|\btruncate\s+table\b"
    r"|\b(create|alter|drop)\s+(table|view|schema|index|role|database|function|extension)\b|\bcopy\b.+\b(from|to)\s+std",
    re.IGNORECASE | re.DOTALL,
)
KEYWORD = re.compile(
    r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|JOIN|ORDER BY|GROUP BY|VALUES|BEGIN|RETURNS)\b"
)


def formatted_statements(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            if STATEMENT.search(text):
                yield f"line {node.lineno}: {text[:60]}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_statement_is_built_by_an_f_string(path: Path) -> None:
    assert list(formatted_statements(tree_of(path))) == [], "use sql/queries and psycopg.sql"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("f'select * from {table}'", True),
        ("f'create database {name}'", True),
        ("f'Update {name} and choose one from {names}'", False),  # a sentence
        ("'select 1 from t'", False),  # constant text cannot be injected into
    ],
)
def test_the_f_string_rule_itself(code: str, found: bool) -> None:
    assert bool(list(formatted_statements(ast.parse(code)))) is found


TRANSLATORS = {
    "warehouse/connect.py",  # of every connection of ours, in its `wait`
    "api/pool.py",  # whose connections are psycopg_pool's
    "warehouse/pins.py",  # on one of the pool's, without the server's place: its words reach the API's clients
}
OPENERS = {
    "orchestration/lifecycle.py",  # Airflow's own database
}


@pytest.mark.parametrize(
    ("call", "rooms"),
    [
        # a statement on a connection of ours needs no wrapping: see WarehouseConnection
        pytest.param("translate_errors(", TRANSLATORS, id="errors are translated by the connection"),
        pytest.param("psycopg.connect(", OPENERS, id="a connection is ours"),
        pytest.param("psycopg.Connection.connect(", set(), id="a connection is ours, by its class"),
        pytest.param("ConnectionPool(", {"api/pool.py"}, id="one pool"),
    ],
)
def test_failures_of_the_database_are_translated_in_one_place(call: str, rooms: set[str]) -> None:
    package = ROOT / "include" / "hypertape"
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if call in read(path)}
    assert found == rooms


def test_every_query_says_what_it_is_for() -> None:
    assert [name_of(path) for path in QUERIES if not read(path).startswith("-- ")] == []


def test_every_query_is_used() -> None:
    """By its name in quotes; a quality rule names its query without the prefix."""
    names = set(re.findall(r"[\"']([a-z0-9_]+)[\"']", "\n".join(read(path) for path in MODULES)))
    assert [q.stem for q in QUERIES if not {q.stem, q.stem.removeprefix("quality_")} & names] == []


def test_sql_keywords_are_lowercase() -> None:
    without_remarks = {path: re.sub(r"--[^\n]*|'[^']*'", "", read(path)) for path in SCRIPTS}
    assert {
        name_of(p): found for p, text in without_remarks.items() if (found := KEYWORD.findall(text))
    } == {}


# --- errors

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.HypertapeError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_error_has_a_message_and_a_branch(kind: type[errors.HypertapeError]) -> None:
    assert kind.__dict__.get("__doc__"), "the docstring is the default message"
    branches = (errors.TransientError, errors.TerminalError)
    assert kind is errors.HypertapeError or sum(issubclass(kind, branch) for branch in branches) == 1


def test_the_tree_of_errors_is_current() -> None:
    tree = (errors.__doc__ or "").split("\n\n")[1]
    drawn = re.findall(r"(?:^|── |, )((?:[A-Z][a-z]+)+)\b", tree, re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in ERRORS)


# --- documents


def make_targets() -> list[str]:
    return re.findall(r"^([a-z]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE)


@pytest.mark.parametrize("target", make_targets())
def test_the_guide_knows_the_make_target(target: str) -> None:
    wanted = "`make` alone" if target == "help" else f"make {target}"
    assert any(wanted in read(page) for page in GUIDE)


COMMANDS = typer.main.get_command(app)


def leaves(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command of the tree by its words; groups only where they do something by themselves."""
    children = getattr(command, "commands", {})
    if not children:
        return {path: command}
    itself = {path: command} if path and command.invoke_without_command else {}
    return itself | {
        leaf: it for name, child in children.items() for leaf, it in leaves(child, (*path, name)).items()
    }


def examples_of(words: tuple[str, ...]) -> list[str]:
    """The commands of that verb which its help shows: as code spans in its text, after "Example:", or as lines."""
    command = leaves(COMMANDS)[words]
    text = " ".join((command.help or "").split())
    spans = re.findall(r"`(hypertape [^`]+)`", text) + re.findall(
        r"Example: (?:\w+=\S+ )?(hypertape [^;.]+)", text
    )
    lines = re.findall(r"^(?:Example: )?(hypertape .+)$", command.epilog or "", re.M)
    return [shown for shown in spans + lines if shown.startswith(f"hypertape {' '.join(words)}")]


@pytest.mark.parametrize("words", leaves(COMMANDS), ids=" ".join)
def test_help_of_every_verb_has_an_example(words: tuple[str, ...]) -> None:
    assert examples_of(words)


def written_commands() -> list[str]:
    """Every `hypertape …` in a code span or a console line of the documents and the errors' advice."""
    texts = [read(path) for path in DOCUMENTS] + [read(PACKAGE / "errors.py")]
    texts += [f"`{shown}`" for words in leaves(COMMANDS) for shown in examples_of(words)]
    found = [
        it
        for text in texts
        for it in re.findall(r"`hypertape ([a-z][^`#]*)`|^\$ hypertape ([^#\n]*)", text, re.M)
    ]
    return sorted({" ".join((span or line).replace("…", " ").split()) for span, line in found})


def takes_arguments(command: Any) -> bool:
    return any(parameter.param_type_name == "argument" for parameter in command.params)


@pytest.mark.parametrize("line", written_commands())
def test_written_command_exists(line: str) -> None:
    words = line.split()
    path = tuple(itertools.takewhile(lambda word: not word.startswith("-"), words))
    meant = [
        command
        for leaf, command in leaves(COMMANDS).items()
        if leaf[: len(path)] == path or (path[: len(leaf)] == leaf and takes_arguments(command))
    ]
    assert meant, f"there is no `hypertape {' '.join(path)}`"
    if any(command.context_settings.get("ignore_unknown_options") for command in meant):
        return  # its options are those of the program it starts
    known = {
        option
        for command in meant
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("words", leaves(COMMANDS), ids=" ".join)
def test_the_guide_shows_the_command(words: tuple[str, ...]) -> None:
    lines = [line for page in GUIDE for line in read(page).splitlines()]
    assert any(
        line.startswith(f"$ hypertape {words[0]}") and re.search(rf"\b{words[-1]}\b", line) for line in lines
    )


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_reference_and_settings_explain_the_variable(field: str) -> None:
    variable = variable_of(field)
    assert f"| `{variable}` |" in read(ROOT / "docs" / "reference" / "settings.md")
    assert f"| {variable} |" in read(PACKAGE / "settings.py")


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["version"]
    assert hypertape.__version__ == version
    assert f"## [{version}] - " in read(ROOT / "CHANGELOG.md")


def requirements() -> list[str]:
    lines = read(ROOT / "requirements.in").splitlines()
    return sorted({match[0] for line in lines if (match := re.match(r"[a-z0-9-]+", line))})


@pytest.mark.parametrize("package", requirements())
def test_requirement_is_locked_and_has_its_reason(package: str) -> None:
    assert re.search(rf"^{package}==", read(ROOT / "requirements.txt"), re.MULTILINE), "run `make lock`"
    assert f"`{package}`" in read(ROOT / "docs" / "decisions" / "0007-dependencies.md")


def test_every_import_is_required() -> None:
    ours = {"hypertape", "benchmarks"} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
    folders = ("include", "dags", "plugins", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    used = set().union(*(imported(tree_of(path)) for path in files)) - ours - sys.stdlib_module_names
    providers = metadata.packages_distributions()
    required = {re.sub(r"[-_.]+", "-", name) for name in requirements()}
    missing = {
        name
        for name in used
        if not {re.sub(r"[-_.]+", "-", d.lower()) for d in providers.get(name, [])} & required
    }
    assert missing - {"airflow"} == set(), (
        "name it in requirements.in: what is imported is not left to chance"
    )


def test_the_lock_names_no_index() -> None:
    assert not re.search(r"https?://|--(extra-)?index|--find-links|file:", read(ROOT / "requirements.txt"))


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_decision_is_one_page_with_the_three_parts(path: Path) -> None:
    text = read(path)
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    words = [word for word in text.split() if word.strip("|-")]  # the rules of a table are no words
    assert len(words) <= 700, "a decision is one page at most"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)]+)\)", read(path)) if "://" not in t]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their base names: of two with one name the second is not collected."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    twice = [
        same
        for name in {path.name for path in files}
        if len(same := [f for f in files if f.name == name]) > 1
    ]
    assert not twice, [sorted(map(name_of, same)) for same in twice]
