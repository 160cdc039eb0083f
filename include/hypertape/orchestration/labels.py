"""Names for mapped tasks: the tickers of the batch instead of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BATCH_LABEL = "{{ batch_label(task.op_kwargs) }}"
"""The `map_index_template` of a task whose argument is a batch or a reference to one."""

_SHOWN = 3


def batch_label(arguments: Mapping[str, Any]) -> str:
    """Name a batch by its tickers, from the arguments of one of its tasks."""
    batch = arguments["batch"] if "batch" in arguments else arguments["reference"]["batch"]
    return tickers_label(batch["tickers"])


def tickers_label(tickers: Sequence[str]) -> str:
    """Write a few tickers out and many as `ACB, BID … VIC (50)`."""
    if len(tickers) <= _SHOWN:
        return ", ".join(tickers)
    return f"{', '.join(tickers[: _SHOWN - 1])} … {tickers[-1]} ({len(tickers)})"
