"""Secrets from files, as containers and service managers hand them over: `NAME_FILE` names one that holds `NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypertape.errors import BadSetting

_MOST_BYTES = 65_536


def secret_in_file(variable: str, environment: Mapping[str, str]) -> str | None:
    """The content of the file that `<variable>_FILE` names, without white space around it; None where it names none.

    Raises BadSetting where both are set, or the file cannot be read or is empty. What is in it is never told.
    """
    path = environment.get(f"{variable}_FILE")
    if not path:
        return None
    if environment.get(variable):
        raise BadSetting(f"{variable} and {variable}_FILE are both set", next_step="Unset one of them.")
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_BYTES).decode().strip()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadSetting(
            f"{variable}_FILE={path} cannot be read: {why}", next_step="Correct or unset it."
        ) from error
    except UnicodeDecodeError:
        raise BadSetting(f"{variable}_FILE={path} is no text", next_step="Correct or unset it.") from None
    if not text:
        raise BadSetting(f"{variable}_FILE={path} is empty", next_step="Write the secret into it.")
    return text
