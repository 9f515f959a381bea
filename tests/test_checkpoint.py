"""Checkpoints describe themselves, come back equal, and execute nothing."""

import pickle
from dataclasses import replace
from pathlib import Path as FilePath

import pytest
import torch

from fold import checkpoint, sealed
from fold.checkpoint import Description
from fold.errors import FoldError
from fold.models import Conformer
from fold.models.frontend import SpecAugmentConfig
from fold.paths import PathSpace
from fold.text.units import CharUnits

TINY = Conformer(
    num_layers=2,
    dim=8,
    num_heads=2,
    ffn_dim=12,
    kernel_size=3,
    dropout=0.3,
    subsampling_channels=2,
    decoder_layers=0,
    num_mels=8,
    normalisation="global",
)
ARCHITECTURES = [
    TINY,
    replace(TINY, spec_augment=None),
    replace(TINY, spec_augment=SpecAugmentConfig(freq_masks=1, time_share=0.2), conv_norm="batch"),
    replace(TINY, decoder_layers=1, decoder_ffn_dim=10, checkpoint_activations=True),
]
SPACES = [PathSpace(2, 2), PathSpace(2, (1, 3), max_depth=3), PathSpace(2, canonical_order="last")]


def describe(architecture: Conformer = TINY, space: PathSpace = SPACES[0]) -> Description:
    return Description(architecture, space, CharUnits(" abc"), 8000, "shards/digits")


def content(description: Description, model: torch.nn.Module) -> dict:
    """What a training run saves, besides what is of no use here."""
    weights = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    return {"fold": description.to_dict(), "state_dict": weights | {"metric.count": torch.ones(3)}, "epoch": 3}


@pytest.fixture
def saved(tmp_path: FilePath) -> FilePath:
    file = tmp_path / "model.ckpt"
    with file.open("wb") as stream:
        sealed.write(content(describe(), describe().build()), stream)
    return file


def assert_refused(file: FilePath) -> str:
    with pytest.raises(FoldError) as caught:
        checkpoint.load(file)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(file) in message
    return message


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("space", SPACES)
def test_a_description_is_read_back_from_plain_values(
    architecture: Conformer, space: PathSpace, tmp_path: FilePath
) -> None:
    description = describe(architecture, space)
    torch.save(description.to_dict(), tmp_path / "plain")
    back = Description.from_dict(torch.load(tmp_path / "plain", weights_only=True))
    assert (back.architecture, back.space, back.sample_rate, back.shards) == (
        architecture,
        space,
        8000,
        "shards/digits",
    )
    assert back.units.to_dict() == description.units.to_dict()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_comes_back_equal(architecture: Conformer, tmp_path: FilePath) -> None:
    description = describe(architecture, SPACES[1])
    torch.manual_seed(0)
    model = description.build()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.rand(tensor.shape).to(tensor.dtype))
    torch.save(content(description, model), tmp_path / "model.ckpt")

    loaded, back = checkpoint.load(tmp_path / "model.ckpt")
    assert (back.architecture, back.space) == (architecture, SPACES[1])
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    waveforms, num_samples = torch.rand(2, 2000) - 0.5, torch.tensor([2000, 1500])
    paths = list(SPACES[1].paths(3))
    for one, other in zip(
        loaded(waveforms, num_samples, paths), model.eval()(waveforms, num_samples, paths), strict=True
    ):
        assert torch.equal(one.ctc_log_probs, other.ctc_log_probs)


def test_a_missing_file_is_named(tmp_path: FilePath) -> None:
    assert assert_refused(tmp_path / "none.ckpt").endswith("no such file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.7, 0.99])
def test_a_truncated_file_is_refused(saved: FilePath, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert "truncated" in assert_refused(saved)


def test_a_changed_weight_is_refused(saved: FilePath) -> None:
    weight = torch.load(saved, weights_only=True)["state_dict"]["model.ctc_head.weight"].numpy().tobytes()
    whole = saved.read_bytes()
    assert whole.count(weight) == 1
    saved.write_bytes(whole.replace(weight, bytes(len(weight))))
    assert "corrupt" in assert_refused(saved)


@pytest.mark.parametrize(
    "foreign", [b"hello\n", b"RIFF\x24\x08\x00\x00WAVEfmt ", b"fLaC\x00\x00\x00", b"X\x04", bytes(100), b"\x80\x02."]
)
def test_a_file_of_another_kind_is_refused(foreign: bytes, tmp_path: FilePath) -> None:
    file = tmp_path / "speech.wav"
    file.write_bytes(foreign)
    assert_refused(file)


def test_a_folder_is_refused(tmp_path: FilePath) -> None:
    assert_refused(tmp_path)


@pytest.mark.parametrize("value", [{"state_dict": {}}, [1, 2], torch.zeros(3), {}])
def test_a_checkpoint_of_another_program_is_refused(value: object, tmp_path: FilePath) -> None:
    torch.save(value, tmp_path / "other.ckpt")
    assert "no description" in assert_refused(tmp_path / "other.ckpt")


DAMAGES = {
    "unknown architecture": lambda plain: plain["fold"].update(architecture="Transformer"),
    "no architecture": lambda plain: plain["fold"].update(architecture="empty_model"),
    "unknown setting": lambda plain: plain["fold"]["settings"].update(width=3),
    "bad setting": lambda plain: plain["fold"]["settings"].update(dim=9),
    "missing field": lambda plain: plain["fold"].pop("space"),
    "bad space": lambda plain: plain["fold"]["space"].update(max_depth=99),
    "unknown units": lambda plain: plain["fold"].update(units={"kind": "words"}),
    "no dictionary": lambda plain: plain.update(fold=[]),
    "no weights": lambda plain: plain.pop("state_dict"),
    "missing weight": lambda plain: plain["state_dict"].pop("model.ctc_head.bias"),
    "other shape": lambda plain: plain["state_dict"].update({"model.ctc_head.bias": torch.zeros(2)}),
    "surplus weight": lambda plain: plain["state_dict"].update({"model.extra": torch.zeros(2)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_is_refused(damage: str, tmp_path: FilePath) -> None:
    plain = content(describe(), describe().build())
    DAMAGES[damage](plain)
    torch.save(plain, tmp_path / "damaged.ckpt")
    assert_refused(tmp_path / "damaged.ckpt")


class Malicious:
    """Leaves a file when it is unpickled."""

    def __init__(self, sentinel: FilePath) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple:
        return exec, (f"open({str(self.sentinel)!r}, 'w').close()",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_tampered_file_executes_nothing(form: str, tmp_path: FilePath) -> None:
    sentinel, file = tmp_path / "executed", tmp_path / "tampered.ckpt"
    tampered = content(describe(), describe().build()) | {"callbacks": Malicious(sentinel)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(tampered["callbacks"], protocol=2))
        pickle.loads(file.read_bytes())  # it does work where files are trusted
    else:
        torch.save(tampered, file, _use_new_zipfile_serialization=form == "zip")
        torch.load(file, weights_only=False)
    assert sentinel.exists()
    sentinel.unlink()
    message = assert_refused(file)
    assert form != "zip" or "refused: it holds objects other than tensors and plain values (exec)" in message
    assert not sentinel.exists()
