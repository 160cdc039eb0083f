"""Where bars wait between tasks: Parquet files under the landing URL, local or on any fsspec file system.

Layout: `<landing>/<run>/<batch>/{answer,bars,rejects,dividends,splits,clean,refused}`; names are quoted, so that any
run id is a directory.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hypertape.model import Interval
from hypertape.rows import RowCount
from hypertape.settings import Settings
from hypertape.sources import Fetched
from hypertape.steps.failures import Failure, Failures, failures_from_json, failures_to_json
from hypertape.steps.run_spec import Batch, Json, RunSpec
from hypertape.storage import newest, open_file, remove, storage_errors, store_of
from hypertape.warehouse.actions import KINDS, Answer, Span, keep_actions, note_refused

Connection = psycopg.Connection[Any]

_LOG = logging.getLogger(__name__)

_COMPRESSION = "zstd"

RAW = "raw"
"""Where raw answers lie in the landing area: not a run, and kept for longer."""


class Landing:
    """One batch's directory."""

    def __init__(self, root: str, run_id: str, batch: int | str) -> None:
        self.url = f"{root.rstrip('/')}/{quote(run_id, safe='')}/{batch}"

    def write(self, name: str, table: pa.Table) -> None:
        """Write a table; the file appears whole or not at all on local disks."""
        with storage_errors(), open_file(f"{self.url}/{name}.parquet", "wb") as file:
            pq.write_table(table, file, compression=_COMPRESSION)

    def read(self, name: str) -> pa.Table:
        """Read a table back."""
        with storage_errors(), open_file(f"{self.url}/{name}.parquet") as file:
            return pq.read_table(file)

    def write_json(self, name: str, value: Any) -> None:
        """Write a small JSON document."""
        with storage_errors(), open_file(f"{self.url}/{name}.json", "w") as file:
            json.dump(value, file)

    def read_json(self, name: str) -> Any | None:
        """Read a JSON document, or None when it was never written."""
        try:
            with storage_errors(), open_file(f"{self.url}/{name}.json") as file:
                return json.load(file)
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Received:
    """What a batch's sources said beside the tables. It lies in the landing area as `answer.json`.

    `counted` holds the bars expected and got; `asked` are the tickers of the last request and `seconds` the share that
    each of them took. `rows` accounts for every row that came in, `answered_until` says how far an answer reaches, and
    `newest` which bar is its last, by ticker. `left` are the tickers that a worker loaded in the run's place.
    """

    at: datetime
    failed: Failures = field(default_factory=dict)
    fetched: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    served_by: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    seconds: float = 0.0
    rows: Mapping[str, RowCount] = field(default_factory=dict)
    answered_until: Mapping[str, datetime] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @classmethod
    def of(cls, fetched: Fetched, before: Received | None, now: datetime) -> Received:
        """Note an answer, after what an earlier try of the batch brought."""
        rows = Counter(fetched.bars["ticker"].to_pylist() if len(fetched.bars) else ())
        rows.update(fetched.rejects["ticker"].to_pylist())
        known = before or cls(now)
        return cls(
            at=now,
            failed={ticker: Failure.of(error) for ticker, error in sorted(fetched.failures.items())},
            fetched={**known.fetched, **rows},
            counted={**known.counted, **fetched.counted},
            short=tuple(sorted({*known.short, *fetched.short})),
            served_by={**known.served_by, **fetched.served_by},
            rows={**known.rows, **fetched.rows},
            answered_until={**known.answered_until, **fetched.answered_until},
            newest={**known.newest, **fetched.newest},
            left=known.left,
        )

    @classmethod
    def read(cls, place: Landing) -> Received | None:
        """Read what a batch's place has, or None."""
        value: Json | None = place.read_json("answer")
        if value is None:
            return None
        return cls(
            **{
                **value,
                "at": datetime.fromisoformat(value["at"]),
                "failed": failures_from_json(value["failed"]),
                "counted": {ticker: (pair[0], pair[1]) for ticker, pair in value["counted"].items()},
                "short": tuple(value["short"]),
                "asked": tuple(value["asked"]),
                "left": tuple(value.get("left", ())),
                "rows": {ticker: RowCount.from_json(count) for ticker, count in value["rows"].items()},
                "answered_until": _instants(value["answered_until"]),
                "newest": _instants(value["newest"]),
            }
        )

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            **asdict(self),
            "at": self.at.isoformat(),
            "failed": failures_to_json(self.failed),
            "rows": {ticker: count.to_json() for ticker, count in self.rows.items()},
            "answered_until": {ticker: at.isoformat() for ticker, at in self.answered_until.items()},
            "newest": {ticker: at.isoformat() for ticker, at in self.newest.items()},
        }


def _instants(texts: Mapping[str, str]) -> dict[str, datetime]:
    return {ticker: datetime.fromisoformat(text) for ticker, text in texts.items()}


def keep_landed_actions(
    connection: Connection, spec: RunSpec, batch: Batch, *, settings: Settings, now: datetime
) -> dict[str, int]:
    """Keep the corporate actions of a batch that landed, withdraw those its sources no longer report, and note and tell
    of those that cannot be meant.

    Returns the counts (`splits_new`, `dividends_withdrawn`, `actions_refused`, …). The caller commits.
    """
    place = Landing(settings.landing, spec.run_id, batch.name)
    received = Received.read(place) or Received(now)
    answer = _answer(spec, batch, received, place.read("bars"), now)
    refused = place.read("refused_actions")
    for action in note_refused(connection, spec.market, refused, answer):
        _LOG.warning(
            "%s: a %s of %s is not kept: %s", action["ticker"], action["kind"].replace("_", " "),
            f"{action['time']:%Y-%m-%d}" if action["time"] else "no date", action["reason"],
        )  # fmt: skip
    counts: Counter[str] = Counter(actions_refused=len(refused))
    for table, kind in KINDS.items():
        of_kind = refused.filter(pc.equal(refused["kind"], kind))
        kept = keep_actions(connection, spec.market, table, place.read(table), answer, of_kind)
        counts.update({f"{table}_{what}": count for what, count in asdict(kept).items()})
    return dict(counts)


def _answer(spec: RunSpec, batch: Batch, received: Received, bars: pa.Table, now: datetime) -> Answer:
    """Whose word it is, and of which tickers it is whole: those that neither failed nor came short, of daily bars.

    Minutes and hours come by parts, of which a vendor may skip one without an error.
    """
    sources = {ticker: received.served_by.get(ticker, spec.source.name) for ticker in batch.tickers}
    doubtful = {*received.failed, *received.short}
    daily = bars if spec.interval is Interval.D1 else bars.slice(0, 0)
    ends = daily.group_by("ticker").aggregate([("time", "min"), ("time", "max")]).to_pylist()
    spans: dict[str, Span] = {row["ticker"]: (row["time_min"], row["time_max"]) for row in ends}
    complete = {ticker: span for ticker, span in spans.items() if ticker not in doubtful}
    return Answer(spec.run_id, now, batch.window, sources, complete, replayed=bool(spec.source.replay))


def clear(root: str, run_id: str) -> None:
    """Remove what a run has landed; its raw answers stay."""
    files, path = store_of(Landing(root, run_id, "").url.rstrip("/"))
    with storage_errors():
        remove(files, path)


def sweep(root: str, now: datetime, days: int, raw_days: int | None = None) -> int:
    """Remove the runs whose newest file is older than `days`, and raw answers of runs older than `raw_days`.

    Returns how many runs' directories went. Without `raw_days` raw answers stay.
    """
    went = _sweep(root, now - timedelta(days=days))
    if raw_days is not None:
        went += _sweep(f"{root.rstrip('/')}/{RAW}", now - timedelta(days=raw_days))
    return went


def _sweep(root: str, oldest: datetime) -> int:
    files, path = store_of(root)
    with storage_errors():
        if not files.exists(path):
            return 0
        runs = [run for run in files.ls(path, detail=False) if run.rstrip("/").rpartition("/")[2] != RAW]
        old = [run for run in runs if newest(files, run) < oldest]
        for run in old:
            remove(files, run)
    return len(old)
