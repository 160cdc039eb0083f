"""The whole chain in one process, quality included: a first run, a scheduled run after it, a run that finds faults."""

from __future__ import annotations

import pytest
from lab import CRYPTO, D1, query, walk, watermarks

from hypertape.frame import instant
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests

FIRST, SECOND = utc(2024, 3, 1, 1), utc(2024, 3, 5, 1)


@pytest.fixture(scope="module")
def chain(new_warehouse, tmp_path_factory):
    """Two runs without a start: the second one continues at the watermark."""
    root = tmp_path_factory.mktemp("chain")
    settings = Settings(state_dir=root / "state", batch_size=1)
    source = {"name": "csv_tree", "directory": str(root / "tree")}
    told = []
    with new_warehouse() as dsn:

        def run(days, now, **others):
            for seed, name in enumerate(("AAA", "BBB")):
                write(root / "tree" / name, days, seed)
            return sync(
                dsn, "crypto", "1d", now=now, source=source, settings=settings,
                on_step=lambda *step: told.append(step), **others,
            )  # fmt: skip

        yield (
            dsn,
            run(200, FIRST, start=utc(2023, 8, 14)),
            run(204, SECOND, start=utc(2010, 7, 17)),
            run(204, SECOND),
            told,
        )


def write(directory, days, seed):
    bars = walk(204, seed=seed, start=utc(2023, 8, 14))
    directory.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{directory.name},{instant(int(bars.time[at])):%Y-%m-%d},{bars.open[at]},{bars.high[at]},{bars.low[at]},"
        f"{bars.close[at]},{bars.volume[at] + 1}"
        for at in range(days)
    ]
    (directory / "1D.csv").write_text("\n".join(["ticker,time,open,high,low,close,volume", *rows]) + "\n")


def test_a_run_goes_through_every_step(chain):
    _, first, _, _, told = chain
    assert first.error is None
    assert {name: count for name, count in first.counts.items() if count} == {"inserted": 400}
    assert first.quality.critical == first.quality.broken == []
    assert first.quality.checks > 10
    assert first.rollups.differing == 0
    assert first.after.published.report.suffix == ".html"
    assert told[:7] == [
        ("load", 0, 2), ("load", 1, 2), ("load", 2, 2), ("validate", 0, 1), ("validate", 1, 1),
        ("refresh rollups", 0, 1), ("refresh rollups", 1, 1),
    ]  # fmt: skip


def test_a_run_over_a_part_of_history_moves_no_watermark(chain):
    assert chain[1].after.published.watermarks_moved == 0


def test_a_run_from_the_start_of_history_does(chain):
    dsn, _, second, _, _ = chain
    assert (second.counts["inserted"], second.counts["unchanged"]) == (8, 400)
    assert second.after.published.watermarks_moved == 2
    with connect(dsn) as connection:
        assert set(watermarks(connection, CRYPTO, D1).values()) == {SECOND}


def test_a_scheduled_run_reads_the_overlap_again_and_writes_nothing(chain):
    dsn, _, _, third, _ = chain
    assert third.error is None
    assert {name: third.counts[name] for name in ("inserted", "updated", "recomputed")} == {
        "inserted": 0, "updated": 0, "recomputed": 0,
    }  # fmt: skip
    assert third.counts["unchanged"] == 2 * 10
    assert [batch.window.to_json() for batch in third.plan.batches] == [
        [utc(2024, 2, 24).isoformat(), SECOND.isoformat()]
    ] * 2
    with connect(dsn) as connection:
        assert [found.rows for found in digests(connection, CRYPTO, D1)] == [204, 204]
        assert query(connection, "select count(*) from bar_revision") == [(0,)]
