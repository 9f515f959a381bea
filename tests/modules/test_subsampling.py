import pytest
import torch

from fold.modules.subsampling import ConvSubsampling

NUM_MELS, DIM = 16, 6


def make_subsampling() -> ConvSubsampling:
    torch.manual_seed(0)
    return ConvSubsampling(NUM_MELS, channels=4, dim=DIM).double()


@pytest.mark.parametrize("length", [7, 8, 10, 11, 12, 14, 15, 50])
def test_output_length_is_that_of_the_convolutions(length: int) -> None:
    x = make_subsampling()(torch.randn(1, length, NUM_MELS, dtype=torch.float64))
    assert x.shape == (1, ConvSubsampling.output_length(length), DIM)
    assert int(ConvSubsampling.output_length(torch.tensor(length))) == x.shape[1]


def test_fewest_frames() -> None:
    assert ConvSubsampling.output_length(ConvSubsampling.MIN_FRAMES) == 1
    assert ConvSubsampling.output_length(ConvSubsampling.MIN_FRAMES - 1) == 0


def test_padding_changes_neither_values_nor_gradients() -> None:
    subsampling = make_subsampling()
    for length in range(7, 20):
        features = torch.randn(1, length, NUM_MELS, dtype=torch.float64)
        rubbish = 1e3 * torch.randn(1, 9, NUM_MELS, dtype=torch.float64)
        alone = subsampling(features)
        padded = subsampling(torch.cat([features, rubbish], dim=1))[:, : alone.shape[1]]
        torch.testing.assert_close(padded, alone, rtol=1e-12, atol=1e-12)
        for parameter in subsampling.parameters():
            gradients = [torch.autograd.grad(x.sum(), parameter, retain_graph=True)[0] for x in (padded, alone)]
            torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_an_output_frame_sees_seven_input_frames() -> None:
    features = torch.randn(1, 31, NUM_MELS, dtype=torch.float64, requires_grad=True)
    x = make_subsampling()(features)
    for frame in range(x.shape[1]):
        [gradient] = torch.autograd.grad(x[0, frame].sum(), features, retain_graph=True)
        seen = gradient[0].abs().sum(1).nonzero().flatten().tolist()
        assert seen == list(range(4 * frame, 4 * frame + 7))
