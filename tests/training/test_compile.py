"""Layers as graphs of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY_NETWORK, Finished
from torch import nn

from fold import checkpoint
from fold.models import Conformer, Recogniser
from fold.paths import PathSpace

Command = Callable[..., Finished]


def compiled(model: Recogniser, **settings: object) -> Recogniser:
    for layer in model.unfolding.layers:
        layer.compile(fullgraph=True, dynamic=True, **settings)
    return model


def test_a_compiled_layer_is_one_graph_for_batches_of_every_shape() -> None:
    """Captured whole, the results those of the plain layer; more shapes make no more graphs."""
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable:
        graphs.append(graph)
        return graph

    torch.manual_seed(0)
    plain = Conformer(**TINY_NETWORK).build(11, 8000).eval()
    other = Conformer(**TINY_NETWORK).build(11, 8000).eval()
    other.load_state_dict(plain.state_dict())
    model = compiled(other, backend=count)
    space = PathSpace(2, 2)
    for rows, samples in ((2, 8000), (3, 9100), (5, 7000), (4, 12000)):
        waveforms, num_samples = torch.randn(rows, samples), torch.tensor([samples] * rows)
        paths = [space.deepest, space.seed]
        outputs, expected = model(waveforms, num_samples, paths), plain(waveforms, num_samples, paths)
        torch.testing.assert_close(outputs.ctc_log_probs, expected.ctc_log_probs, rtol=1e-4, atol=1e-4)
    assert len(graphs) <= 2 * len(model.unfolding.layers)  # with sizes as they came at first, then for any


def test_compiled_weights_keep_their_names() -> None:
    names = list(nn.Module.state_dict(Conformer(**TINY_NETWORK).build(11, 8000)))
    assert list(compiled(Conformer(**TINY_NETWORK).build(11, 8000)).state_dict()) == names


@pytest.mark.slow
def test_a_run_with_compiled_layers(tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    fold_command("fit", f"--config={tones_config}", "--model.compile_layers=true", "--run_dir=run")
    model, _ = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert isinstance(model, Recogniser)
