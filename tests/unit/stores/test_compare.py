"""Comparing two stores bar by bar: the counts are those of plain sets, however the bars fall into blocks."""

import numpy as np
import pyarrow as pa
import pytest
from store_lab import D1, NOW, VN, blocks, frame, series

from hypertape.stores.compare import compare_series
from hypertape.stores.csv import CsvStore
from hypertape.stores.sqlite import SqliteStore

AAA = series("vn", "AAA")


def stored(root, table, keep, changes=()):
    """A store with some rows of a table, the adjusted closes of `changes` doubled."""
    adjusted = table["adjusted_close"].to_numpy().copy()
    adjusted[list(changes)] *= 2
    at = table.schema.get_field_index("adjusted_close")
    table = table.set_column(at, table.schema.field(at), pa.array(adjusted))
    store = SqliteStore(root, now=NOW)
    store.write(VN, D1, blocks(table.filter(pa.array(keep))))
    return store


@pytest.mark.parametrize("rows", [1, 3, 50, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_the_counts_are_those_of_sets(tmp_path, rows, seed):
    random = np.random.default_rng(seed)
    table, other = frame("AAA", 120, adjusted=True), frame("AAA", 120, seed=99, adjusted=True)
    ours, theirs, prices, adjusted = (random.random(120) < share for share in (0.6, 0.6, 0.1, 0.1))
    mixed = pa.concat_tables([(other if moved else table).slice(row, 1) for row, moved in enumerate(prices)])
    found = compare_series(
        stored(tmp_path / "1", table, ours), stored(tmp_path / "2", mixed, theirs, np.flatnonzero(adjusted)), AAA,
        start=None, now=NOW, rows=rows,
    )  # fmt: skip
    both = ours & theirs
    expected = (ours & ~theirs, both & prices, both & adjusted & ~prices, theirs & ~ours)
    assert (found.missing, found.different, found.adjusted, found.extra) == tuple(
        int(m.sum()) for m in expected
    )
    assert (found.source.rows, found.target.rows) == (ours.sum(), theirs.sum())
    assert not found.holds


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_short_source_in_a_long_target_and_the_other_way_round(tmp_path, rows):
    table = frame("AAA", 200)
    short, long = CsvStore(tmp_path / "short"), CsvStore(tmp_path / "long")
    short.write(VN, D1, blocks(pa.concat_tables([table.slice(5, 1), table.slice(150, 1)])))
    long.write(VN, D1, blocks(table))
    found = compare_series(short, long, AAA, start=None, now=NOW, rows=rows)
    assert (found.holds, found.equal, found.extra) == (True, False, 198)
    back = compare_series(long, short, AAA, start=None, now=NOW, rows=rows)
    assert (back.holds, back.missing, back.extra) == (False, 198, 0)


def test_a_target_that_has_nothing_is_not_asked(tmp_path):
    source = CsvStore(tmp_path / "from")
    source.write(VN, D1, blocks(frame("AAA", 20)))
    found = compare_series(source, CsvStore(tmp_path / "none"), AAA, start=None, now=NOW, held=False)
    assert (found.missing, found.target.rows, found.extra) == (20, 0, 0)
