from __future__ import annotations

import copy
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from hypertape import errors
from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    RateLimited,
    SuspectScale,
    TerminalError,
    TransientError,
    UnknownMarket,
)
from hypertape.model import Window, utc

WINDOW = Window(utc(2025, 8, 25), utc(2025, 8, 25) + timedelta(days=1))


def every_error() -> list[type[HypertapeError]]:
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HypertapeError)
    ]


EVERY = [pytest.param(kind, id=kind.__name__) for kind in every_error()]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree = (errors.__doc__ or "").split("\n\n")[1].splitlines()
    branches = (re.split(r"  +", line.lstrip("│├└─ "))[0] for line in tree)
    assert {name for branch in branches for name in branch.split(", ")} == {
        kind.__name__ for kind in every_error()
    }


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_is_either_worth_a_retry_or_not(kind: type[HypertapeError]) -> None:
    if kind is not HypertapeError:
        assert issubclass(kind, TransientError) is not issubclass(kind, TerminalError)


@pytest.mark.parametrize("kind", EVERY)
def test_the_docstring_is_the_default_message(kind: type[HypertapeError]) -> None:
    first_line = (kind.__doc__ or "").splitlines()[0].rstrip(".")
    assert str(kind()).startswith(f"{first_line}.")


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_survives_pickling_and_copying(kind: type[HypertapeError]) -> None:
    error = kind("It broke", next_step="Mend it.", market="vn", ticker="VIC", interval="1d", window=WINDOW)
    copies = [
        pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ]
    for twin in [*copies, copy.copy(error), copy.deepcopy(error)]:
        assert type(twin) is kind
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def fail_far_away() -> None:
    error = RateLimited(market="vn", ticker="VIC")
    error.add_note("seen by the worker")
    raise error


def test_an_error_crosses_a_process_boundary_whole() -> None:
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        pytest.raises(RateLimited, match=r"asked us to slow down \(vn VIC\)\. Wait before") as caught,
    ):
        pool.submit(fail_far_away).result()
    assert caught.value.market == "vn"
    assert caught.value.__notes__ == ["seen by the worker"]


@pytest.mark.parametrize(
    ("error", "text", "reason"),
    [
        (
            NoData(ticker="VIC"),
            "The source has no bars for the window (VIC). Check the ticker's",
            "class texts",
        ),
        (BadInput("No file a.csv."), "No file a.csv.", "one full stop, no empty advice"),
        (SuspectScale("×1000", next_step=""), "×1000.", "an empty advice takes the class's away"),
        (
            TerminalError("It broke", market="vn", ticker="VIC", interval="1d", window=WINDOW),
            "It broke (vn VIC 1d [2025-08-25, 2025-08-26)).",
            "where it happened",
        ),
        (
            UnknownMarket.named("xx", ["vn", "crypto"]),
            "There is no market 'xx'. Markets: crypto, vn.",
            "the valid values, sorted",
        ),
    ],
)
def test_a_message_says_what_where_and_what_next(error: HypertapeError, text: str, reason: str) -> None:
    assert str(error).startswith(text), reason


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HypertapeError(), 1), (RateLimited(), 75), (BadInput(), 2), (errors.UnknownTicker(), 2),
        (errors.CheckFailed(), 3), (NoData(), 1), (errors.BatchRefused(), 4), (errors.BatchIncomplete(), 75),
        (errors.SchemaMissing(), 5), (errors.MigrationChanged(), 5), (errors.TierChanged(), 5),
    ],
)  # fmt: skip
def test_exit_codes_for_scripts(error: HypertapeError, code: int) -> None:
    assert error.exit_code == code


def test_every_exit_code_is_explained() -> None:
    kinds, found = [HypertapeError], {0, 130, 141}
    while kinds:
        kind = kinds.pop()
        found.add(kind.exit_code)
        kinds += kind.__subclasses__()
    assert found == set(errors.EXIT_CODES)
    page = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d+) \| (.+?) \|$", page, re.MULTILINE)
    assert {int(code): meaning for code, meaning in table} == errors.EXIT_CODES


@pytest.mark.parametrize(
    ("names", "valid", "text"),
    [
        (["NOPE"], ["VIC", "VCB"], "NOPE is no ticker of vn. There are: VCB, VIC."),
        (
            ["VCX", "X"],
            [f"T{at:03}" for at in range(99)] + ["VCB"],
            "VCX, X are no tickers of vn. There are: VCB, T000",
        ),
    ],
)
def test_an_unknown_ticker_is_answered_with_the_nearest(
    names: list[str], valid: list[str], text: str
) -> None:
    assert str(errors.UnknownTicker.among("vn", names, valid)).startswith(text)


def test_an_error_without_a_docstring_is_named_by_its_class() -> None:
    class Bare(TerminalError):
        pass

    Bare.__doc__ = None  # what `python -OO` makes of every class
    assert str(Bare()) == "Bare."


def test_there_are_others_only_where_some_did_not_fail() -> None:
    assert errors.others(1, "stored") == "the others are stored"
    assert errors.others(0, "stored") == "there are no others"
