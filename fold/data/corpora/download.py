"""Downloads that resume and are checked, and archives that cannot write outside their folder."""

import gzip
import http.client
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from fold.data.files import checksum, part_path
from fold.errors import FoldError

ATTEMPTS = 5
BLOCK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30


def fetch_archive(url: str, folder: Path, *, inside: str, sha256: str | None) -> Path:
    """Download a `.tar.gz` or `.zip` and unpack its folder `inside` as `folder`, unless that exists.

    Args:
        url: of the archive.
        folder: appears only when complete.
        inside: the folder within the archive that is wanted.
        sha256: checksum of the archive, in hexadecimal; None where the publisher gives none.

    Raises:
        FoldError: no connection, a wrong checksum, or an archive that is damaged or would write elsewhere.
    """
    if folder.is_dir():
        return folder
    archive = folder.with_name(url.rsplit("/", 1)[-1])
    if not archive.exists():
        download(url, archive, sha256=sha256)
    unpack(archive, folder, inside=inside)
    archive.unlink()
    return folder


def download(url: str, path: Path, *, sha256: str | None) -> None:
    """Download to `path`, going on where an earlier, broken-off download stopped.

    Raises:
        FoldError: no connection, or the checksum differs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(path)
    for attempt in range(ATTEMPTS):
        try:
            if _transfer(url, part):
                break
            reason = "the connection broke off"
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error))
        if attempt == ATTEMPTS - 1 or not part.exists():
            raise FoldError(
                f"cannot download {url}: {reason}; run again to resume, or download and unpack it elsewhere "
                "and give its folder as ROOT="
            )
        time.sleep(1)
    if sha256 is not None and (found := checksum(part)) != sha256:
        part.unlink()
        raise FoldError(f"{url}: checksum {found}, expected {sha256}; the download was deleted, run again")
    part.replace(path)


def _transfer(url: str, part: Path) -> bool:
    """Fetch what is missing of a file in one connection; return whether the file is complete."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        # Nothing lies beyond the bytes at hand: the earlier download was complete but not yet checked.
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = response.headers["Content-Length"]
        total = None if length is None else done + int(length)
        with (
            part.open("ab" if done else "wb") as stream,
            tqdm(desc=part.stem, initial=done, total=total, unit="B", unit_scale=True) as bar,
        ):
            while block := response.read(BLOCK_BYTES):
                stream.write(block)
                bar.update(len(block))
    return total is None or part.stat().st_size == total


def unpack(archive: Path, folder: Path, *, inside: str) -> None:
    """Unpack the folder `inside` of an archive as `folder`, which appears only when complete.

    Raises:
        FoldError: the archive is damaged, lacks that folder, or has members that would land elsewhere.
    """
    part = part_path(folder)
    shutil.rmtree(part, ignore_errors=True)
    try:
        for _ in tqdm(_members(archive, part), desc=f"unpacking {archive.name}", unit="file"):
            pass
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise FoldError(f"{archive} cannot be unpacked: {error}; delete it and run again") from error
    if not (part / inside).is_dir():
        raise FoldError(f"{archive} holds no folder {inside}; is it the right archive?")
    (part / inside).rename(folder)
    shutil.rmtree(part)


def _members(archive: Path, folder: Path) -> Iterator[None]:
    """Unpack one member after another."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise FoldError(f"{archive} is refused: its member {name} would land outside its folder")
                zipped.extract(name, folder)
                yield
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                tar.extract(member, folder, filter="data")
                yield
