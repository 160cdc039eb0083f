"""Indicators at read time: the shipped ones and the project's, by the names they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hypertape.errors import BadInput, BadProject
from hypertape.indicators import ema
from hypertape.indicators._indicator import Floats, RequestedIndicator
from hypertape.model import PUBLIC_COLUMNS
from hypertape.project import Project, bad, find_project, load_module, of_code

GIVEN = ("open", "high", "low", "close", "volume")
LONGEST = 1_000
"""The longest length that may be asked for."""

_NAME = re.compile(r"[a-z][a-z_]*")
_SHIPPED = {ema.INDICATOR.name: ema.INDICATOR}


@dataclass(frozen=True, slots=True)
class Asked:
    """An indicator as it was asked for: under which name, and with which length."""

    name: str
    indicator: RequestedIndicator
    length: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what it computes: `rsi14`, or `bands20_upper`, `bands20_lower`."""
        suffixes = self.indicator.columns
        return tuple(f"{self.name}_{suffix}" for suffix in suffixes) if suffixes else (self.name,)

    @property
    def lookback(self) -> int | None:
        """Earlier bars that a value needs; None: all of the series."""
        needed = self.indicator.lookback
        return needed(self.length or 0) if callable(needed) else needed


def indicators_at_read(asked: Sequence[str], bars: Mapping[str, Floats]) -> dict[str, Floats]:
    """Compute the indicators that a reader asked for by name (`["rsi14", "ema26"]`) over bars of ONE series.

    `bars` has open, high, low, close, volume as float64 arrays of one length, in time order and without a hole in the
    series: from `lookback_at_read(asked)` bars before the first that is wanted on, or from the series' first where that
    is None; the caller then cuts those off. Returns a float64 array of the same length for each column, NaN where there
    is no value, in the order asked.
    Raises BadInput for a name nobody knows, with those there are, and BadProject where the project's code fails.
    """
    return {name: values for one in read_asked(asked) for name, values in _computed(one, bars).items()}


def lookback_at_read(asked: Sequence[str]) -> int | None:
    """Bars before a window that the indicators need that were asked for; None: all of the series. Raises BadInput."""
    needed = [one.lookback for one in read_asked(asked)]
    return None if None in needed else max((n for n in needed if n is not None), default=0)


def columns_at_read(asked: Sequence[str]) -> tuple[str, ...]:
    """The columns that `indicators_at_read` returns. Raises BadInput."""
    return tuple(column for one in read_asked(asked) for column in one.columns)


def read_asked(names: Sequence[str]) -> tuple[Asked, ...]:
    """Each name once, with what it means. Raises BadInput for one nobody knows."""
    return tuple(_asked(name) for name in dict.fromkeys(names))


def requested() -> dict[str, RequestedIndicator]:
    """All indicators at read time by name: the shipped ones and the project's that can be used."""
    return _SHIPPED | _of_project(find_project())[0]


def problems() -> tuple[BadProject, ...]:
    """What is wrong with the project's files of indicators."""
    return _of_project(find_project())[1]


def _asked(name: str) -> Asked:
    known = requested()
    stem = name.rstrip("0123456789")
    found = known.get(name) or known.get(stem)
    if found is not None and not found.with_length and found.name == name:
        return Asked(name, found)
    if found is not None and found.with_length and 0 < int(name[len(stem) :] or 0) <= LONGEST:
        return Asked(name, found, int(name[len(stem) :]))
    valid = [f"{it.name}N (N from 1 to {LONGEST})" if it.with_length else it.name for it in known.values()]
    broken = "".join(f" {error.what}." for error in problems())
    raise BadInput(
        f"There is no indicator {name!r}", next_step=f"Indicators: {', '.join(sorted(valid))}.{broken}"
    )


def _computed(asked: Asked, bars: Mapping[str, Floats]) -> dict[str, Floats]:
    indicator, rows = asked.indicator, len(bars["close"])
    inputs: list[Any] = [bars[name] for name in indicator.inputs]
    try:
        with np.errstate(all="ignore"):
            found = indicator.compute(*inputs, *([] if asked.length is None else [asked.length]))
        values = [found] if not indicator.columns else list(found)
        arrays = [np.asarray(one, np.float64) for one in values]
    except Exception as error:
        if indicator.file is None:
            raise
        raise of_code(indicator.file, error) from error
    shapes = [array.shape for array in arrays]
    if shapes != [(rows,)] * len(asked.columns):
        raise bad(
            indicator.file or Path(__file__),
            1,
            f"{asked.name} of {rows} bars gave arrays of {shapes}",
            f"Return {len(asked.columns)} of as many values as there are bars, NaN where there is none.",
        )
    return dict(zip(asked.columns, arrays, strict=True))


@cache
def _of_project(project: Project | None) -> tuple[dict[str, RequestedIndicator], tuple[BadProject, ...]]:
    found: dict[str, RequestedIndicator] = {}
    wrong: list[BadProject] = []
    for path in project.files("indicators", ".py") if project else ():
        try:
            indicator = _from_file(path)
            if indicator.name in found or indicator.name in _SHIPPED:
                raise bad(path, 1, f"there is an indicator {indicator.name} already", "Name it otherwise.")
            found[indicator.name] = indicator
        except BadProject as error:
            wrong.append(error)
    return found, tuple(wrong)


def _from_file(path: Path) -> RequestedIndicator:
    indicator = getattr(load_module(path), "INDICATOR", None)
    if not isinstance(indicator, RequestedIndicator):
        raise bad(
            path,
            1,
            "it defines no INDICATOR",
            "Write INDICATOR = RequestedIndicator(name=..., compute=...), from hypertape.indicators.",
        )
    strange = [name for name in indicator.inputs if name not in GIVEN]
    if strange or not indicator.inputs:
        raise bad(path, 1, f"there is no input {strange[:1]}", f"Inputs: {', '.join(GIVEN)}.")
    pattern = _NAME if indicator.with_length else re.compile(r"[a-z][a-z0-9_]*")
    if not pattern.fullmatch(indicator.name) or indicator.name in PUBLIC_COLUMNS:
        rule = "small letters and underscores" + ("" if indicator.with_length else ", digits")
        raise bad(path, 1, f"{indicator.name!r} cannot be its name", f"Use {rule}, and no name of a column.")
    return replace(indicator, file=path)
