"""Downloads that try again, go on where they broke off, and are checked; only over http, https and s3."""

import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from fold.errors import FoldError
from fold.files import checksum, part_path

log = logging.getLogger(__name__)

ATTEMPTS = 5
BACKOFF_SECONDS = 1.0
"""Pause before the second attempt, doubled before each one after it."""
TIMEOUT_SECONDS = 30.0
BLOCK_BYTES = 1 << 18

# Nothing that could chain one protocol to another, end a request line or carry a secret into a log.
_URL = re.compile(r"(https?|s3)://(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?(/[\w./~%+=,@!-]*)?", re.ASCII | re.IGNORECASE)
_TRY_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class Unreachable(FoldError):
    """A remote file that could not be had; the message names its URL, the reason and the number of tries."""


class _Broken(Exception):
    """The network or the server failed, perhaps not for long."""


class _Wrong(Exception):
    """The bytes received are not the file's."""


class _Remote(NamedTuple):
    """A file being received: bytes from `start` on; `total` of the whole file, None where the server says nothing."""

    stream: IO[bytes]
    start: int
    total: int | None


def is_url(place: str) -> bool:
    """Return whether a place is no file but a URL (or a command), by its beginning."""
    return re.match(r"[A-Za-z][\w+.-]*:", place) is not None


def check_url(url: str) -> None:
    """Let only plain http, https and s3 URLs pass: no other protocol, no chain of them, no query, no password.

    Raises:
        FoldError: anything else.
    """
    if not _URL.fullmatch(url):
        raise FoldError(f"{url!r} is refused: expected http://HOST/PATH, https://HOST/PATH or s3://BUCKET/PATH")


def download(url: str, path: Path, *, sha256: str | None, quiet: bool = False) -> None:
    """Download to `path`, going on where an earlier, broken-off download stopped.

    Args:
        url: of the file.
        path: appears only when complete.
        sha256: checksum in hexadecimal; None where there is none to compare with.
        quiet: show no progress bar.

    Raises:
        Unreachable: no connection, or the checksum differs.
        FoldError: the URL is refused, or `path` cannot be written.
    """
    part = part_path(path)
    complete(url, part, sha256=sha256, quiet=quiet)
    part.replace(path)


def complete(
    url: str, part: Path, *, sha256: str | None, max_bytes: int | None = None, fetches: int = 2, quiet: bool = False
) -> None:
    """Fetch what is missing of the file `part`, in as many as `ATTEMPTS` connections.

    A file with the wrong checksum is deleted and fetched from its start.

    Args:
        url, sha256, quiet: as in `download`.
        part: what an earlier call left, if anything.
        max_bytes: of the file; a server that sends more is cut off.
        fetches: how often the whole may turn out wrong before this gives up.

    Raises:
        as `download`.
    """
    check_url(url)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            _transfer(url, part, max_bytes, quiet)
            _check(part, sha256)
            return
        except _Broken as error:
            reason = str(error)
        except _Wrong as error:
            reason = str(error)
            fetches -= 1
            part.unlink()
        except OSError as error:
            raise FoldError(f"cannot write {part}: {error}") from error
        if attempt == ATTEMPTS or not fetches:
            raise Unreachable(f"cannot download {url}: {reason}; tries: {attempt}")
        pause = BACKOFF_SECONDS * 2 ** (attempt - 1)
        log.warning(f"{url}: {reason}; trying again in {pause:g} s")
        time.sleep(pause)


def _check(part: Path, sha256: str | None) -> None:
    if sha256 is not None and (found := checksum(part)) != sha256:
        raise _Wrong(f"checksum {found}, expected {sha256}")


def _transfer(url: str, part: Path, max_bytes: int | None, quiet: bool) -> None:
    """Receive what is missing of a file in one connection."""
    present = part.stat().st_size if part.exists() else 0
    with _network():
        remote = (_open_s3 if url.lower().startswith("s3:") else _open_http)(url, present)
    if remote is None:
        return
    with (
        remote.stream,
        part.open("ab" if remote.start else "wb") as file,
        tqdm(desc=part.stem, initial=remote.start, total=remote.total, unit="B", unit_scale=True, disable=quiet) as bar,
    ):
        while block := _read(remote.stream):
            file.write(block)
            bar.update(len(block))
            if max_bytes is not None and file.tell() > max_bytes:
                raise _Wrong(f"more than the {max_bytes} bytes expected")
        file.flush()
        os.fsync(file.fileno())
        if remote.total not in (None, file.tell()):
            raise _Broken(f"the connection broke off after {file.tell()} of {remote.total} bytes")


def _read(stream: IO[bytes]) -> bytes:
    with _network():
        return stream.read(BLOCK_BYTES)


@contextmanager
def _network() -> Iterator[None]:
    """Tell failures of the network from those of the disk."""
    try:
        yield
    except (FoldError, _Wrong):
        raise
    except Exception as error:  # beside OSError and HTTPException, whatever s3fs lets through of botocore and aiohttp
        raise _Broken(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _open_http(url: str, start: int) -> _Remote | None:
    """Ask for a file from `start` on; None where nothing lies beyond."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            total = (error.headers["Content-Range"] or "").rpartition("/")[2]
            if total.isdigit() and int(total) != start:
                raise _Wrong(f"{start} bytes were there, but the file has {total}") from error
            return None  # the earlier download was complete but not yet checked
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _TRY_LATER:
            raise _Broken(str(error)) from error
        raise Unreachable(f"cannot download {url}: {error}; tries: 1") from error
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        start = 0
    length = response.headers["Content-Length"] or ""
    return _Remote(response, start, start + int(length) if length.isdigit() else None)


def _open_s3(url: str, start: int) -> _Remote:
    """Open an S3 object at `start`, with the credentials that s3fs finds."""
    file = _s3_file(url)
    start = start if start <= file.size else 0
    file.seek(start)
    return _Remote(file, start, file.size)


def _s3_file(url: str) -> Any:
    try:
        import fsspec
        from botocore.exceptions import NoCredentialsError, PartialCredentialsError, ProfileNotFound

        system, path = fsspec.url_to_fs(url)
    except ImportError as error:
        raise FoldError(f"{url}: S3 needs a package that is missing: pip install 'fold-asr[s3]'") from error
    try:
        file = system.open(path, "rb")
    except FileNotFoundError as error:
        reason = "there is no such object" if str(error) == path else str(error)
    except NoCredentialsError as error:
        reason = f"{error}; for a public bucket set FSSPEC_S3_ANON=true"
    except (PermissionError, PartialCredentialsError, ProfileNotFound, ValueError) as error:
        reason = str(error)
    else:
        if file.details["type"] == "file":
            return file
        reason = "there is no such object, but only some whose names begin so"  # else it would seem to be empty
    raise Unreachable(f"cannot download {url}: {reason}; tries: 1")
