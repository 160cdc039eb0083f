"""Why tickers failed, in a form that travels, and how it is told: one cause, one message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hypertape.errors import (
    CircuitOpen,
    HypertapeError,
    NoData,
    RateLimited,
    SourceUnavailable,
    TransientError,
    UnknownTicker,
)

_NAMED = 3
"""So many tickers with one cause are written out; of more the count says the rest."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a ticker has no bars. `cause` is the message without place and advice: the same for all it struck."""

    kind: str
    transient: bool
    message: str
    cause: str = ""

    @classmethod
    def of(cls, error: HypertapeError) -> Failure:
        """Describe an error."""
        return cls(
            type(error).__name__, isinstance(error, TransientError), str(error), error.what.rstrip(".")
        )

    @property
    def source_away(self) -> bool:
        """True when the source as a whole did not answer."""
        return self.kind in (SourceUnavailable.__name__, RateLimited.__name__, CircuitOpen.__name__)

    @property
    def is_answer(self) -> bool:
        """True when the source did answer: it has nothing."""
        return self.kind in (NoData.__name__, UnknownTicker.__name__)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


Failures = Mapping[str, Failure]
"""Failures by ticker."""


def failures_to_json(failed: Failures) -> dict[str, Any]:
    """Write failures by ticker."""
    return {ticker: failure.to_json() for ticker, failure in sorted(failed.items())}


def failures_from_json(value: dict[str, Any]) -> dict[str, Failure]:
    """Read what `failures_to_json` wrote."""
    return {ticker: Failure(**failure) for ticker, failure in value.items()}


def told_once(failed: Iterable[tuple[str, str, str]]) -> list[str]:
    """Lines about failures (ticker, message, cause): one a cause. One that struck several tickers has their count."""
    causes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for ticker, message, cause in failed:
        causes[cause or message].append((ticker, message))
    lines = []
    for cause, struck in causes.items():
        tickers = [ticker for ticker, _ in struck]
        if len(struck) == 1:
            lines.append(f"{tickers[0]}: {struck[0][1]}")
        elif len(struck) <= _NAMED:
            lines.append(f"{', '.join(tickers)}: {cause}")
        else:
            some, more = ", ".join(tickers[:_NAMED]), len(struck) - _NAMED
            lines.append(f"{len(struck)} tickers ({some} and {more} more): {cause}")
    return lines


def failure_lines(failed: Failures) -> list[str]:
    """One line a cause, with the tickers it struck."""
    return told_once((ticker, each.message, each.cause) for ticker, each in sorted(failed.items()))
