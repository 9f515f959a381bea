"""Compressed models that others trained: the output of the network that they stand for, folded too; what is refused."""

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import transformers
from conftest import REPOSITORY
from models.foundation.compressed import SUBNET, Compressed, distilhubert, dphubert, lighthubert, write_light
from models.foundation.compressed_wavlm import KINDS, dpwavlm
from models.foundation.test_parity import CORPUS, folded, noise
from models.foundation.test_storage import PEAK, error_of

from fold.checkpoint import Description
from fold.export.huggingface import write_directory
from fold.models import Foundation, Recogniser
from fold.models.foundation import Dropouts, Masking, Subnet
from fold.paths import Path as LayerPath
from fold.paths import PathSpace

COLUMNS = ("as it is", "folded, path 1-1-2", "exported at 1-1-2")
REPEATING = LayerPath((0, 0, 1))


@torch.no_grad()
def difference(model: Recogniser, path: LayerPath, compressed: Compressed, order: list[int]) -> float:
    """The greatest difference of encodings from the reference, of a padded batch, loud and quiet."""
    found = []
    for loudness in (1.0, 0.04):
        waveforms, num_samples = noise(12001, 8713)
        [output] = model(loudness * waveforms, num_samples, [path])
        utterances = [loudness * row[:length] for row, length in zip(waveforms, num_samples, strict=True)]
        for ours, frames, theirs in zip(
            output.encoded, output.num_frames, compressed.encode(utterances, order), strict=True
        ):
            assert len(theirs) == frames
            found.append(float((ours[:frames] - theirs).abs().max()))
    return max(found)


def exported(network: Foundation, model: Recogniser, folder: Path) -> float | None:
    """The greatest difference of log-probabilities of what is exported at 1-1-2; None where transformers has no such
    network."""
    description = Description(network, PathSpace(2), CORPUS, 16000, shards="nowhere")
    if network.shape.family.startswith("pruned"):
        assert f"transformers has no {network.shape.family} network" in error_of(
            lambda: write_directory(folder / "back", model, description, REPEATING)
        )
        return None
    write_directory(folder / "back", model, description, REPEATING)
    back = transformers.AutoModelForCTC.from_pretrained(folder / "back").eval()
    waveforms, num_samples = noise(12001)
    with torch.no_grad():
        [output] = model(waveforms, num_samples, [REPEATING])
        return float((output.ctc_log_probs - back(waveforms).logits.log_softmax(-1)).abs().max())


def row(kind: str, found: list[float | None]) -> str:
    shown = ["-" if value is None else "≤ 1e-5" if value <= 1e-5 else f"{value:.0e}" for value in found]
    return f"| {kind} | " + " | ".join(shown) + " |"


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_that_it_stands_for_gives_the_same(kind: str, tmp_path: Path) -> None:
    """And docs/compression.md says so, a row for each."""
    compressed = KINDS[kind](tmp_path)
    network = compressed.network
    assert network.vocabulary is None and network.units(CORPUS) is CORPUS
    whole = range(network.num_layers)
    found = [difference(folded(network), PathSpace(len(whole)).seed, compressed, list(whole))]
    two = Foundation(source=network.source, subnet=network.subnet, num_layers=2)  # the first and the last
    model = folded(two)
    found.append(difference(model, REPEATING, compressed, [0, 0, whole[-1]]))
    assert max(found) <= 1e-5, found
    told = [*found, exported(two, model, tmp_path)]
    assert told[-1] is None or told[-1] <= 1e-5
    page = (REPOSITORY / "docs" / "compression.md").read_text()
    assert "| small random model | " + " | ".join(COLUMNS) + " |" in page
    assert row(kind, told) in page


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_fold_describes_it(kind: str, tmp_path: Path) -> None:
    network = KINDS[kind](tmp_path).network
    described = Description(network, PathSpace(network.num_layers), CORPUS, 16000, "nowhere")
    back = Description.from_dict(described.to_dict())
    assert back.architecture == network
    back.build().load_state_dict(folded(network).state_dict())


def test_what_distilhubert_drops_and_masks_is_its_own(tmp_path: Path) -> None:
    network = distilhubert(tmp_path).network
    assert network.masking == Masking(0.0, 10, 0.0, 10) and not network.shape.projection_norm


def test_dropouts_of_pruned_models_are_those_of_their_training(tmp_path: Path) -> None:
    network = dphubert(tmp_path).network
    assert network.dropouts == Dropouts(0.1, 0.1, 0.0, 0.1, 0.0, 0.1)
    assert network.shape.num_heads == (3, 0, 2) and network.shape.ffn_dim == (20, 31, 0)
    first, second, third = (sum(p.numel() for p in layer.parameters()) for layer in folded(network).unfolding.layers)
    norms, inner = 4 * 32, 3 * 8
    assert first == norms + 3 * (32 * inner + inner) + inner * 32 + 32 + (32 + 1) * 20 + (20 + 1) * 32
    assert second == norms + (32 + 1) * 31 + (31 + 1) * 32
    assert third == norms + 3 * (32 * 16 + 16) + 16 * 32 + 32
    message = error_of(lambda: Foundation(source=network.source, num_layers=2, keep="mean"))
    assert "of this pruned model differ in size" in message


DPWAVLM: dict[str, tuple[Callable[[dict], object], str]] = {
    "no heads in all": (lambda c: c["config"].pop("encoder_total_num_heads"), "config is none of DPHuBERT (KeyError"),
    "heads that differ": (
        lambda c: c["config"].update(encoder_total_num_heads=[4, 3, 4]),
        "config is none of DPHuBERT",
    ),
    "a head too many": (lambda c: c["config"].update(encoder_remaining_heads=[[0, 2, 4], [], [3]]), "0 to 3"),
    "no distances": (lambda c: c["config"].update(encoder_use_attention=[False, True, True]), "in the first layer"),
    "other weights": (lambda c: c["config"].update(encoder_remaining_heads=[[0, 2], [], [3]]), "size mismatch of"),
}


@pytest.mark.parametrize("case", DPWAVLM)
def test_what_is_no_pruned_wavlm_is_refused(case: str, tmp_path: Path) -> None:
    change, named = DPWAVLM[case]
    file = Path(dpwavlm(tmp_path).network.source)
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)
    assert named in error_of(lambda: folded(Foundation(source=str(file))))


def test_pruned_layers_of_wavlm_that_differ_have_no_mean(tmp_path: Path) -> None:
    source = dpwavlm(tmp_path).network.source
    message = error_of(lambda: Foundation(source=source, num_layers=2, keep="mean"))
    assert "of this pruned model differ in size" in message


DPHUBERT: dict[str, tuple[Callable[[dict], object], str]] = {
    "not pruned": (lambda c: c["config"].update(encoder_prune_attention_heads=True), "is not pruned yet"),
    "no heads": (
        lambda c: c["config"].pop("encoder_num_heads"),
        "config is none of DPHuBERT (KeyError('encoder_num_heads'))",
    ),
    "one number": (lambda c: c["config"].update(encoder_num_heads=4), "config is none of DPHuBERT"),
    "too few": (lambda c: c["config"].update(encoder_num_layers=4), "expected a number for each of 4 layers"),
    "other weights": (
        lambda c: c["config"].update(encoder_num_heads=[4, 0, 2]),
        "size mismatch of encoder.transformer",
    ),
    "gates": (lambda c: c["state_dict"].update({"encoder.gate": torch.ones(1)}), "Unexpected encoder.gate"),
    "no weights": (
        lambda c: c["state_dict"].pop("encoder.feature_projection.projection.weight"),
        "Missing encoder.feature",
    ),
    "another": (
        lambda c: c.pop("config"),
        "DPHuBERT (config and state_dict); LightHuBERT (cfg and model), but this holds",
    ),
}


@pytest.mark.parametrize("case", DPHUBERT)
def test_what_is_no_pruned_model_is_refused(case: str, tmp_path: Path) -> None:
    change, named = DPHUBERT[case]
    file = Path(dphubert(tmp_path).network.source)
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)
    assert named in error_of(lambda: folded(Foundation(source=str(file))))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"_name": "hubert"}, "is a checkpoint of fairseq, of hubert"),
        ({"_name": None}, "of an unknown model"),
        ({"pos_conv_depth": 5}, "pos_conv_depth is 5; only 1 can be folded"),
        ({"conv_feature_layers": "exit()"}, "expected lists of triples"),
        ({"pruner_supernet": ""}, "says neither base nor small"),
        ({"conv_pos_groups": "x"}, "cfg is none of LightHuBERT"),
    ],
)
def test_what_is_no_lighthubert_is_refused(changes: dict, named: str, tmp_path: Path) -> None:
    file = write_light(tmp_path, {}, **changes)
    assert named in error_of(lambda: Foundation(source=str(file)))


@pytest.mark.parametrize(
    ("subnet", "named"),
    [
        (Subnet(256, 896, 9), "no subnet of dim 256, ffn_dim 896, num_layers 9; there are dim of 256, 384, 512"),
        (Subnet(320), "no subnet of dim 320"),
        (Subnet(512), "no subnet of dim 512"),  # these weights are of 384
        (Subnet(256, 900), "ffn_dim / dim of 3.0, 3.5, 4.0"),
    ],
)
def test_a_subnet_that_was_not_trained_is_refused(subnet: Subnet, named: str, tmp_path: Path) -> None:
    source = str(write_light(tmp_path, {}))
    assert Foundation(source=source).shape.dim == 384  # that of the authors
    assert named in error_of(lambda: Foundation(source=source, subnet=subnet))


def test_of_the_first_stage_there_is_the_whole_network(tmp_path: Path) -> None:
    source = str(write_light(tmp_path, {}, _name="student_hubert"))
    shape = Foundation(source=source).shape
    assert (shape.dim, shape.ffn_dim, shape.num_layers, shape.num_heads) == (384, 1536, 12, 6)
    assert "has no subnet of dim 256" in error_of(lambda: Foundation(source=source, subnet=Subnet(256)))


def test_only_a_source_of_many_networks_has_subnets(tmp_path: Path) -> None:
    source = dphubert(tmp_path).network.source
    assert "is one network" in error_of(lambda: Foundation(source=source, subnet=SUBNET))


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"text", b"version https://git-lfs.github.com/spec/v1\n"):
        (tmp_path / "file.pth").write_bytes(content)
        assert "file.pth" in error_of(lambda: Foundation(source=str(tmp_path / "file.pth")))
    torch.save({"config": Fraction(1, 2)}, tmp_path / "file.pth")
    assert "holds more than tensors and plain values" in error_of(lambda: Foundation(source=str(tmp_path / "file.pth")))
    torch.save([1, 2], tmp_path / "file.pth")
    assert "holds a list" in error_of(lambda: Foundation(source=str(tmp_path / "file.pth")))
    assert "no such file" in error_of(lambda: Foundation(source=str(tmp_path / "other.pth")))


def test_loading_takes_little_more_memory_than_the_model(tmp_path: Path) -> None:
    source = lighthubert(tmp_path).network.source
    script = PEAK.replace(
        "source=sys.argv[1]", "source=sys.argv[1], subnet=fold.models.foundation.Subnet(256, 896, 10)"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import fold.models.foundation\n" + script, source],
        capture_output=True,
        text=True,
        check=True,
    )
    size = sum(p.numel() * 4 for p in folded(Foundation(source=source, subnet=SUBNET)).parameters())
    assert int(done.stdout) < 1.5 * size < Path(source).stat().st_size
