"""How a vendor is asked: each request takes its turn, is tried again while its error may pass, and its answer is kept.

A `VendorClient` is what an HTTP source speaks through, whatever library sends the requests: it is given a request's
text and a function that sends it. Where a run is replayed nothing is sent and kept answers come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import tenacity

from hypertape.cells import shown
from hypertape.errors import CircuitOpen, RateLimited, SourceSchemaChanged, SourceUnavailable, TransientError
from hypertape.model import Interval, Market
from hypertape.sources._protocol import Limits, Recorder, Reply, SourceConfig, Throttle

LONGEST_PAUSE = 120.0
"""Seconds of `Retry-After` that are waited out; a vendor that asks for more is left to the next run or source."""

_SECRETS = {"crumb", "token", "key", "apikey", "api_key", "signature", "secret", "password", "sign"}

_NOT_THE_VENDOR = (401, 403, 407, 408)
"""Statuses of whoever stands before the vendor."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class VendorClient:
    """One vendor's requests. `name` is what its kept answers go by, `gate` what its turns do (default: the name).

    A request is tried `attempts` times in all with exponential backoff and jitter, at least as long apart as the vendor
    asks, waited for by `sleep`. Without a throttle nothing is held back; without a recorder nothing is kept.
    """

    name: str
    gate: str = ""
    throttle: Throttle | None = None
    recorder: Recorder | None = None
    limits: Limits = field(default_factory=Limits)
    attempts: int = 4
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    @property
    def replays(self) -> bool:
        """True when kept answers are read in the vendor's place."""
        return self.recorder is not None and self.recorder.replays

    def ask(self, request: str, send: Callable[[], Reply]) -> Reply:
        """Send a request once, in its turn, and keep the answer.

        Raises CircuitOpen while the source is left alone, what `send` raises, and in a replay SourceUnavailable where
        the run kept no answer to the request.
        """
        if self.replays:
            return self._kept(request)
        begun = None if self.throttle is None else self.throttle.wait(self.gate or self.name)
        reply = self._sent(send, begun)
        if self.recorder is not None:
            self.recorder.keep(self.name, request, reply)
        return reply

    def _kept(self, request: str) -> Reply:
        assert self.recorder is not None
        found = self.recorder.find(self.name, request)
        if found is None:
            raise SourceUnavailable(
                f"The replayed run kept no answer of {self.name} to {request[:200]}",
                next_step="Replay the window that it fetched, or fetch without --replay.",
            )
        return found

    def _sent(self, send: Callable[[], Reply], begun: datetime | None) -> Reply:
        try:
            reply = send()
        except Exception as error:  # whatever the client raises: the vendor gave no answer
            self._record(False, begun, reason=shown((str(error).splitlines() or [type(error).__name__])[0]))
            raise
        fine = reply.status != 429 and reply.status < 500
        pause = (reply.retry_after or 0.0) if reply.status == 429 else 0.0
        self._record(
            fine, begun, pause=min(pause, LONGEST_PAUSE), reason="" if fine else f"HTTP status {reply.status}"
        )
        return reply

    def _record(self, ok: bool, begun: datetime | None, *, pause: float = 0.0, reason: str) -> None:
        if self.throttle is not None:
            self.throttle.record(self.gate or self.name, ok, begun=begun, pause=pause, reason=reason)

    def require_page(self, page: int, most: int) -> None:
        """Raise SourceSchemaChanged where an answer has more pages than it can need, or than the limit allows."""
        if page > min(most, self.limits.pages):
            raise SourceSchemaChanged(
                f"{self.name} has sent {page - 1} pages and not come to the end",
                next_step="See its raw answers; where there is so much, raise HYPERTAPE_SOURCE_PAGES.",
            )

    def persist(self, call: Callable[[], _Answer]) -> _Answer:
        """Make a call, and again while its error may pass. A replay and an open circuit are not tried again."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(1 if self.replays else self.attempts),
            wait=_long_enough,
            sleep=self.sleep,
            reraise=True,
        )
        return attempts(call)


def vendor_client(
    config: SourceConfig,
    throttle: Throttle | None,
    recorder: Recorder | None,
    limits: Limits,
    part: str | None = None,
) -> VendorClient:
    """The client of a configured source: `vci`, `ccxt:binance` (with a part).

    At an endpoint its turns go by `vci@127.0.0.1:8080`: a vendor and a server that answers in its place share neither
    their rate nor their failures. Kept answers go by the name alone: a run is replayed whatever host answered it.
    """
    name = f"{config.name}:{part}" if part else config.name
    host = urlsplit(config.endpoint).netloc if config.endpoint else ""
    return VendorClient(name, f"{name}@{host}" if host else name, throttle, recorder, limits)


@dataclass(frozen=True, kw_only=True)
class VendorSource:
    """What every source over HTTP has.

    A request is tried `attempts` times in all while the error may pass, with backoff waited for by `sleep`. After
    `patience` requests in a row that failed so, the rest of the batch is not asked.
    """

    name: ClassVar[str]

    endpoint: str | None = None
    attempts: int = 4
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    timeout: float = 30.0
    patience: int = 3
    throttle: Throttle | None = field(default=None, repr=False)
    recorder: Recorder | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)

    @property
    def part(self) -> str | None:
        """The part of the vendor that is asked, where it has several that share nothing."""
        return None

    @property
    def client(self) -> VendorClient:
        """What requests go through."""
        config = SourceConfig(self.name, endpoint=self.endpoint)
        client = vendor_client(config, self.throttle, self.recorder, self.limits, self.part)
        return replace(client, attempts=self.attempts, sleep=self.sleep)

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the tickers of the market's file; which of them the vendor has is known when it is asked."""
        return tuple(sorted(market.by_ticker))


def request_text(
    method: str, url: str, parameters: Mapping[str, object] | None = None, body: str = ""
) -> str:
    """A request in one line, the same whoever answers it: no host, parameters sorted, nothing secret in it."""
    address = urlsplit(url)
    given = {**dict(parse_qsl(address.query)), **(parameters or {})}
    open_ones = {name: value for name, value in given.items() if name.lower() not in _SECRETS}
    query = urlencode(sorted((name, str(value)) for name, value in open_ones.items()))
    return " ".join(
        part for part in (method.upper(), address.path + (f"?{query}" if query else ""), body) if part
    )


def judge_status(vendor: str, reply: Reply) -> None:
    """Raise what an HTTP status means: RateLimited for 429, SourceUnavailable for 3xx, 5xx, 401, 403, 407 and 408."""
    if reply.status == 429:
        limited = RateLimited(f"{vendor} asked us to slow down")
        limited.retry_after = reply.retry_after
        raise limited
    if (
        reply.status >= 500
        or reply.status < 200
        or 300 <= reply.status < 400
        or reply.status in _NOT_THE_VENDOR
    ):
        raise SourceUnavailable(f"{vendor} answered with HTTP status {reply.status}")


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, CircuitOpen):
        return False
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return isinstance(error, TransientError) and (asked is None or asked <= LONGEST_PAUSE)


_backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)


def _long_enough(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return max(_backoff(state), asked or 0.0)
