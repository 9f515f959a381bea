"""ONNX Runtime for browsers: two files of the npm package `onnxruntime-web`, fetched at first use.

They are not part of fold (14 MB). The version is pinned, and so is the content.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from fold.data.download import download
from fold.errors import FoldError
from fold.files import checksum, locked, replacing

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web-{VERSION}.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{PACKAGE}"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
NPM_SECONDS = 300


def runtime_files(cache: Path | None = None) -> list[Path]:
    """The files, fetched if they are not in the cache, by npm where it is installed (33 MB).

    cache: folder to keep them in; by default one of the user's. Raises FoldError if they cannot be had.
    """
    folder = (cache or _user_cache()) / f"onnxruntime-web-{VERSION}"
    files = [folder / name for name in FILES]
    try:
        with locked(folder):
            if not all(map(_whole, files)):
                _fetch(folder)
    except OSError as error:
        raise FoldError(f"ONNX Runtime for browsers cannot be kept in {folder}: {error}") from None
    for file in files:
        if not _whole(file):
            raise FoldError(f"{file}: not the file of onnxruntime-web {VERSION}; delete {folder} and try again")
    return files


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fold"


def _whole(file: Path) -> bool:
    return file.is_file() and checksum(file) == FILES[file.name]


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        package = Path(scratch) / PACKAGE
        if shutil.which("npm"):
            _pack(package.parent)
        else:
            download(URL, package, sha256=SHA256)
        try:
            with tarfile.open(package) as held:
                for name in FILES:
                    source = held.extractfile(f"package/dist/{name}")
                    assert source is not None  # for it is a file
                    with replacing(folder / name) as target:
                        shutil.copyfileobj(source, target)
        except (tarfile.TarError, KeyError, EOFError) as error:
            raise FoldError(f"{PACKAGE}: not the npm package that it should be ({error})") from None


def _pack(folder: Path) -> None:
    """Has npm fetch the package, from the registry that the user has set. Raises FoldError."""
    command = ["npm", "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NPM_SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise FoldError(f"npm has not fetched onnxruntime-web {VERSION} in {NPM_SECONDS} s") from None
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[0]
        raise FoldError(f"npm cannot fetch onnxruntime-web {VERSION}: {reason}")
