"""Every way bars come in ends in the one tail: rollups fresh and proven, gaps in the ledger, the suite, the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lab import D1, VN, query, scaled, to_frame, value, walk
from typer.testing import CliRunner

from hypertape.calendars import expected_times
from hypertape.cli import app
from hypertape.frame import Bars, empty_frame, instant, reject_frame
from hypertape.model import Window, utc
from hypertape.quality.gate import gate as judge
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.after_load import after_run, publish, specs_of
from hypertape.steps.backfill import BackfillRequest, backfill
from hypertape.steps.batch_tasks import extract_or_raise, load_or_raise
from hypertape.steps.checks import validate
from hypertape.steps.heal import find_gaps, heal, plan_heal
from hypertape.steps.plan import plan
from hypertape.steps.quarantine import replay
from hypertape.steps.refresh import refresh, refresh_waiting
from hypertape.steps.run_batch import gate
from hypertape.steps.run_spec import Batch, Landed, RunSpec
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.quarantine import Refused

NOW = utc(2024, 4, 1, 12)
WINDOW = Window(utc(2024, 2, 1), utc(2024, 4, 1))
TIMES = expected_times(VN, D1, WINDOW)
HOLES = (10, 11, 20)
"""Positions of the three rows that are taken away: two gaps."""

WEEKS = len({instant(int(time)).isocalendar().week for time in TIMES})


class Place:
    """A warehouse, and a directory with one series of which three rows are missing."""

    def __init__(self, dsn: str, root: Path) -> None:
        self.dsn, self.tree = dsn, root / "tree"
        self.settings = Settings(state_dir=root / "state")
        self.source = {"name": "csv_tree", "directory": str(self.tree)}
        bars = scaled(walk(len(TIMES), start=WINDOW.start), 100.0)  # dong
        self.whole = Bars(
            TIMES, bars.open, bars.high, bars.low, bars.close, bars.volume + 1, bars.adjusted_close
        )
        kept = [at for at in range(len(TIMES)) if at not in HOLES]
        self.holed = self.whole.take(kept)
        self.write(self.holed)

    def write(self, bars: Bars) -> None:
        (self.tree / "AAA").mkdir(parents=True, exist_ok=True)
        lines = ["ticker,time,open,high,low,close,volume"]
        for at in range(len(bars)):
            values = (getattr(bars, name)[at] for name in ("open", "high", "low", "close", "volume"))
            day = f"{instant(int(bars.time[at])):%Y-%m-%d}"
            lines.append(",".join(["AAA", day, *(repr(float(number)) for number in values)]))
        (self.tree / "AAA" / "1D.csv").write_text("\n".join(lines) + "\n")

    @property
    def asked(self) -> dict[str, Any]:
        return {"source": self.source, "settings": self.settings, "now": NOW}

    def load(self, bars: Bars, run_id: str, source: str, **others: Any) -> None:
        """Load past the runs, as a store or a migration does."""
        request = LoadRequest(VN, D1, run_id, source, WINDOW, NOW, **others)
        with connect(self.dsn) as connection:
            load_bars(connection, to_frame({"AAA": bars}), request)
            connection.commit()


def by_sync(place: Place) -> None:
    sync(place.dsn, "vn", "1d", run_id="run", start=WINDOW.start, end=WINDOW.end, **place.asked)


def by_backfill(place: Place) -> None:
    request = BackfillRequest("overwrite", start=WINDOW.start, end=WINDOW.end, source=place.source)
    backfill(place.dsn, "vn", "1d", request, run_id="run", now=NOW, dry_run=False, settings=place.settings)


def by_heal(place: Place) -> None:
    """Of a series that nobody completed: healing brings all but the three."""
    place.load(place.holed.take(slice(0, 5)), "before", "csv_tree")
    planned = plan_heal(place.dsn, "vn", "1d", run_id="run", **place.asked)
    heal(place.dsn, planned, now=NOW, settings=place.settings)


def by_reread(place: Place) -> None:
    """The vendor restates its history; what is read again is the same run's."""
    place.load(place.holed.take(slice(0, 30)), "before", "csv_tree")
    prices = {name: getattr(place.holed, name) * 0.5 for name in ("open", "high", "low", "close")}
    halved = Bars(place.holed.time, *prices.values(), place.holed.volume, place.holed.adjusted_close)
    place.write(halved)
    done = sync(
        place.dsn, "vn", "1d", run_id="run", start=instant(int(TIMES[26])), end=WINDOW.end, **place.asked
    )
    assert done.restated.reread == 1


def by_replay(place: Place) -> None:
    """All rows wait in quarantine: they were ahead of their time."""
    early = WINDOW.start
    gated = judge(to_frame({"AAA": place.holed}), VN, D1, now=early - timedelta(days=1))
    place.load(place.holed.take(slice(0, 1)), "before", "csv_tree", rejects=gated.rejects)
    replay(place.dsn, Refused(), run_id="run", now=NOW, settings=place.settings)


def by_any_store(place: Place) -> None:
    """Loads that no plan stands behind, and then the tail of their run."""
    place.load(place.holed, "run", "csv:/somewhere")
    after_run(place.dsn, "run", now=NOW, settings=place.settings)


def by_verb(words: str, place: Place) -> None:
    """As an operator does it."""
    database = place.tree.parent / "vn_data.db"
    for line in words.split("; "):
        arguments = line.format(tree=place.tree, database=database).split()
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output


def by_tasks(place: Place) -> None:
    """A DAG's tasks, with JSON between them."""
    planned = plan(place.dsn, "vn", "1d", run_id="run", data_interval=WINDOW, exact=True, **place.asked)
    spec = RunSpec.from_json(json.loads(json.dumps(planned.to_json())))
    how: dict[str, Any] = {"settings": place.settings, "now": NOW}
    for batch in planned.to_json()["batches"]:
        landed = extract_or_raise(place.dsn, spec, Batch.from_json(batch), **how).to_json()
        landed = gate(spec, Landed.from_json(landed), **how).to_json()
        load_or_raise(place.dsn, spec, Landed.from_json(landed), **how)
    validate(place.dsn, spec, **how)
    refresh(place.dsn, spec)
    publish(place.dsn, spec, **how)


WAYS = {
    "sync": by_sync,
    "backfill": by_backfill,
    "heal": by_heal,
    "reread": by_reread,
    "replay of quarantine": by_replay,
    "a store": by_any_store,
    "import": partial(by_verb, "import --input {tree} --market vn"),
    "copy": partial(by_verb, "copy csv:{tree} warehouse --market vn"),
    "migrate": partial(by_verb, "copy csv:{tree} sqlite:{database} --market vn; migrate sqlite {database}"),
    "the tasks of a DAG": by_tasks,
}


@pytest.fixture
def place(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    return Place(warehouse, tmp_path)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_three_missing_rows_are_in_the_ledger_the_suite_and_the_report(
    place: Place, way: Callable[[Place], None]
) -> None:
    way(place)
    with connect(place.dsn) as connection:
        assert value(connection, "select count(*) from bars.market_data_1d") == len(place.holed)
        run_id = value(connection, "select run_id from load order by load_id desc limit 1")
        gaps = query(
            connection,
            "select sessions from gap where closed_at is null and start_time >= %s and start_time < %s order by 1 desc",
            WINDOW.start,
            instant(int(TIMES[-1])),
        )
        suites = query(
            connection, "select distinct suite from quality_result where run_id = %s order by 1", run_id
        )
        differing = value(
            connection, "select coalesce(sum(unexpected), 0) from quality_result where suite = 'rollups'"
        )
        missing = query(
            connection,
            "select status, unexpected from quality_result where run_id = %s and expectation = 'sessions_complete'",
            run_id,
        )
        assert value(connection, "select count(*) from rollup_pending") == 0
        assert value(connection, "select count(*) from bars.market_data_1w") == WEEKS
    assert gaps == [(2,), (1,)]
    assert suites == [("market_data_1d",), ("rollups",)]
    assert differing == 0
    assert missing == [("failed", 3)]
    (report,) = (
        page.read_text(encoding="utf-8")
        for page in (place.settings.state_dir / "reports").glob("*.html")
        if page.stem == run_id
    )
    assert "sessions_complete" in report
    assert instant(int(TIMES[HOLES[0]])).strftime("%Y-%m-%d") in report


def test_a_run_over_several_relations_has_a_spec_for_each(place: Place) -> None:
    place.load(place.holed, "run", "csv:/somewhere")
    (spec,) = specs_of(place.dsn, "run", now=NOW)
    assert (spec.market.code, spec.interval, spec.source) == ("vn", D1, SourceConfig("csv:/somewhere"))
    assert spec.window == WINDOW
    assert specs_of(place.dsn, "another", now=NOW) == []


# what a killed run leaves


def killed_before_its_refresh(place: Place) -> None:
    place.load(place.holed, "killed", "csv_tree")


def by_empty_replay(place: Place) -> None:
    replay(place.dsn, Refused(), run_id="again", now=NOW, settings=place.settings)


def by_idle_heal(place: Place) -> None:
    planned = plan_heal(place.dsn, "vn", "1d", run_id="again", reasons=["fetch failed"], **place.asked)
    assert planned.batches == ()


def by_run(place: Place) -> None:
    sync(place.dsn, "vn", "1d", run_id="again", **place.asked)


def by_look(place: Place) -> None:
    find_gaps(place.dsn, "vn", "1d", now=NOW)


@pytest.mark.parametrize("command", [by_empty_replay, by_idle_heal, by_run, by_look])
def test_what_waits_for_its_refresh_is_refreshed_by_the_next_command(place: Place, command: Any) -> None:
    killed_before_its_refresh(place)
    with connect(place.dsn) as connection:
        assert value(connection, "select count(*) from rollup_pending") == 1
    command(place)
    with connect(place.dsn) as connection:
        assert value(connection, "select count(*) from rollup_pending") == 0
        assert value(connection, "select count(*) from bars.market_data_1w") > 0


def test_what_others_left_waiting_long_ago_is_refreshed_too(place: Place) -> None:
    killed_before_its_refresh(place)
    other = Window(utc(2024, 3, 1), utc(2024, 3, 5))
    elsewhere = partial(refresh_waiting, place.dsn, "crypto", "crypto", "1d", other.end)
    elsewhere()
    with connect(place.dsn) as connection:
        assert value(connection, "select count(*) from rollup_pending") == 1, "its own run may be at it"
        connection.execute("update load set loaded_at = loaded_at - interval '11 minutes'")
        connection.commit()
    elsewhere()
    with connect(place.dsn) as connection:
        assert value(connection, "select count(*) from rollup_pending") == 0


def test_rejects_alone_are_a_run_too(place: Place) -> None:
    """A file of which nothing can be read has a tail: its report tells of the refused rows."""
    rejects = reject_frame([("AAA", None, "bad_time", "x", "{}")])
    request = LoadRequest(VN, D1, "run", "csv:/x", WINDOW, NOW, rejects=rejects, fetched={"AAA": 1})
    with connect(place.dsn) as connection:
        load_bars(connection, empty_frame(), request)
        connection.commit()
    (tail,) = after_run(place.dsn, "run", now=NOW, settings=place.settings)
    assert tail.published.report is not None
    assert tail.published.report.is_file()
