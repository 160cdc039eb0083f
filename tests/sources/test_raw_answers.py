"""Raw answers: kept whole and compressed, without a secret, and read in the vendor's place with the server down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from binance_replay import BinanceReplay

from hypertape.calendars import expected_times
from hypertape.errors import BadInput, SourceUnavailable
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.sources import Recorder, Reply, Source, SourceConfig
from hypertape.sources._http import request_text
from hypertape.sources.ccxt import Ccxt
from hypertape.sources.vci import Vci
from hypertape.sources.yahoo import Yahoo
from hypertape.steps.landing import sweep
from hypertape.steps.raw import Note, RawKeeper, RawReplay, kept_runs, notes, write_note
from hypertape.steps.run_spec import BatchKind
from replay_server import Answer
from vci_replay import VciReplay
from yahoo_replay import Stock, YahooReplay

VN, CRYPTO = get_market("vn"), get_market("crypto")
D1 = Interval.D1
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)
TICKERS = ["ABC", "XYZ", "NONE"]

Opener = Callable[[Recorder], Source]


def no_nap(seconds: float) -> None:
    raise AssertionError("a replay waits for nobody")


@pytest.fixture
def root(tmp_path: Path) -> str:
    return tmp_path.as_uri()


@pytest.fixture
def vci() -> Iterator[tuple[Opener, Any]]:
    server = VciReplay()
    times = expected_times(VN, D1, WEEK) // 1_000_000
    for scale, name in enumerate(("ABC", "XYZ"), 1):
        server.bars[name, "ONE_DAY"] = [
            (int(t), 10.1, 12.3, 9.7, 11.0 + n, n) for n, t in enumerate(times * 1, scale)
        ]
    yield lambda recorder: Vci(endpoint=server.url, recorder=recorder, sleep=no_nap), server
    server.stop()


@pytest.fixture
def ccxt() -> Iterator[tuple[Opener, Any]]:
    server = BinanceReplay()
    server.pairs = [("ABC", "USDT"), ("XYZ", "USDT")]
    times = expected_times(CRYPTO, D1, WEEK) // 1000
    for name in ("ABC", "XYZ"):
        server.bars[f"{name}USDT", "1d"] = [(int(t), 10.1, 12.3, 9.7, 11.1, n) for n, t in enumerate(times)]
    yield lambda recorder: Ccxt(endpoint=server.url, recorder=recorder, sleep=no_nap), server
    server.stop()


@pytest.fixture
def yahoo(yahoo_cache: Path) -> Iterator[tuple[Opener, Any]]:
    server = YahooReplay()
    times = [instant(int(at)) + timedelta(hours=2) for at in expected_times(VN, D1, WEEK)]
    bars = [(at, 10.5, 12.0, 9.25, 11.0 + n, 10.0 + n, 1000 + n) for n, at in enumerate(times)]
    for name in ("ABC.VN", "XYZ.VN"):
        server.stocks[name] = Stock(VN.timezone, bars, dividends={times[1]: 0.5})
    yield (
        lambda recorder: Yahoo(
            endpoint=server.url, cache_directory=yahoo_cache, recorder=recorder, sleep=no_nap
        ),
        server,
    )
    server.stop()


@pytest.mark.parametrize("name", ["vci", "ccxt", "yahoo"])
def test_a_replay_gives_the_same_bits_with_the_server_down(
    name: str, root: str, request: pytest.FixtureRequest
) -> None:
    build, server = request.getfixturevalue(name)
    market = CRYPTO if name == "ccxt" else VN
    kept = build(RawKeeper(root, "a run/1")).fetch(market, TICKERS, D1, WEEK, now=NOW)
    assert set(kept.failures) == {"NONE"}
    server.stop()
    if name == "yahoo":
        forget_yahoo()

    again = build(RawReplay(root, "a run/1")).fetch(market, TICKERS, D1, WEEK, now=NOW)

    for table in ("bars", "rejects", "dividends", "splits"):
        assert getattr(again, table).equals(getattr(kept, table)), table
    assert len(again.bars) == 10
    assert {t: type(e) for t, e in again.failures.items()} == {t: type(e) for t, e in kept.failures.items()}
    assert again.short == kept.short


def forget_yahoo() -> None:
    """What another machine would not have: the session and the crumb."""
    from yfinance.data import SingletonMeta, YfData

    YfData.cache_get.cache_clear()
    SingletonMeta._instances.pop(YfData, None)


def test_what_was_not_kept_fails_its_ticker_and_asks_nobody(vci: Any, root: str) -> None:
    build, server = vci
    build(RawKeeper(root, "run")).fetch(VN, ["ABC"], D1, WEEK, now=NOW)
    asked = len(server.asked)

    again = build(RawReplay(root, "run")).fetch(VN, ["XYZ"], D1, WEEK, now=NOW)

    assert type(again.failures["XYZ"]) is SourceUnavailable
    assert "kept no answer of vci" in str(again.failures["XYZ"])
    assert len(server.asked) == asked


def test_a_failure_is_replayed_as_it_ended(vci: Any, root: str) -> None:
    build, server = vci
    server.fault = lambda request: Answer(500) if len(server.asked) < 2 else None
    patient = replace(build(RawKeeper(root, "run")), sleep=lambda seconds: None)
    assert not patient.fetch(VN, ["ABC"], D1, WEEK, now=NOW).failures
    server.stop()

    again = build(RawReplay(root, "run")).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert len(again.bars) == 5, "the last answer counts, not the first"


def test_answers_are_compressed_whole_and_say_what_they_answer(vci: Any, root: str, tmp_path: Path) -> None:
    build, _ = vci
    build(RawKeeper(root, "a run/1")).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    (file,) = (tmp_path / "raw" / "a%20run%2F1" / "vci").iterdir()
    assert file.suffix == ".zst"
    content = pa.CompressedInputStream(pa.OSFile(str(file)), "zstd").read().decode()
    header, _, body = content.partition("\n")
    told = json.loads(header)
    assert (told["source"], told["status"]) == ("vci", 200)
    assert told["request"].startswith('POST /api/chart/OHLCChart/gap-chart {"timeFrame":"ONE_DAY"')
    assert json.loads(body)[0]["symbol"] == "ABC"


def test_no_secret_is_kept(yahoo: Any, root: str, tmp_path: Path) -> None:
    build, server = yahoo
    build(RawKeeper(root, "run")).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert any(query.get("crumb") for _, query in server.asked), "the crumb was sent"
    for file in (tmp_path / "raw" / "run" / "yahoo").iterdir():
        content = pa.CompressedInputStream(pa.OSFile(str(file)), "zstd").read().decode()
        assert "crumb" not in content
        assert "replayed" not in content, "nor the cookie"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("get", "https://h/p?b=2&a=1"), "GET /p?a=1&b=2"),
        (("GET", "http://h:1/p", {"b": True, "crumb": "x"}), "GET /p?b=True"),
        (("GET", "http://h/p?signature=s&apiKey=k&token=t&limit=5"), "GET /p?limit=5"),
        (("POST", "/p", None, '{"a":1}'), 'POST /p {"a":1}'),
    ],
)
def test_a_request_is_the_same_text_whoever_answers_it(words: Any, text: str) -> None:
    assert request_text(*words) == text


def test_an_empty_and_a_binary_body_survive(root: str) -> None:
    keeper, replay = RawKeeper(root, "run"), RawReplay(root, "run")
    for body in (b"", b"\n\n\x00\xff\n", b"x" * 3_000_000):
        keeper.keep("vci", "GET /p", Reply(404, body))
        assert replay.find("vci", "GET /p") == Reply(404, body)
    assert replay.find("vci", "GET /q") is None
    assert keeper.find("vci", "GET /p") is None


def note(market: str = "vn", index: int = 0, **others: Any) -> Note:
    asks = ((NOW, ("ABC", "XYZ")),)
    return Note(
        market,
        "1d",
        BatchKind.PLAN,
        index,
        WEEK,
        SourceConfig("vci", fallbacks=("yahoo",)),
        **{"asks": asks, **others},
    )


def test_notes_tell_what_each_try_asked_for(root: str) -> None:
    later = NOW + timedelta(minutes=5)
    write_note(root, "run", note())
    write_note(root, "run", note(asks=((later, ("XYZ",)),)))
    write_note(root, "run", note(index=1))
    write_note(root, "run", note("crypto"))

    first, second = notes(root, "run", VN, D1)

    assert first.asks == ((NOW, ("ABC", "XYZ")), (later, ("XYZ",)))
    assert first.tickers == ("ABC", "XYZ")
    assert first.source == SourceConfig("vci", fallbacks=("yahoo",))
    assert second.index == 1


def test_a_run_nobody_kept_names_those_there_are(root: str) -> None:
    with pytest.raises(BadInput, match="No raw answers are kept here"):
        notes(root, "run", VN, D1)
    write_note(root, "sync__1", note())
    assert kept_runs(root) == ["sync__1"]
    with pytest.raises(BadInput, match=r"of the run 'run' are kept.*Runs with raw answers: sync__1"):
        notes(root, "run", VN, D1)


def test_raw_answers_have_days_of_their_own(root: str, tmp_path: Path) -> None:
    import os

    for name, age in (("raw/old", 20), ("raw/new", 10), ("landed", 10)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
        then = (NOW - timedelta(days=age)).timestamp()
        os.utime(tmp_path / name / "file", (then, then))

    assert sweep(root, NOW, 7, 14) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["new"]
    assert sweep(root, NOW, 7) == 0, "without a number raw answers stay"
