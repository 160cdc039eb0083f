"""A tape over the API of a warehouse: the same answers, for those who have a key and no login of the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

import httpx
import pyarrow as pa

from hypertape import errors
from hypertape.reader.ipc import from_stream
from hypertape.reader.request import BarRequest
from hypertape.reader.tape import LedgerRequest

_TICKERS_AT_ONCE = 200
_DAYS_AT_ONCE = 90
_ROWS_AT_ONCE = 5_000
_PATIENCE = httpx.Timeout(60.0, connect=10.0)
_INSTANTS = ("start_time", "end_time", "closed_at")

Parameters = list[tuple[str, str | int | float | bool | None]]


class OverHttp:
    """Answers by way of an API; `client` has its address and key."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def at(cls, address: str, key: str | None) -> OverHttp:
        """The API at an address; a key is what `hypertape keys create` printed."""
        headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})}
        return cls(httpx.Client(base_url=address.rstrip("/"), headers=headers, timeout=_PATIENCE))

    def read(self, request: BarRequest, *, at_once: bool) -> Iterator[pa.RecordBatch]:
        """The bars as they come; `at_once` makes no difference here."""
        if request.tickers is None:
            yield from self._stream(_parameters(request, ()))
            return
        names = sorted(request.tickers)
        for first in range(0, len(names), _TICKERS_AT_ONCE):
            yield from self._stream(_parameters(request, names[first : first + _TICKERS_AT_ONCE]))

    def gaps(self, request: LedgerRequest, *, closed: bool) -> Iterable[dict[str, Any]]:
        """Entries of the gap ledger, page by page."""
        asked = [*_of(request), ("open", str(not closed).lower()), ("limit", str(_ROWS_AT_ONCE))]
        after: Parameters = []
        while True:
            page = self._json("/gaps", [*asked, *after])
            yield from (_with_instants(row) for row in page["gaps"])
            if page["next"] is None:
                return
            after = [("after", page["next"])]

    def condition(self, request: LedgerRequest, start: date, end: date) -> Iterable[dict[str, Any]]:
        """The conditions of sessions, some months at a time."""
        while start <= end:
            last = min(end, start + timedelta(days=_DAYS_AT_ONCE))
            days = [("start_date", start.isoformat()), ("end_date", last.isoformat())]
            found = self._json("/condition", [*_of(request), *days])["conditions"]
            yield from ({**row, "session": date.fromisoformat(row["session"])} for row in found)
            start = last + timedelta(days=1)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _stream(self, parameters: Parameters) -> Iterator[pa.RecordBatch]:
        with _told(), self._client.stream("GET", "/bars", params=parameters) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                _refuse(response)
            yield from from_stream(response.iter_bytes())

    def _json(self, path: str, parameters: Parameters) -> dict[str, Any]:
        with _told():
            response = self._client.get(path, params=parameters)
            if response.status_code != httpx.codes.OK:
                _refuse(response)
            answer: dict[str, Any] = response.json()
            return answer


def _of(request: LedgerRequest) -> Parameters:
    named = [("symbol", ticker) for ticker in request.tickers or ()]
    return [("mode", request.market.code), ("interval", request.interval.spelling), *named]


def _parameters(request: BarRequest, tickers: Iterable[str]) -> Parameters:
    instants = {"start": request.start, "end": request.end, "as_of": request.as_of}
    given = {name: value.isoformat() for name, value in instants.items() if value is not None}
    flags = {name: "true" for name in ("adjusted", "complete") if getattr(request, name)}
    words = {
        "market": request.market.code,
        "interval": request.interval.value,
        "columns": ",".join(request.columns),
        **({"indicators": ",".join(request.indicators)} if request.indicators else {}),
        "state": request.state,
        **({"pin": request.pin} if request.pin is not None else {}),
        **({"newest": str(request.newest)} if request.newest is not None else {}),
    }
    return [*({**words, **given, **flags}).items(), *(("symbol", ticker) for ticker in tickers)]


def _with_instants(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in _INSTANTS if row[name]}}


@contextmanager
def _told() -> Iterator[None]:
    """What the way to the API does, as one of `errors`."""
    try:
        yield
    except httpx.HTTPError as error:
        raise errors.DatabaseUnreachable(
            f"The API does not answer: {error or type(error).__name__}",
            next_step="Is `hypertape serve` running there?",
        ) from error
    except pa.ArrowInvalid as error:
        raise errors.DatabaseUnreachable("The API's answer ended too early") from error


def _refuse(response: httpx.Response) -> NoReturn:
    """Raise what the API said, as the error that it is there."""
    try:
        answer = response.json()
        text = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        answer, text = {}, f"The API answered {response.status_code}"
    if response.status_code in (401, 403):
        raise errors.DatabaseRefused(
            text, next_step="Make a key with `hypertape keys create` and pass it as key=."
        )
    if response.status_code in (429, 503):
        raise errors.DatabaseBusy(text, next_step="")
    kind = getattr(errors, response.headers.get("X-Hypertape-Error", ""), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.HypertapeError)):
        kind = errors.BadInput if response.status_code == 400 else errors.TerminalError
    error = kind(text, next_step="")
    if isinstance(error, errors.Incomplete):
        error.missing = tuple(_missing(row) for row in answer.get("missing", ()))
    raise error


def _missing(row: dict[str, Any]) -> errors.MissingBars:
    return errors.MissingBars(
        row["ticker"],
        datetime.fromisoformat(row["start"]),
        datetime.fromisoformat(row["end"]),
        row["bars"],
        row["reason"],
        row["detail"],
    )
