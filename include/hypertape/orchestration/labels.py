"""Names for mapped tasks: the tickers of the batch instead of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BATCH_LABEL = "{{ batch_label(task.op_args[0]) }}"
"""The `map_index_template` of a task whose first argument is a batch or a reference to one."""

UNIT_LABEL = "{{ unit_label(task.op_kwargs['batch']) }}"
"""The same, with the window, for a task that is mapped over its argument `batch`: batches have several."""

MAPPED_BATCH_LABEL = "{{ batch_label(task.op_kwargs['batch']) }}"
"""That of a task that is itself mapped over its argument `batch`, and not in a group that is."""

PART_LABEL = "{{ batch_label(task.op_kwargs['part']) }}"
"""The same for a task that is mapped over its argument `part`."""

_SHOWN = 3


def batch_label(value: Mapping[str, Any]) -> str:
    """Name a batch, or the reference to one, by its tickers."""
    return tickers_label(value.get("batch", value)["tickers"])


def unit_label(value: Mapping[str, Any]) -> str:
    """Name a batch, or the reference to one, by its window's dates and its tickers."""
    start, end = (instant[:10] for instant in value.get("batch", value)["window"])
    return f"{start} – {end} {batch_label(value)}"


def tickers_label(tickers: Sequence[str]) -> str:
    """Write a few tickers out and many as `ACB, BID … VIC (50)`."""
    if len(tickers) <= _SHOWN:
        return ", ".join(tickers)
    return f"{', '.join(tickers[: _SHOWN - 1])} … {tickers[-1]} ({len(tickers)})"
