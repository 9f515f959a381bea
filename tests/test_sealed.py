"""No damage to a checkpoint's file passes for the checkpoint."""

import errno
import io
import random
from pathlib import Path

import pytest
import torch

from fold import sealed
from fold.errors import FoldError

CONTENT = {"weights": [torch.rand(40, 30), torch.arange(7)], "step": 3, "units": {"symbols": "abc", "none": None}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with (tmp_path / "last.ckpt").open("wb") as stream:
        sealed.write(CONTENT, stream)
    return tmp_path / "last.ckpt"


def is_content(value: dict) -> bool:
    weights = zip(value.pop("weights"), CONTENT["weights"], strict=True)
    return all(torch.equal(*pair) for pair in weights) and value == {k: v for k, v in CONTENT.items() if k != "weights"}


def is_refused(file: Path, damaged: bytes) -> bool:
    """Whether it is; what is not must be harmless."""
    file.write_bytes(damaged)
    try:
        assert is_content(sealed.read(file))
        return False
    except FoldError as error:
        assert str(file) in str(error)
        assert len(str(error).splitlines()) == 1
        return True


def test_what_is_written_is_read_by_us_and_by_torch(file: Path) -> None:
    assert is_content(sealed.read(file))
    assert is_content(torch.load(file, weights_only=True))


def test_truncation_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    archive = len(whole) - sealed.SEAL_BYTES
    for size in [0, 1, archive - 1, *random.Random(1).sample(range(archive), 30)]:
        assert is_refused(file, whole[:size]), size
    for size in range(archive, len(whole)):  # what is cut off is of the seal: the archive is whole
        assert not is_refused(file, whole[:size]), size


def test_every_changed_byte_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    label = range(len(whole) - sealed.SEAL_BYTES, len(whole) - sealed.SEAL_BYTES + len(sealed.SEAL))
    directory = range(whole.index(b"PK\1\2"), label.start)  # of the zip archive: its own checksums leave it out
    choose = random.Random(2)
    for place in [*choose.sample(range(len(whole)), 150), *choose.sample(directory, 100), *label, len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= choose.randrange(1, 256)
        assert is_refused(file, bytes(damaged)) == (place not in label), place


def test_a_changed_tensor_is_refused_without_a_seal_too(file: Path) -> None:
    torch.save(CONTENT, file)
    whole = file.read_bytes()
    start = whole.index(CONTENT["weights"][0].numpy().tobytes())
    for place in random.Random(3).sample(range(start, start + 4 * 1200), 50):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        assert is_refused(file, bytes(damaged)), place
    assert not is_refused(file, whole)


@pytest.mark.parametrize("room", [0, 100, 3000, 5000, 5500])
def test_a_full_disk_is_told_as_such(room: int) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: bytes) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left on device"):
        sealed.write(CONTENT, FullDisk())
