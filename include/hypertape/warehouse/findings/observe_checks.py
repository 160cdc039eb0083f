"""Observers of checks: what they found and nobody took back, what did not run, proofs that failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg

from hypertape.model import CRITICAL, WARNING
from hypertape.warehouse.findings.headline import plural, some
from hypertape.warehouse.findings.ledger import Observation
from hypertape.warehouse.findings.mends import COMPLETENESS, ROLLUP_CHECK, Failed, check_mend, not_run_mend
from hypertape.warehouse.findings.observer import Look, Observer, Place, Row, rows

Connection = psycopg.Connection[Any]

DIFFERS = {"rollup": "rollups_differ", "indicators": "indicators_differ"}
"""The kind of finding of each kind of proof."""


def see_checks(connection: Connection, at: Look) -> Iterator[Observation]:
    """Failing checks and checks that did not run, one finding per market, interval and check."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows(connection, "finding_checks", **at.place):
        lasting = row["expectation"] not in COMPLETENESS or row["of_newest_run"]
        if row["expectation"] != ROLLUP_CHECK and (lasting or row["status"] != "failed"):
            ran = "" if row["status"] == "failed" else "did not run"
            groups[row["market"], row["interval"], row["expectation"], ran].append(row)
    for (market, interval, check, ran), found in sorted(groups.items()):
        if ran:
            yield _not_run(market, interval, check, found)
        elif check != "fresh":  # `late` is the same, and goes by the clock
            yield _failed(market, interval, check, found)


def _failed(market: str, interval: str, check: str, found: Sequence[Row]) -> Observation:
    count, tickers = sum(row["unexpected"] or 0 for row in found), _tickers(found)
    severity = CRITICAL if any(row["severity"] == CRITICAL for row in found) else WARNING
    named = f": {some(tickers)}" if tickers else ""
    place = Place(market, interval)
    return place.observation(
        "check",
        f"The check {check} of {place} fails {plural(count, 'time')}{named}",
        check_mend(_what(found, tickers)),
        of=(check,),
        tickers=tickers,
        amount=count,
        severity=severity,
        link=_link(found),
        evidence={
            "description": found[-1]["description"],
            "unexpected": count,
            "sample": [key for row in found for key in row["sample"]][:10],
            "run": found[-1]["run_id"],
            "suites": sorted({row["suite"] for row in found}),
            "listed": all(row["is_listed"] for row in found),
            "first": min(row["low"] for row in found),
            "last": max(row["high"] for row in found),
            "follows": check in COMPLETENESS and severity == WARNING and all(map(_names_all, found)),
        },
    )


def _what(found: Sequence[Row], tickers: tuple[str, ...]) -> Failed:
    """What has failed, for its mend: all its tickers if they are known, from its first bar to its last."""
    first = found[0]
    ends = [row["high"] + timedelta(microseconds=row["has_times"]) for row in found]
    return Failed(
        first["market"],
        first["interval"],
        first["expectation"],
        tickers if all(map(_names_all, found)) else (),
        min(row["low"] for row in found),
        max(ends),
        found[-1]["target"],
    )


def _not_run(market: str, interval: str, check: str, found: Sequence[Row]) -> Observation:
    ended, place = all(row["status"] != "broken" for row in found), Place(market, interval)
    return place.observation(
        "check_not_run",
        f"The check {check} of {place} {'was ended before it was done' if ended else 'did not run'}",
        not_run_mend(market, interval, ended=ended, check=check),
        of=(check,),
        severity=found[-1]["severity"],
        link=_link(found),
        essence=str(ended),
        evidence={"error": found[-1]["error"], "run": found[-1]["run_id"]},
    )


def see_unchecked(connection: Connection, at: Look) -> Iterator[Observation]:
    """Markets and intervals with bars that no check has looked at."""
    for row in rows(connection, "finding_unchecked", **at.place):
        place = Place(row["market"], row["interval"])
        yield place.observation(
            "unchecked", f"Nothing of {place} was ever checked", f"hypertape validate {place.options()}"
        )


def see_differences(connection: Connection, at: Look) -> Iterator[Observation]:
    """Rollups and indicators that differ from the bars: where a run refreshed, and where all of history was proven."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows(connection, "finding_checks", market=at.market, interval=None):
        if row["expectation"] == ROLLUP_CHECK and row["status"] == "failed":
            level = row["target"].rsplit("_", 1)[-1]
            counted = {
                "differing": row["unexpected"] or 0,
                "tickers": _tickers([row]),
                "sample": row["sample"],
            }
            groups["rollup", row["market"], level].append({**counted, "part": row["low"]})
    for row in rows(connection, "finding_proofs", market=at.market):
        groups[row["kind"], row["market"], row["interval"]].append(row)
    for (kind, market, interval), found in sorted(groups.items()):
        yield _differs(kind, market, interval, found)


def _differs(kind: str, market: str, interval: str, found: Sequence[Row]) -> Observation:
    tickers = tuple(sorted({ticker for row in found for ticker in row["tickers"]}))
    count = sum(row["differing"] for row in found)
    first, place = min(f"{row['part']:%Y-%m-%d}" for row in found), Place(market, interval)
    if kind == "rollup":
        what, mend = "bucket", f"hypertape rollups verify -m {market} -i {interval} --since {first} --repair"
        rest = f"of the {place} rollup differ from the bars"
    else:
        what, mend = "bar", f"hypertape reindicate {place}"
        rest = f"of {place} carry averages that differ from a recomputation"
    return place.observation(
        DIFFERS[kind],
        f"{plural(count, what)} {rest}: {some(tickers)}",
        mend,
        tickers=tickers,
        amount=count,
        evidence={"first": first, "sample": [key for row in found for key in row["sample"]][:10]},
    )


def _tickers(found: Sequence[Row]) -> tuple[str, ...]:
    """All tickers that results are about, where their rules name them; else those of the keys that are kept."""
    keys = [key["ticker"] for row in found if not row["named"] for key in row["sample"] if key.get("ticker")]
    return tuple(
        sorted({str(ticker) for row in found for ticker in row["named"] or ()} | set(map(str, keys)))
    )


def _names_all(row: Row) -> bool:
    """True when `_tickers` misses nobody: what names some of many tickers must not be taken for another cause's."""
    return bool(row["named"]) or (row["is_listed"] and all(key.get("ticker") for key in row["sample"]))


def _link(found: Sequence[Row]) -> str:
    return f"quality?ledger_run={found[-1]['run_id']}"


CHECK_OBSERVERS = (
    Observer(("check", "check_not_run"), see_checks),
    Observer(("unchecked",), see_unchecked),
    Observer(("rollups_differ", "indicators_differ"), see_differences, reach="market"),
)
