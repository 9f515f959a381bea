"""Folding a foundation model: which layers stay, counts, padding, masking, freezing, heads."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from models.foundation.directories import FAMILIES, SHAPE, write
from models.foundation.test_parity import CORPUS, folded, log_probs, noise

from fold.errors import FoldError
from fold.models import Foundation, empty_model
from fold.models.foundation import Dropouts, Masking
from fold.models.foundation.bundles import Bundle, bundles
from fold.models.foundation.families import shape_from_plain
from fold.models.foundation.folding import layer_groups
from fold.paths import Path as LayerPath
from fold.paths import PathSpace
from fold.text.units import CharUnits, SentencePieceUnits


def test_the_papers_counts() -> None:
    full = Foundation(shape="WAV2VEC2_BASE", masking=None)
    assert empty_model(full, 32, 16000).num_parameters() == 94_395_552
    folded = dataclasses.replace(full, num_layers=8)
    assert empty_model(folded, 32, 16000).num_parameters() == 66_044_064


@pytest.mark.parametrize(("name", "kept", "layers"), [("HUBERT_BASE", 8, 12), ("HUBERT_LARGE", 16, 24)])
def test_folding_removes_whole_layers(name: str, kept: int, layers: int) -> None:
    full = Foundation(shape=name)
    assert full.num_layers == layers
    counts = [empty_model(dataclasses.replace(full, num_layers=n), 32, 16000).num_parameters() for n in (kept, layers)]
    d, f = full.shape.dim, full.shape.ffn_dim
    a_layer = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d  # attention, feed-forward, two norms
    assert counts[1] - counts[0] == (layers - kept) * a_layer
    assert 0.28 < 1 - counts[0] / counts[1] < 0.33


def test_every_bundle_has_a_shape() -> None:
    assert len(bundles()) > 20
    for name in bundles():
        assert Bundle(name).shape().num_layers in (12, 24, 48)
    assert (Bundle("WAVLM_BASE_PLUS").shape().family, Bundle("HUBERT_LARGE").shape().pre_norm) == ("wavlm", True)


def test_which_layers_stay() -> None:
    assert layer_groups("even", 8, 12) == [[0], [2], [3], [5], [6], [8], [9], [11]]
    assert layer_groups("first", 3, 12) == [[0], [1], [2]]
    assert layer_groups((1, 4, 12), 3, 12) == [[0], [3], [11]]
    for n in range(1, 13):
        [*even] = [group[0] for group in layer_groups("even", n, 12)]
        assert len(set(even)) == n and even[0] == 0 and even[-1] in (0, 11) and even == sorted(even)
        mean = layer_groups("mean", n, 12)
        assert [place for group in mean for place in group] == list(range(12)) and len(mean) == n
    assert layer_groups("even", 1, 12) == [[0]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_layers": 5}, "num_layers is 5: this model has 4"),
        ({"num_layers": 2, "keep": (1, 1)}, "keep is [1, 1]: expected 2 different layers"),
        ({"num_layers": 2, "keep": (1, 5)}, "of 1 to 4"),
        ({"shape": "WAV2VEC9"}, "WAV2VEC2_BASE"),
        ({"shape": None}, "give a source"),
        ({"source": "nowhere", "shape": None}, "source 'nowhere'"),
        ({"source": "WAV2VEC2_BASE"}, "give a source, which brings its shape, or a shape"),
    ],
)
def test_what_cannot_be_folded(change: dict, named: str) -> None:
    with pytest.raises(FoldError) as raised:
        Foundation(**{"shape": SHAPE, **change})
    assert named in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_utterance_is_heard_alike_in_any_batch(family: str, tmp_path: Path) -> None:
    write(tmp_path, family)
    model = folded(Foundation(source=str(tmp_path)))
    waveforms, num_samples = noise(4001, 1500, 12)
    together = log_probs(model, waveforms, num_samples)
    for index in range(2):
        [alone] = log_probs(model, waveforms[index : index + 1, : num_samples[index]], num_samples[index : index + 1])
        assert (together[index] - alone).abs().max() < 1e-5
    assert len(together[2]) == 0  # too short for a frame
    waveforms[1, 1500:] = 7.0
    louder = log_probs(model, waveforms, num_samples)
    assert torch.equal(louder[1], together[1])


@pytest.mark.parametrize("family", ["wav2vec2-base", "wavlm-base"])
def test_kept_layers_are_those_of_the_original(family: str, tmp_path: Path) -> None:
    write(tmp_path, family)
    full = folded(Foundation(source=str(tmp_path)))
    waveforms, num_samples = noise(3000)
    for keep, path in (((1, 3), (0, 2)), ("first", (0, 1)), ("even", (0, 2)), ((2, 3), (1, 2))):
        model = folded(Foundation(source=str(tmp_path), num_layers=2, keep=keep))
        got = model(waveforms, num_samples, [PathSpace(2).seed])[0].ctc_log_probs
        expected = full(waveforms, num_samples, [LayerPath(path)])[0].ctc_log_probs
        assert (got - expected).abs().max() < 1e-5
    mean = folded(Foundation(source=str(tmp_path), num_layers=2, keep="mean"))
    weights = [layer.block.feed_forward.output_dense.weight for layer in full.unfolding.layers]
    tied = mean.unfolding.layers[1].block.feed_forward.output_dense.weight
    assert torch.allclose(tied, (weights[1] + weights[2]) / 2)


def test_the_paths_of_a_folded_model(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    model = folded(Foundation(source=str(tmp_path), num_layers=2))
    space = PathSpace(2, max_depth=3)
    waveforms, num_samples = noise(3000, 2000)
    paths = [path for depth in space.depths for path in space.paths(depth)]
    outputs = model(waveforms, num_samples, paths)
    for path, output in zip(paths, outputs, strict=True):
        [alone] = model(waveforms, num_samples, [path])
        assert torch.allclose(output.ctc_log_probs, alone.ctc_log_probs, atol=1e-6)


def test_frozen_features_get_no_gradient_and_all_else_does() -> None:
    for frozen in (True, False):
        model = Foundation(shape=SHAPE, freeze_features=frozen).build(6, 16000).train()
        waveforms, num_samples = noise(3000, 2000)
        model(waveforms, num_samples, [PathSpace(4).seed])[0].ctc_log_probs.square().mean().backward()
        for name, parameter in model.named_parameters():
            learns = not (frozen and "waveform_encoder" in name)
            assert parameter.requires_grad == learns, name
            assert (parameter.grad is not None and parameter.grad.abs().sum() > 0) == learns, name


def test_masks_act_in_training_alone_and_are_drawn_anew() -> None:
    network = Foundation(shape=SHAPE, dropouts=Dropouts(0, 0, 0), masking=Masking(0.5, 3, 0.3, 4))
    model = network.build(6, 16000)
    waveforms, num_samples = noise(4000)

    def encoded() -> torch.Tensor:
        return model(waveforms, num_samples, [PathSpace(4).seed])[0].encoded

    first, second = encoded(), encoded()
    assert not torch.allclose(first, second)
    model.eval()
    assert torch.equal(encoded(), encoded())


def test_a_heads_letters_take_the_case_of_the_corpus(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    network = Foundation(source=str(tmp_path))
    assert network.units(CharUnits("eat ")).characters == [" ", *"etaonihsrdlubc"]
    assert network.units(CharUnits("EAT ")).characters == [" ", *"ETAONIHSRDLUBC"]
    without = dataclasses.replace(network, shape=None, keep_head=False)
    assert without.units(CORPUS) is CORPUS


@pytest.mark.parametrize(
    ("corpus", "named"),
    [
        (CharUnits("eT"), "mixed case"),
        (SentencePieceUnits.train(["tea at the tent", "heat it", "no tea"] * 9, 14), "--data.units.kind=char"),
    ],
)
def test_other_units_than_those_of_the_head_are_refused(corpus, named: str, tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    with pytest.raises(FoldError) as raised:
        Foundation(source=str(tmp_path)).units(corpus)
    assert named in str(raised.value) and "keep_head=false" in str(raised.value)


def test_another_sample_rate_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "wav2vec2-base")
    network = Foundation(source=str(tmp_path))
    with pytest.raises(FoldError, match=r"takes audio at 16000 Hz, not 8000; set --data.sample_rate=16000"):
        network.load_pretrained(network.build(18, 8000), 8000)


def test_checkpointed_activations_give_the_same_gradients() -> None:
    grads = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        network = Foundation(shape=SHAPE, masking=None, checkpoint_activations=checkpointed)
        model = network.build(6, 16000).train()
        torch.manual_seed(1)
        waveforms, num_samples = noise(3000)
        model(waveforms, num_samples, [PathSpace(4).deepest])[0].ctc_log_probs.square().mean().backward()
        grads.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, recomputed in zip(*grads, strict=True):
        assert torch.allclose(plain, recomputed, atol=1e-6)


def test_a_frozen_encoder_keeps_nothing_for_gradients() -> None:
    model = Foundation(shape=SHAPE).build(6, 16000).train()
    waveforms, num_samples = noise(3000)
    kept = {}
    for frozen in (False, True):
        model.encoder_frozen = frozen
        model.zero_grad()
        sizes: list[int] = []
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t)
        with hooks:
            [output] = model(waveforms, num_samples, [PathSpace(4).seed])
            output.ctc_log_probs.mean().backward()
        kept[frozen] = sum(sizes)
    frames, dim = output.encoded.shape[1:]
    assert kept[True] <= frames * (dim + 3 * 6) + 6 * dim < kept[False] / 20
    assert all(parameter.grad is None or name.startswith("ctc_head") for name, parameter in model.named_parameters())


def test_layers_of_transformers_need_it_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "w2v-bert")
    network = Foundation(source=str(tmp_path))
    monkeypatch.setitem(sys.modules, "transformers.models.wav2vec2_bert.modeling_wav2vec2_bert", None)
    with pytest.raises(FoldError, match=r"its layers are transformers' own: pip install 'fold-asr\[foundation\]'"):
        network.build(6, 16000)


def test_a_shape_that_kept_no_epsilon_has_that_of_the_first_versions() -> None:
    plain = {"family": "wav2vec2", "num_layers": 2, "dim": 32, "num_heads": 4, "position_groups": 4, "normalise": True}
    assert shape_from_plain(plain).epsilon == 1e-5
    assert shape_from_plain({**plain, "epsilon": 1e-7}).epsilon == 1e-7
    assert shape_from_plain({"family": "wav2vec2-bert", "num_layers": 2}).num_layers == 2
