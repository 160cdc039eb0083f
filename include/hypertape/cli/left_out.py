"""The rows of a store that belong to no series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypertape.cli.common import console, table
from hypertape.stores import LeavesOut, Selection

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening


def show_left_out(source: Opening, selection: Selection) -> None:
    """The rows that belong to no series, so that no line above counts them."""
    store = source.open()
    try:
        found = store.left_out(selection) if isinstance(store, LeavesOut) else []
    finally:
        store.close()
    if found:
        rows = [(each.rule, each.rows, "; ".join(each.sample)) for each in found]
        console().print(table("rows of no series, left out", ("rule", "rows", "for example"), rows))
