"""A year that goes wrong: runs lost, doubled, late and out of order, and tasks killed. Deterministic but for moments.

Which run suffers what comes from a seed; at which instruction a killed process dies does not, and must not matter.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from year import Pipeline, Run, Served

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["disturbance", "pandas"])
_LATE = timedelta(minutes=40)


@dataclass(frozen=True)
class Ordeal:
    """One run of the disturbed year; with `killed_in` the process dies while that step works."""

    run: Run
    killed_in: str = ""
    pause: float = 0.0


def disturb(runs: Sequence[Run], seed: int) -> list[Ordeal]:
    """Lose, double, delay and kill. Healing and mending stay, and so does the last run: after it all must be well."""
    chance = random.Random(seed)
    ordeals: list[Ordeal] = []
    late: list[tuple[int, Run]] = []
    for at, run in enumerate(runs):
        fate = "kept" if run.kind in ("heal", "mend") or at == len(runs) - 1 else _fate(chance)
        if fate in ("lost", "late"):
            if fate == "late":
                late.append((at + chance.randint(2, 6), run))
            continue
        if fate == "killed":
            step = chance.choice(("extract", "enrich", "load", "load", "load", "refresh", "publish"))
            ordeals.append(Ordeal(replace(run, kind=f"{run.kind}-killed"), step, chance.uniform(0, 0.05)))
            if chance.random() < 0.5:
                continue  # nobody tries again today
        ordeals.append(Ordeal(run))
        if fate == "doubled":
            again = replace(run, now=run.now + _LATE, kind=f"{run.kind}-again")
            ordeals += [Ordeal(again), Ordeal(run)]
        due = [old for when, old in late if when <= at]
        late = [(when, old) for when, old in late if when > at]
        ordeals += [
            Ordeal(replace(old, now=run.now + _LATE, kind=f"{old.kind}-late")) for old in reversed(due)
        ]
    return ordeals


def _fate(chance: random.Random) -> str:
    fates, weights = ("kept", "lost", "doubled", "late", "killed"), (62, 18, 5, 8, 7)
    return chance.choices(fates, weights)[0]


def suffer(pipeline: Pipeline, ordeal: Ordeal) -> bool:
    """Take a run through its ordeal; return whether it was killed at work."""
    if not ordeal.killed_in:
        pipeline(ordeal.run)
        return False
    pipeline.served.turn_to(ordeal.run.now)
    ours, theirs = CONTEXT.Pipe(duplex=False)
    still = replace(pipeline, served=_Still(pipeline.served.source))
    child = CONTEXT.Process(target=_work, args=(still, ordeal.run, theirs))
    child.start()
    theirs.close()
    _wait_for(ours, ordeal.killed_in)
    time.sleep(ordeal.pause)
    child.kill()
    child.join(60)
    ours.close()
    return child.exitcode == -9


@dataclass
class _Still:
    """A vendor that somebody else serves."""

    source: dict[str, Any]

    def turn_to(self, now: object) -> None:
        raise AssertionError("the vendor is served elsewhere")


def _wait_for(told: Any, step: str) -> None:
    while told.poll(60):
        try:
            if told.recv() == step:
                return
        except EOFError:  # it had nothing to load, or was over already
            return


def _work(pipeline: Pipeline, run: Run, told: Any) -> None:
    replace(pipeline, tell=told.send).go(run)


_: type[Served] = _Still
