"""What one request may cost: a session that ends what is too long, too slow or too deep, whatever server answers.

libcurl keeps the time of a whole request (from the name's look-up to the last byte, so that a server which sends a byte
a second gains nothing) and unpacks in pieces of a few kilobytes, of which no more than the limit are taken (so that a
small body which unpacks to gigabytes ends at the limit).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import curl_cffi.requests
from curl_cffi.requests.exceptions import RequestException

from hypertape.cells import number, shown
from hypertape.errors import HypertapeError, SourceSchemaChanged, SourceUnavailable
from hypertape.sources._protocol import Limits, Reply

_MOST_GROUPS = 1_000_000
"""Lists and objects that one answer may hold: three bytes of text each, and sixty in memory."""


class BoundedSession(curl_cffi.requests.Session):  # type: ignore[misc]
    """A session for one vendor; with an `endpoint` every request goes to that server in the vendor's place.

    `options` are curl_cffi's.
    """

    def __init__(self, vendor: str, limits: Limits, endpoint: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.vendor = vendor
        self.limits = limits
        self.endpoint = endpoint

    def request(self, method: str, url: str, *args: Any, most: int | None = None, **kwargs: Any) -> Any:
        """Send a request; `most` bytes of its body are taken (default: the limit).

        Raises SourceSchemaChanged for a longer body and curl_cffi's RequestException where the server does not answer
        in time.
        """
        body = bytearray()
        most = min(most or self.limits.bytes, self.limits.bytes)

        def take(piece: bytes) -> int:
            if len(body) + len(piece) > most:
                raise SourceSchemaChanged(
                    f"{self.vendor}'s answer is longer than {most:,} bytes",
                    next_step="See whether it is an answer at all, or raise HYPERTAPE_SOURCE_BYTES.",
                )
            body.extend(piece)
            return len(piece)

        asked = number(kwargs.get("timeout"))
        kwargs["timeout"] = min(asked or self.limits.seconds, self.limits.seconds)
        response = super().request(method, moved(url, self.endpoint), *args, content_callback=take, **kwargs)
        response.content = bytes(body)
        return response

    def reply(self, method: str, url: str, **kwargs: Any) -> Reply:
        """Send a request and return what came. Raises SourceUnavailable where nothing did."""
        try:
            response = self.request(method, url, **kwargs)
        except HypertapeError:
            raise
        except Exception as error:  # curl's errors, and what its client stumbles over in a header
            raise not_answered(self.vendor, error) from error
        return Reply(response.status_code, response.content, retry_after(response.headers))


def not_answered(vendor: str, error: Exception) -> SourceUnavailable:
    """The error of a request that got no answer."""
    said = (str(error).splitlines() or [""])[0].partition(" See https://curl.se")[0]
    kind = (
        type(error).__name__
        if isinstance(error, RequestException)
        else f"its answer ends in a {type(error).__name__}"
    )
    return SourceUnavailable(f"{vendor} did not answer: {kind} {shown(said)}".strip())


def moved(url: str, endpoint: str | None) -> str:
    """The address of a request at the server that answers in the vendor's place."""
    if endpoint is None:
        return url
    host, address = urlsplit(endpoint), urlsplit(url)
    return urlunsplit((host.scheme, host.netloc, address.path, address.query, ""))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header; a date in it is not read, and the backoff stands."""
    seconds = number(headers.get("Retry-After") or headers.get("retry-after"))
    return None if seconds is None else max(0.0, seconds)


def read_json(vendor: str, body: bytes) -> Any:
    """Read a vendor's JSON text.

    Raises SourceUnavailable for what is none or is cut short (a page, nothing at all: somebody else answered, or the
    vendor broke off) and SourceSchemaChanged for one that nobody could read: nested too deep, numbers of thousands of
    digits, too many parts.
    """
    if body.count(b"[") + body.count(b"{") > _MOST_GROUPS:
        raise SourceSchemaChanged(f"{vendor}'s answer has more than {_MOST_GROUPS:,} lists and objects")
    try:  # a byte or a control character that does not belong there costs its cell, not the answer
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except json.JSONDecodeError as error:
        raise SourceUnavailable(f"{vendor}'s answer is no whole JSON text: {start_of(body)}") from error
    except (ValueError, RecursionError) as error:
        why = "is nested too deep" if isinstance(error, RecursionError) else "has a number nobody can read"
        raise SourceSchemaChanged(f"{vendor}'s answer {why}: {start_of(body)}") from error


def start_of(body: bytes) -> str:
    """The beginning of an answer, for a message."""
    return repr(shown(body[:80].decode(errors="replace")))
