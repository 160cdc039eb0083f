"""`hypertape completion`: what makes a shell complete verbs and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

PROGRAM, VARIABLE = "hypertape", "_HYPERTAPE_COMPLETE"


class Shell(StrEnum):
    """A shell that can be told."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print a script that lets your shell complete verbs and options.

    Example: `hypertape completion bash` >> ~/.bashrc
    """
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell))


__all__ = ["completion", "completion_init"]
