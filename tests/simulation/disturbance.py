"""A year that goes wrong: runs lost, doubled, late and out of order, and tasks killed. Deterministic but for moments.

Which run suffers what comes from a seed; at which instruction a killed process dies does not, and must not matter.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from story import Plot
from year import Pipeline, Run, Served

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["disturbance", "pandas"])
_LATE = timedelta(minutes=40)


@dataclass(frozen=True)
class Ordeal:
    """One run of the disturbed year.

    With `killed_in` the process dies `pause` seconds into that step, and without a pause before its first instruction.
    With `twin` another process takes the same data
    interval at the same time.
    """

    run: Run
    killed_in: str = ""
    pause: float = 0.0
    twin: bool = False


STEPS = ("extract", "gate", "load", "load", "load", "reread", "refresh", "publish")
"""Where a process may die: the load, which writes most, more often."""


def disturb(plot: Plot, runs: Sequence[Run], seed: int) -> list[Ordeal]:
    """Lose, double, delay and kill. Healing and mending stay, and so does the last run: after it all must be well.

    In the plot's `stranded` week every run dies between its load and its refresh, and nobody tries again. The days on
    which history changes fare worst: their runs die while they read it again, one with nobody to try again.
    """
    chance = random.Random(seed)
    restated = {split.at.date(): story.ticker for story in plot.stories for split in story.splits}
    ordeals: list[Ordeal] = []
    late: list[tuple[int, Run]] = []
    for at, run in enumerate(runs):
        if run.kind in ("heal", "mend") or at == len(runs) - 1:
            ordeals.append(Ordeal(run))
        elif run.kind == "daily" and run.now.date() in plot.stranded:
            ordeals.append(Ordeal(replace(run, kind="daily-stranded"), "refresh"))
        elif run.kind == "daily" and run.now.date() in restated:
            ordeals.append(_killed(run, "reread", chance))
            if restated[run.now.date()] != "SPLIT":
                ordeals.append(Ordeal(run))
        else:
            fate = _fate(chance)
            if fate == "late":
                late.append((at + chance.randint(2, 6), run))
            ordeals += _suffered(run, fate, chance)
        due = [old for when, old in late if when <= at]
        late = [(when, old) for when, old in late if when > at]
        ordeals += [
            Ordeal(replace(old, now=run.now + _LATE, kind=f"{old.kind}-late")) for old in reversed(due)
        ]
    return ordeals


def _fate(chance: random.Random) -> str:
    fates, weights = ("kept", "lost", "doubled", "twin", "late", "killed"), (60, 18, 4, 4, 8, 6)
    return chance.choices(fates, weights)[0]


def _suffered(run: Run, fate: str, chance: random.Random) -> list[Ordeal]:
    if fate == "kept":
        return [Ordeal(run)]
    if fate == "doubled":
        again = replace(run, now=run.now + _LATE, kind=f"{run.kind}-again")
        return [Ordeal(run), Ordeal(again), Ordeal(run)]
    if fate == "twin":
        return [Ordeal(run, twin=True)]
    if fate == "killed":
        killed = _killed(run, chance.choice(STEPS), chance)
        return [killed] if chance.random() < 0.5 else [killed, Ordeal(run)]
    return []


def _killed(run: Run, step: str, chance: random.Random) -> Ordeal:
    return Ordeal(replace(run, kind=f"{run.kind}-killed"), step, chance.uniform(0, 0.05))


def suffer(pipeline: Pipeline, ordeal: Ordeal) -> bool:
    """Take a run through its ordeal; return whether it was killed at work."""
    pipeline.served.turn_to(ordeal.run.now)
    if ordeal.killed_in and not ordeal.pause:
        with _child(pipeline, ordeal.run, ordeal.killed_in) as (child, _):
            pass
        assert child.exitcode == -9
        return True
    if ordeal.killed_in:
        with _child(pipeline, ordeal.run) as (child, told):
            _wait_for(told, ordeal.killed_in)
            time.sleep(ordeal.pause)
            child.kill()
        return child.exitcode == -9
    if ordeal.twin:
        with _child(pipeline, replace(ordeal.run, kind=f"{ordeal.run.kind}-twin")) as (child, told):
            _wait_for(told, "plan")
            pipeline.go(ordeal.run)
        assert child.exitcode == 0
    else:
        pipeline.go(ordeal.run)
    return False


@contextmanager
def _child(pipeline: Pipeline, run: Run, fatal: str = "") -> Iterator[tuple[Any, Any]]:
    """Another process at work on a run, with the pipe it tells its steps through; in a `fatal` step it ends itself."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    still = replace(pipeline, served=_Still(pipeline.served.source))
    child = CONTEXT.Process(target=_work, args=(still, run, theirs, fatal))
    child.start()
    theirs.close()
    try:
        yield child, ours
    finally:
        child.join(60)
        ours.close()


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


def _work(pipeline: Pipeline, run: Run, told: Any, fatal: str) -> None:
    def tell(step: str) -> None:
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        told.send(step)

    replace(pipeline, tell=tell).go(run)


_: type[Served] = _Still
