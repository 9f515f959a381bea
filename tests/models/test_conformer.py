"""The whole recogniser: sizes, padding, order, gradients, at several paths."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fold.errors import FoldError
from fold.losses import Counts, Targets
from fold.models import Conformer, PathOutput, Recogniser, empty_model
from fold.models.layers import EBranchformerLayers
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.sampling import DepthFirst, StepPaths, step_generator
from fold.terms import Distillation

RATE, VOCAB = 8000, 6
TINY = Conformer(
    num_layers=2,
    dim=16,
    num_heads=2,
    ffn_dim=24,
    kernel_size=5,
    dropout=0.0,
    subsampling_channels=4,
    decoder_layers=1,
    decoder_ffn_dim=16,
    num_mels=16,
    spec_augment=None,
)
SPACE = PathSpace(2, 2)
PATHS = [SPACE.deepest, SPACE.seed, *SPACE.paths(3)]
LENGTHS = [3300, 1700, 2600, 2100]


def make_model(**settings: object) -> Recogniser:
    torch.manual_seed(0)
    return replace(TINY, **settings).build(VOCAB, RATE)


def waveforms() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, generator=generator) / 8 for length in LENGTHS]


def padded(parts: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    num_samples = torch.tensor([len(part) for part in parts])
    batch = torch.zeros(len(parts), int(num_samples.max()) + extra)
    for row, part in enumerate(parts):
        batch[row, : len(part)] = part
    return batch, num_samples


def targets() -> Targets:
    return Targets(torch.tensor([[1, 2, 2], [4, 0, 0], [3, 1, 0], [2, 0, 0]]), torch.tensor([3, 1, 2, 1]))


def select(targets: Targets, row: int) -> Targets:
    length = int(targets.num_units[row])
    return Targets(targets.units[row : row + 1, :length], targets.num_units[row : row + 1])


def assert_utterance(output: PathOutput, row: int, alone: PathOutput) -> None:
    num_frames = int(alone.num_frames[0])
    assert int(output.num_frames[row]) == num_frames == alone.encoded.shape[1]
    for name in ("encoded", "ctc_log_probs"):
        values, expected = getattr(output, name)[row, :num_frames], getattr(alone, name)[0]
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=2e-4)
    expected = alone.decoder_log_probs[0]
    torch.testing.assert_close(output.decoder_log_probs[row, : len(expected)], expected, rtol=1e-4, atol=2e-4)


def test_paper_shapes_count_their_parameters() -> None:
    folded, physical = (empty_model(Conformer(num_layers=n), vocab_size=2000, sample_rate=16000) for n in (6, 12))
    assert physical.num_parameters() == 44_527_008
    assert folded.num_parameters() == 28_689_312
    assert round(100 * (folded.num_parameters() / physical.num_parameters() - 1), 1) == -35.6
    assert all(sum(p.numel() for p in layer.parameters()) == 2_639_616 for layer in physical.unfolding.layers)
    assert all(parameter.is_meta for parameter in physical.parameters())


@pytest.mark.parametrize("conv_norm", ["layer", "group", "batch"])
def test_the_norm_changes_no_parameter_count(conv_norm: str) -> None:
    model = empty_model(Conformer(conv_norm=conv_norm), vocab_size=2000, sample_rate=16000)
    assert model.num_parameters() == 28_689_312


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"conv_norm": "group", "normalisation": "global"},
        {"conv_norm": "batch"},
        {"layer": EBranchformerLayers(cgmlp_dim=24, merge_kernel_size=3)},
    ],
    ids=str,
)
def test_a_padded_batch_gives_what_each_utterance_gives_alone(settings: dict[str, object]) -> None:
    model = make_model(**settings)
    model.train(settings.get("conv_norm") != "batch")
    prefixes = targets().prefixes(VOCAB - 1)
    outputs = model(*padded(waveforms(), extra=700), PATHS, prefixes)
    assert [output.path for output in outputs] == PATHS
    for row, waveform in enumerate(waveforms()):
        alone = model(*padded([waveform]), PATHS, prefixes[row : row + 1])
        for output, expected in zip(outputs, alone, strict=True):
            assert_utterance(output, row, expected)


def gradients(model: Recogniser, batch: tuple[Tensor, Tensor], targets: Targets, counts: Counts) -> list[Tensor]:
    objective = JointObjective(distillation=Distillation(0.7, 0.0, 0.0))
    roles = StepPaths(PATHS[0], PATHS[1], (PATHS[2],))
    outputs = model(*batch, roles.in_order, targets.prefixes(VOCAB - 1))
    return list(torch.autograd.grad(objective(roles, outputs, targets, 1.0, counts).total, list(model.parameters())))


@pytest.mark.parametrize("conv_norm", ["layer", "group"])
def test_gradients_of_a_padded_batch_are_the_sum_of_each_alone(conv_norm: str) -> None:
    model = make_model(conv_norm=conv_norm)
    counts = Counts(torch.tensor(7.0), torch.tensor(50.0))
    together = gradients(model, padded(waveforms(), extra=700), targets(), counts)
    alone = [gradients(model, padded([w]), select(targets(), row), counts) for row, w in enumerate(waveforms())]
    for (name, _), gradient, parts in zip(model.named_parameters(), together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(gradient, sum(parts), rtol=1e-3, atol=1e-3, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("conv_norm", ["layer", "group", "batch"])
def test_the_order_of_the_batch_changes_nothing(conv_norm: str) -> None:
    model = make_model(conv_norm=conv_norm)
    order = torch.tensor([2, 0, 3, 1])
    batch, num_samples = padded(waveforms())
    prefixes = targets().prefixes(VOCAB - 1)
    outputs = model(batch, num_samples, PATHS, prefixes)
    shuffled = model(batch[order], num_samples[order], PATHS, prefixes[order])
    for output, other in zip(outputs, shuffled, strict=True):
        for name in ("num_frames", "ctc_log_probs", "decoder_log_probs"):
            torch.testing.assert_close(getattr(output, name)[order], getattr(other, name), rtol=1e-4, atol=1e-4)


def test_paths_together_equal_each_alone() -> None:
    model, batch = make_model(), padded(waveforms())
    together = model(*batch, PATHS)
    assert not torch.allclose(together[0].ctc_log_probs, together[1].ctc_log_probs, atol=1e-2)
    for path, output in zip(PATHS, together, strict=True):
        [alone] = model(*batch, [path])
        torch.testing.assert_close(output.ctc_log_probs, alone.ctc_log_probs, rtol=1e-5, atol=1e-5)


def test_the_joint_objective_trains_every_physical_layer() -> None:
    model = make_model(num_layers=4)
    space = PathSpace(4, 2)
    paths = DepthFirst().paths(space, 0, 1.0, step_generator(0, 0))
    outputs = model(*padded(waveforms()), paths.in_order, targets().prefixes(VOCAB - 1))
    JointObjective()(paths, outputs, targets(), progress=1.0).total.backward()
    assert len(model.unfolding.layers) == 4
    for layer in model.unfolding.layers:
        assert max(float(parameter.grad.abs().max()) for parameter in layer.parameters()) > 1e-4
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_outputs_are_log_probabilities() -> None:
    model, prefixes = make_model(), targets().prefixes(VOCAB - 1)
    for output in model(*padded(waveforms()), PATHS, prefixes):
        assert output.encoded.shape[2] == TINY.dim
        assert output.ctc_log_probs.shape == (*output.encoded.shape[:2], VOCAB)
        assert output.decoder_log_probs.shape == (*prefixes.shape, VOCAB)
        for log_probs in (output.ctc_log_probs, output.decoder_log_probs):
            torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))
        expected = model.decode_prefixes(prefixes, output.encoded, output.num_frames)
        torch.testing.assert_close(output.decoder_log_probs, expected, rtol=1e-5, atol=1e-5)


def test_the_decoder_runs_only_where_there_are_prefixes_and_a_decoder() -> None:
    batch, prefixes = padded(waveforms()), targets().prefixes(VOCAB - 1)
    [output] = make_model()(*batch, PATHS[:1])
    assert output.decoder_log_probs is None
    ctc_only = make_model(decoder_layers=0)
    assert ctc_only.decoder is None
    [output] = ctc_only(*batch, PATHS[:1], prefixes)
    assert output.decoder_log_probs is None


def test_an_utterance_too_short_for_a_frame_harms_no_other() -> None:
    model = make_model(conv_norm="group", decoder_layers=0)
    outputs = model(*padded([waveforms()[0], waveforms()[1][:250]]), PATHS[:1])
    assert outputs.num_frames.tolist()[1] == 0
    losses = JointObjective()(
        StepPaths(PATHS[0]), outputs, Targets(torch.tensor([[1, 2], [1, 0]]), torch.tensor([2, 1])), 0.0
    )
    losses.total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_log_probabilities_are_fp32_under_autocast() -> None:
    model, batch, prefixes = make_model(), padded(waveforms()), targets().prefixes(VOCAB - 1)
    [expected] = model(*batch, PATHS[:1], prefixes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        [output] = model(*batch, PATHS[:1], prefixes)
    for name in ("ctc_log_probs", "decoder_log_probs"):
        log_probs = getattr(output, name)
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))
        torch.testing.assert_close(log_probs, getattr(expected, name), rtol=0.1, atol=0.1)


def test_checkpointing_changes_no_gradient() -> None:
    plain, checkpointed = make_model(dropout=0.2), make_model(dropout=0.2, checkpoint_activations=True)
    counts = Counts(torch.tensor(7.0), torch.tensor(50.0))
    results = []
    for model in (plain, checkpointed):
        torch.manual_seed(3)
        results.append(gradients(model, padded(waveforms()), targets(), counts))
    for gradient, expected in zip(*results, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dim": 30, "num_heads": 4}, "dim is 30"),
        ({"dim": 15, "num_heads": 5}, "dim is 15"),
        ({"dim": 36, "num_heads": 4, "conv_norm": "group"}, "dim is 36"),
        ({"kernel_size": 30}, "kernel_size is 30"),
        ({"num_mels": 6}, "num_mels is 6"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused_in_one_line(settings: dict, named: str) -> None:
    with pytest.raises(FoldError, match=named) as caught:
        Conformer(**settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("num_samples", [0, 100, 1200, 3300, 3301, 8000])
def test_the_architecture_knows_the_frames_of_the_model(num_samples: int) -> None:
    batch, lengths = torch.zeros(1, 9000), torch.tensor([num_samples])
    frames = make_model().stem(batch, lengths).num_frames
    assert TINY.num_frames(num_samples, RATE) == int(frames)


@pytest.mark.parametrize("longest", [0, 50, 600])
def test_audio_too_short_for_a_frame_is_taken(longest: int) -> None:
    output = make_model().eval()(torch.ones(2, longest), torch.tensor([longest, 0]), [SPACE.seed])[0]
    assert output.num_frames.tolist() == [0, 0]
    assert output.ctc_log_probs.isfinite().all()


def test_a_frozen_encoder_gets_no_gradient_and_keeps_nothing_for_one() -> None:
    """The heads get the same gradients as before, and all that autograd keeps is theirs."""
    kept: dict[bool, int] = {}
    gradients: dict[bool, dict[str, Tensor | None]] = {}
    for frozen in (False, True):
        model = make_model(num_layers=2, dim=32).train()
        model.encoder_frozen = frozen
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, s=sizes: s.append(x.numel()) or x, lambda x: x):
            roles = StepPaths(PATHS[0], PATHS[1], tuple(PATHS[2:]))
            outputs = model(*padded(waveforms()), roles.in_order, targets().prefixes(VOCAB - 1))
            JointObjective()(roles, outputs, targets(), progress=1.0).total.backward()
        kept[frozen] = sum(sizes)
        gradients[frozen] = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, gradient in gradients[True].items():
        if name.startswith(("ctc_head", "decoder")):
            torch.testing.assert_close(gradient, gradients[False][name])
        else:
            assert gradient is None and gradients[False][name] is not None
    assert kept[True] < 0.5 * kept[False]
