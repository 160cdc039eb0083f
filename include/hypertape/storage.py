"""Files wherever they lie: in a local directory, or on an object store: landing area, backups, Parquet stores.

Listings are never remembered: another worker writes the same area. Object stores need their package beside fsspec
(s3fs is in the lock; gcsfs and adlfs are not), and find their address and credentials as those packages do:
`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, a role of the machine. No bucket is made: one that is missing is a mistake in
the address.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec

from hypertape.errors import BadSetting, DiskFull, TransientError

_FRESH = {"use_listings_cache": False}
_MODIFIED = ("LastModified", "last_modified", "updated")
"""What object stores call it in a listing; of others each file is asked for."""

_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure")
"""Libraries whose errors are no OSError."""

_CREDENTIALS = "Credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class Area:
    """A place for files, as messages speak of it: what it is, the setting that names it, where its credentials are."""

    what: str
    setting: str
    credentials: str


LANDING = Area(
    "The landing area",
    "HYPERTAPE_LANDING_URL",
    f"{_CREDENTIALS}, or the Airflow connection hypertape_landing.",
)
BACKUPS = Area("The place of the backups", "--output or HYPERTAPE_BACKUP_URL", f"{_CREDENTIALS}, or a role.")
PARQUET = Area("The Parquet store", "its URL", f"{_CREDENTIALS}, or a role.")

_NEVER = datetime.max.replace(tzinfo=UTC)


def open_file(url: str, mode: str = "rb") -> AbstractContextManager[IO[Any]]:
    """Open a file; a local directory is made for it. Used within `storage_errors`."""
    opened: AbstractContextManager[IO[Any]] = fsspec.open(url, mode, auto_mkdir=is_local(url), **_FRESH)
    return opened


def is_local(url: str) -> bool:
    """True for a directory of this machine."""
    return urlsplit(url).scheme in ("", "file", "local")


def store_of(url: str, area: Area = LANDING) -> tuple[Any, str]:
    """The file system of an address (fsspec's), and the path in it; see `storage_errors` for the words."""
    with storage_errors(area):
        files, path = fsspec.core.url_to_fs(url, **_FRESH)
    return files, path


def newest(files: Any, directory: str) -> datetime:
    """When the newest file of a directory was written (UTC); the end of time where there is none."""
    found: Mapping[str, Any] = files.find(directory, detail=True)
    ages = (_modified(files, path, about) for path, about in found.items())
    return max(ages, default=_NEVER)


def remove(files: Any, directory: str) -> None:
    """Remove a directory, if it is there; what others remove at the same time is gone as well."""
    with suppress(FileNotFoundError):
        files.rm(directory, recursive=True)


def _modified(files: Any, path: str, about: Mapping[str, Any]) -> datetime:
    known = next((about[name] for name in _MODIFIED if isinstance(about.get(name), datetime)), None)
    try:
        at: datetime = known or files.modified(path)
    except FileNotFoundError:  # renamed or removed since it was listed: somebody works there now
        return _NEVER
    return at


@contextmanager
def storage_errors(area: Area = LANDING) -> Iterator[None]:
    """Turn a full disk into DiskFull, a missing package or refused credentials into BadSetting.

    The messages speak of `area`.

    Any other failure of the store becomes TransientError. A file that is not there stays FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError as error:
        if "bucket does not exist" in str(error):
            raise BadSetting(
                f"{area.what}: its bucket is missing: {error}",
                next_step=f"Make it, or correct {area.setting}.",
            ) from error
        raise
    except ImportError as error:
        raise BadSetting(
            f"{area.setting} names a store that nothing here can read: {error}",
            next_step="Install the package (s3:// is there, gs:// needs gcsfs, az:// adlfs), or name a directory.",
        ) from error
    except PermissionError as error:
        raise BadSetting(
            f"{area.what} refuses: {error}",
            next_step=f"Check the permissions. {area.credentials}",
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"{area.what} is full") from error
        raise _failed(area, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _CLIENTS:
            raise
        if "credentials" in str(error).lower():
            raise BadSetting(
                f"{area.what}: {error}",
                next_step=area.credentials,
            ) from error
        raise _failed(area, error) from error


def _failed(area: Area, error: Exception) -> TransientError:
    return TransientError(f"{area.what} failed: {error}", next_step=f"Check {area.setting}, then try again.")
