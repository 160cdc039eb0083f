"""The law of rows: what came in is accounted for, or nothing is used."""

from __future__ import annotations

import pytest

from hypertape.errors import RowsLost
from hypertape.rows import RowCount, require_all


def test_every_row_is_something() -> None:
    count = RowCount(10, 5, 2, {"bad_time": 1, "off_grid": 1}, 1)
    assert count.lost == 0
    require_all({"VIC": count}, "The file")


@pytest.mark.parametrize("bars", [4, 6], ids=["lost", "made up"])
def test_a_row_nobody_accounts_for_is_told(bars: int) -> None:
    with pytest.raises(RowsLost, match=r"The file: 10 rows came in and .*VIC"):
        require_all({"OK": RowCount(1, 1), "VIC": RowCount(10, bars, 5)}, "The file")


def test_counts_add_up_and_travel() -> None:
    one, other = RowCount(3, 1, 1, {"a": 1}), RowCount(4, 1, 0, {"a": 1, "b": 1}, 1)
    assert one + other == RowCount(7, 2, 1, {"a": 2, "b": 1}, 1)
    assert RowCount.from_json((one + other).to_json()) == one + other
