"""`hypertape init` and `hypertape config`: a project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hypertape.cli.common import console
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadProject
from hypertape.project import FILE, find_project
from hypertape.settings import load_settings

config = typer.Typer(
    no_args_is_help=True, help="Settings and files of a project: what counts, and from where."
)


def init(
    directory: Annotated[Path, typer.Argument(help="Where the project will be; it may be there already.")],
) -> None:
    """Make a project: settings, tickers, markets, checks, sources and indicators of your own, beside the package.

    Nothing is overwritten. Examples start with an underscore and are not read until they are renamed.

    Example: `hypertape init tape`, then `cd tape` and `hypertape config show`.
    """
    from hypertape.steps.project import make_project

    written, kept = make_project(directory)
    for path in written:
        console().print(f"wrote {path}")
    for path in kept:
        console().print(f"kept  {path}: it was there")
    console().print(
        f"Commands use the project inside {directory}, or with HYPERTAPE_PROJECT={directory.absolute()}."
    )


@config.command()
def show(as_json: JsonOption = False) -> None:
    """Print every setting, its value (secrets masked), and where it came from: environment, file and line, default.

    Example: `hypertape config show --json`
    """
    from hypertape.steps.project import shown_settings

    rows = [(it.name, it.value, it.origin, it.variable) for it in shown_settings(load_settings())]
    show_table("settings", ("setting", "value", "from", "variable"), rows, as_json=as_json)


@config.command()
def check(as_json: JsonOption = False) -> None:
    """Look at every file of the project: what it adds, and why one cannot be used. Exits 2 where one cannot.

    Example: `hypertape config check`
    """
    from hypertape.steps.project import looked_at

    project = find_project()
    if project is None:
        raise BadProject(
            f"There is no {FILE} here or above",
            next_step="Make a project with `hypertape init DIR`, and work in it.",
        )
    load_settings()
    found = looked_at(project)
    rows = [(it.file, it.adds, "broken" if it.problem else "ok", it.problem) for it in found]
    show_table(f"project {project.root}", ("file", "adds", "state", "problem"), rows, as_json=as_json)
    broken = sum(it.problem is not None for it in found)
    if broken:
        raise BadProject(
            f"{broken} of {len(found)} files cannot be used", next_step="Mend the lines named above."
        )
