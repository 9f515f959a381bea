import torch
from torch.nn.functional import layer_norm

from fold.modules.attention import relative_positions
from fold.modules.conformer import ConformerLayer

DIM = 8


def test_equals_the_sum_of_its_modules_written_out() -> None:
    """Half-step feed-forwards around attention and convolution, each on the norm of its input, and a final norm."""
    torch.manual_seed(0)
    layer = ConformerLayer(DIM, 2, 12, 3, dropout=0.0, norm="layer").double()
    x = torch.randn(2, 6, DIM, dtype=torch.float64)
    mask = torch.ones(2, 6, dtype=torch.bool)
    positions = relative_positions(6, DIM, x.device).double()

    def norm(x: torch.Tensor) -> torch.Tensor:  # fresh layer norms have weight 1 and bias 0
        return layer_norm(x, [DIM])

    expected = x + layer.macaron(norm(x)) / 2
    expected = expected + layer.attention(norm(expected), mask, positions)
    expected = expected + layer.convolution(norm(expected), mask)
    expected = expected + layer.feed_forward(norm(expected)) / 2
    torch.testing.assert_close(layer(x, mask, positions), norm(expected), rtol=1e-10, atol=1e-10)


def test_dropout_rests_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = ConformerLayer(DIM, 2, 12, 3, dropout=0.5, norm="layer")
    arguments = torch.randn(1, 6, DIM), torch.ones(1, 6, dtype=torch.bool), relative_positions(6, DIM, "cpu")
    assert not torch.equal(layer(*arguments), layer(*arguments))
    layer.eval()
    assert torch.equal(layer(*arguments), layer(*arguments))
