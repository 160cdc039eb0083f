"""What a run is, and what comes of it: its spec, its batches, its plan, and a batch's result.

All of it is typed here. It becomes JSON only where it leaves the process: between Airflow's tasks, and in the landing
area (`to_json`, `from_json`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from hypertape.errors import BatchIncomplete, BatchRefused, others
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window
from hypertape.sources import SourceConfig
from hypertape.steps.failures import Failures, failure_lines, failures_from_json, failures_to_json

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""

Json = dict[str, Any]
"""What travels between Airflow's tasks."""


def silent(step: str, done: int, total: int) -> None:
    """Tell nobody how far a run is: the usual `on_step`."""


class BatchKind(StrEnum):
    """What a batch is fetched for. `plan` and `reread` load what they fetch, as `return` does; the others compare."""

    PLAN = "plan"
    LATEST = "latest"
    FIRST = "first"
    REREAD = "reread"
    RETURN = "return"
    CONTROL = "control"

    @property
    def is_loaded(self) -> bool:
        """True when what it fetches is loaded, False when it is only compared."""
        return self in (BatchKind.PLAN, BatchKind.REREAD, BatchKind.RETURN)


@dataclass(frozen=True, slots=True)
class Batch:
    """Tickers that share a window. Within a run kind and index name it."""

    kind: BatchKind
    index: int
    tickers: tuple[str, ...]
    window: Window

    @property
    def name(self) -> str:
        """Its name within the run: `0`, `reread-0`."""
        return str(self.index) if self.kind is BatchKind.PLAN else f"{self.kind}-{self.index}"

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "kind": self.kind.value,
            "index": self.index,
            "tickers": list(self.tickers),
            "window": self.window.to_json(),
        }

    @classmethod
    def from_json(cls, value: Json) -> Batch:
        """Read what `to_json` wrote."""
        window = Window.from_json(value["window"])
        return cls(BatchKind(value["kind"]), value["index"], tuple(value["tickers"]), window)


def run_name(kind: str, about: str, *, check: bool = True) -> str:
    """A new run's id: `sync__20240305T010203_1a2b3c4d`, of `kind` and what it is `about`.

    One that will not check what it loads says so, `unchecked_sync__…`: its loads are whoever's to check and publish who
    comes next, and no run of the schedule takes them for done (`publish_changes`, `series_answered`).
    """
    return f"{'' if check else 'unchecked_'}{kind}__{about}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What every step of a run must know: the plan without its batches.

    `mode` is how bars meet those that are stored: `regular` writes what differs, but a source that stands in for the
    first one changes no final bar of others; `overwrite` writes whatever differs; `missing` keeps what is stored and
    final; `restate` takes prices at any scale. `reason` says why the run is made and lands in `load.reason`. Of a run
    that asks no source (`import`, `replay`) `source` names what its loads say. `shared`: the schedule made it, and
    what a worker has just loaded needs no asking (`share`). Who starts a run, or names its window, wants it asked for.
    """

    run_id: str
    market: Market
    interval: Interval
    source: SourceConfig
    window: Window
    mode: str = "regular"
    reason: str | None = None
    shared: bool = False

    def to_json(self) -> Json:
        """Return a JSON object; the market travels as its code."""
        return {
            "run_id": self.run_id,
            "market": self.market.code,
            "interval": self.interval.value,
            "source": self.source.to_json(),
            "window": self.window.to_json(),
            "mode": self.mode,
            "reason": self.reason,
            "shared": self.shared,
        }

    @classmethod
    def from_json(cls, value: Json) -> RunSpec:
        """Read what `to_json` wrote; other keys are ignored."""
        return cls(
            value["run_id"],
            get_market(value["market"]),
            Interval(value["interval"]),
            SourceConfig.from_json(value["source"]),
            Window.from_json(value["window"]),
            value["mode"],
            value["reason"],
            value.get("shared", False),  # a run that was planned before an upgrade has none
        )


def loaded_spec(run_id: str, market: str, interval: str, source: str, window: Window) -> RunSpec:
    """The spec of a run that asked no source: its bars came from `source`, a file or a ledger."""
    return RunSpec(run_id, get_market(market), Interval(interval), SourceConfig(source), window)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is planned: its spec, the batches it loads, and the bars that the calendar expects of it."""

    spec: RunSpec
    batches: tuple[Batch, ...]
    expected_bars: int = 0

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.spec.run_id

    @property
    def tickers(self) -> int:
        """How many tickers it asks for."""
        return len({ticker for batch in self.batches for ticker in batch.tickers})

    def to_json(self) -> Json:
        """Return a JSON object: the spec's keys, `batches` and `expected_bars`."""
        batches = [batch.to_json() for batch in self.batches]
        return {**self.spec.to_json(), "batches": batches, "expected_bars": self.expected_bars}


def raise_if_failed(failed: Failures, spec: RunSpec, stored: int) -> None:
    """Raise for failed tickers: BatchIncomplete when one of them may succeed later, else BatchRefused.

    `stored` of the batch's tickers are stored.
    """
    if not failed:
        return
    transient = any(failure.transient for failure in failed.values())
    rest, lines = others(stored, "stored"), "; ".join(failure_lines(failed))
    raise (BatchIncomplete if transient else BatchRefused)(
        f"{len(failed)} of the batch's tickers failed and {rest}: {lines}",
        market=spec.market.code,
        interval=spec.interval.value,
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """Bars by what became of them."""

    inserted: int = 0
    updated: int = 0
    recomputed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    flagged: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts)))

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Landed:
    """A batch whose answer has landed, and the tickers that have none."""

    batch: Batch
    failed: Failures = field(default_factory=dict)

    @property
    def source_away(self) -> bool:
        """True when the source answered for no ticker of the batch."""
        return set(self.failed) >= set(self.batch.tickers) and all(
            failure.source_away for failure in self.failed.values()
        )

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {"batch": self.batch.to_json(), "failed": failures_to_json(self.failed)}

    @classmethod
    def from_json(cls, value: Json) -> Landed:
        """Read what `to_json` wrote."""
        return cls(Batch.from_json(value["batch"]), failures_from_json(value["failed"]))


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What the load of a batch did. `short` tickers came with fewer bars than are due; the span is of changed bars."""

    tickers: int = 0
    counts: Counts = field(default_factory=Counts)
    short: tuple[str, ...] = ()
    failed: Failures = field(default_factory=dict)
    first_changed: datetime | None = None
    last_changed: datetime | None = None

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "tickers": self.tickers,
            **self.counts.to_json(),
            "short": list(self.short),
            "failed": failures_to_json(self.failed),
            "first_changed": self.first_changed.isoformat() if self.first_changed else None,
            "last_changed": self.last_changed.isoformat() if self.last_changed else None,
        }

    def sentence(self, spec: RunSpec, window: Window) -> str:
        """What happened, for a log."""
        count = self.counts
        said = [
            f"{spec.market.code} {spec.interval.value} {window}: {self.tickers} tickers, {count.inserted} bars new, "
            f"{count.updated} changed, {count.unchanged} as they were, {count.quarantined} refused."
        ]
        if self.short:
            said.append(f"Fewer bars than the calendar expects: {', '.join(self.short)}.")
        said += [f"Failed: {line}" for line in failure_lines(self.failed)]
        return " ".join(said)
