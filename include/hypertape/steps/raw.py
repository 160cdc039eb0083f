"""The vendors' raw answers: kept per run in the landing area, and read in the vendors' place when a run is replayed.

Layout: `<landing>/raw/<run>/<source>/<digest>.zst` is one answer: a JSON line (source, request, status) and the body as
it came, zstd-compressed. `<landing>/raw/<run>/batch-….json` says what the run asked for, of whom, and when: a request
may depend on the time it is made at, so a replay asks as of then.

No secret is kept: requests are texts made by the sources without headers, cookies or keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from hypertape.errors import BadInput
from hypertape.model import Interval, Market, Window
from hypertape.sources import Reply, SourceConfig
from hypertape.steps.landing import RAW
from hypertape.steps.run_spec import BatchKind
from hypertape.storage import open_file, storage_errors, store_of


class RawKeeper:
    """Keeps what a run is answered. `kept` counts the answers."""

    replays = False

    def __init__(self, root: str, run_id: str) -> None:
        self.url = _run_url(root, run_id)
        self.kept = 0

    def keep(self, source: str, request: str, reply: Reply) -> None:
        """Keep an answer; a request that is repeated keeps its newest one."""
        self.kept += 1
        header = json.dumps({"source": source, "request": request, "status": reply.status})
        packed = _packed(header.encode() + b"\n" + reply.body)
        with storage_errors(), open_file(_url(self.url, source, request), "wb") as file:
            file.write(packed)

    def find(self, source: str, request: str) -> Reply | None:
        """Nothing: this one only keeps."""
        return None


class RawReplay:
    """Gives the answers of a run back."""

    replays = True

    def __init__(self, root: str, run_id: str) -> None:
        self.url = _run_url(root, run_id)

    def keep(self, source: str, request: str, reply: Reply) -> None:
        """Nothing: what is replayed is kept already."""

    def find(self, source: str, request: str) -> Reply | None:
        """Return the answer kept for a request, or None."""
        try:
            with storage_errors(), open_file(_url(self.url, source, request)) as file:
                packed = file.read()
        except FileNotFoundError:
            return None
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as unpacked:
            header, _, body = bytes(unpacked.read()).partition(b"\n")
        return Reply(json.loads(header)["status"], body)


@dataclass(frozen=True, slots=True)
class Note:
    """What one batch of a run asked for: the sources in order, the window, and each try: its instant and tickers.

    `symbols` are what the sources called those tickers, where that was otherwise than the market's rule has it.
    """

    market: str
    interval: str
    kind: BatchKind
    index: int
    window: Window
    source: SourceConfig
    asks: tuple[tuple[datetime, tuple[str, ...]], ...]
    symbols: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def tickers(self) -> tuple[str, ...]:
        """Every ticker that was asked for."""
        return tuple(dict.fromkeys(ticker for _, tickers in self.asks for ticker in tickers))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "market": self.market,
            "interval": self.interval,
            "kind": self.kind.value,
            "index": self.index,
            "window": self.window.to_json(),
            "source": self.source.to_json(),
            "asks": [[at.isoformat(), list(tickers)] for at, tickers in self.asks],
            "symbols": {source: dict(symbols) for source, symbols in self.symbols.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Note:
        """Read what `to_json` wrote."""
        return cls(
            value["market"],
            value["interval"],
            BatchKind(value.get("kind", "plan")),
            value["index"],
            Window.from_json(value["window"]),
            SourceConfig.from_json(value["source"]),
            tuple((datetime.fromisoformat(at), tuple(tickers)) for at, tickers in value["asks"]),
            value.get("symbols", {}),
        )


def write_note(root: str, run_id: str, note: Note) -> None:
    """Note what a batch asked for, after what earlier tries of it did."""
    url = _note_url(_run_url(root, run_id), note)
    before = _read_note(url)
    if before is not None and before.window == note.window:
        sources = {*before.symbols, *note.symbols}
        symbols = {name: {**before.symbols.get(name, {}), **note.symbols.get(name, {})} for name in sources}
        note = replace(note, asks=(*before.asks, *note.asks), symbols=symbols)
    with storage_errors(), open_file(url, "w") as file:
        json.dump(note.to_json(), file)


def notes(root: str, run_id: str, market: Market, interval: Interval) -> list[Note]:
    """What a run asked for one market and interval, by batch.

    Raises BadInput when no answers of such a run are kept, with the runs there are.
    """
    found = [
        note
        for note in _notes(_run_url(root, run_id))
        if (note.market, note.interval) == (market.code, interval.value)
    ]
    if not found:
        known = kept_runs(root)
        there = (
            f"Runs with raw answers: {', '.join(known[-10:])}." if known else "No raw answers are kept here."
        )
        raise BadInput(
            f"No raw answers of the run {run_id!r} are kept", market=market.code, interval=interval.value,
            next_step=f"{there} They are kept for HYPERTAPE_RAW_DAYS under the landing area.",
        )  # fmt: skip
    return sorted(found, key=lambda note: (note.kind is not BatchKind.PLAN, note.kind, note.index))


def kept_runs(root: str) -> list[str]:
    """The runs whose answers are kept, by name."""
    files, path = store_of(f"{root.rstrip('/')}/{RAW}")
    with storage_errors():
        if not files.exists(path):
            return []
        return sorted(unquote(run.rstrip("/").rpartition("/")[2]) for run in files.ls(path, detail=False))


def _notes(url: str) -> Iterator[Note]:
    files, path = store_of(url)
    if files.exists(path):
        for name in files.glob(f"{path}/batch-*.json"):
            with files.open(name) as file:
                yield Note.from_json(json.load(file))


def _read_note(url: str) -> Note | None:
    try:
        with storage_errors(), open_file(url) as file:
            return Note.from_json(json.load(file))
    except FileNotFoundError:
        return None


def _packed(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def _run_url(root: str, run_id: str) -> str:
    return f"{root.rstrip('/')}/{RAW}/{quote(run_id, safe='')}"


def _note_url(run_url: str, note: Note) -> str:
    return f"{run_url}/batch-{note.market}-{note.interval}-{note.kind}-{note.index}.json"


def _url(run_url: str, source: str, request: str) -> str:
    digest = hashlib.sha256(f"{source} {request}".encode()).hexdigest()
    return f"{run_url}/{quote(source, safe='')}/{digest}.zst"
