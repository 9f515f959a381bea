"""Archives that are fetched once and cannot write outside their folder."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from fold.data.download import Unreachable, download
from fold.errors import FoldError
from fold.files import part_path


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
    archive = folder.with_name(url.rsplit("/", 1)[-1])
    if not folder.is_dir():
        if not archive.exists():
            _download(url, archive, sha256)
        unpack(archive, folder, inside=inside)
    # Also what a kill after the folder appeared has left behind.
    archive.unlink(missing_ok=True)
    shutil.rmtree(part_path(folder), ignore_errors=True)
    return folder


def _download(url: str, archive: Path, sha256: str | None) -> None:
    try:
        download(url, archive, sha256=sha256)
    except Unreachable as error:
        raise FoldError(
            f"{error}; run again to resume, or download and unpack it elsewhere and give its folder as ROOT="
        ) from error


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
