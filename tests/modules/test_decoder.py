import pytest
import torch
from torch import Tensor

from fold.modules.decoder import AttentionDecoder

VOCAB, DIM = 7, 8


def make_decoder(num_layers: int = 2) -> AttentionDecoder:
    torch.manual_seed(0)
    return AttentionDecoder(VOCAB, DIM, num_layers, num_heads=2, ffn_dim=12, dropout=0.0).double()


def make_memory(batch: int, time: int) -> Tensor:
    return torch.randn(batch, time, DIM, dtype=torch.float64)


def valid(memory: Tensor) -> Tensor:
    return torch.ones(memory.shape[:2], dtype=torch.bool)


def test_no_gradient_flows_to_later_tokens() -> None:
    decoder, memory = make_decoder(), make_memory(1, 4)
    embedded: list[Tensor] = []
    decoder.embedding.register_forward_hook(lambda *call: embedded.append(call[-1]))
    logits = decoder(torch.tensor([[6, 2, 3, 2, 5]]), memory, valid(memory))
    for position in range(5):
        [gradient] = torch.autograd.grad(logits[0, position].square().sum(), embedded, retain_graph=True)
        seen = gradient[0].abs().sum(1).nonzero().flatten().tolist()
        assert seen == list(range(position + 1))


def test_a_longer_prefix_changes_no_earlier_logits() -> None:
    decoder, memory = make_decoder(), make_memory(2, 4)
    tokens = torch.tensor([[6, 2, 3, 1, 1], [6, 4, 0, 5, 2]])
    logits = decoder(tokens, memory, valid(memory))
    for length in range(1, 5):
        shorter = decoder(tokens[:, :length], memory, valid(memory))
        torch.testing.assert_close(shorter, logits[:, :length], rtol=1e-10, atol=1e-10)


def test_the_order_of_earlier_tokens_counts() -> None:
    """With one layer attention is blind to the order of its keys but for the positions added to them."""
    decoder, memory = make_decoder(num_layers=1), make_memory(1, 4)
    one, other = torch.tensor([[6, 2, 3, 4]]), torch.tensor([[6, 3, 2, 4]])
    last = [decoder(tokens, memory, valid(memory))[0, -1] for tokens in (one, other)]
    assert not torch.allclose(*last, atol=1e-4)


def test_padded_memory_is_ignored() -> None:
    decoder = make_decoder()
    lengths = [5, 2, 1]
    memory = make_memory(3, 8)
    memory[:, 5:] = 1e3
    mask = torch.tensor([[frame < length for frame in range(8)] for length in lengths])
    tokens = torch.tensor([[6, 2, 3], [6, 1, 1], [6, 4, 2]])
    logits = decoder(tokens, memory.masked_fill(~mask[..., None], 1e3), mask)
    for row, length in enumerate(lengths):
        part = memory[row : row + 1, :length]
        alone = decoder(tokens[row : row + 1], part, valid(part))
        torch.testing.assert_close(logits[row : row + 1], alone, rtol=1e-10, atol=1e-10)


def test_steps_give_what_teacher_forcing_gives_along_every_hypothesis() -> None:
    """Four steps of three hypotheses of two utterances, which change their parents on the way."""
    decoder, memory, lengths = make_decoder().eval(), make_memory(2, 5), torch.tensor([5, 3])
    mask = torch.arange(5) < lengths[:, None]
    cache = decoder.start(memory, mask)
    tokens = torch.full((2, 1, 1), 6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        logits, cache = decoder.step(tokens[..., -1], cache)
        for row in range(2):
            expected = decoder(
                tokens[row], memory[row].expand(tokens.shape[1], -1, -1), mask[row].expand(3, -1)[: tokens.shape[1]]
            )
            torch.testing.assert_close(logits[row], expected[:, -1], rtol=1e-10, atol=1e-10)
        parents = torch.randint(tokens.shape[1], (2, 3), generator=generator)
        units = torch.randint(1, 6, (2, 3, 1), generator=generator)
        tokens = torch.cat([tokens[torch.arange(2)[:, None], parents], units], dim=-1)
        cache = cache.follow(parents)
    assert len({tuple(row) for row in tokens.flatten(0, 1).tolist()}) == 6


def test_steps_run_in_the_precision_of_autocast() -> None:
    decoder, memory = make_decoder().float().eval(), make_memory(2, 5).float()
    tokens = torch.tensor([[6, 2, 3], [6, 4, 1]])
    exact = decoder(tokens, memory, valid(memory))
    with torch.autocast("cpu", torch.bfloat16):
        cache = decoder.start(memory, valid(memory))
        for position in range(3):
            logits, cache = decoder.step(tokens[:, position : position + 1], cache)
            torch.testing.assert_close(logits[:, 0].float(), exact[:, position], rtol=0.05, atol=0.05)
    assert {tensor.dtype for tensor in (logits, *cache.encoded, *cache.tokens)} == {torch.bfloat16}


@pytest.mark.parametrize(("dim", "num_layers", "ffn_dim", "vocab_size"), [(8, 1, 12, 7), (16, 3, 40, 11)])
def test_parameter_count(dim: int, num_layers: int, ffn_dim: int, vocab_size: int) -> None:
    attention = 4 * (dim * dim + dim)
    feed_forward = 2 * dim * ffn_dim + ffn_dim + dim
    layer = 2 * attention + feed_forward + 3 * 2 * dim
    expected = 2 * vocab_size * dim + vocab_size + num_layers * layer + 2 * dim
    decoder = AttentionDecoder(vocab_size, dim, num_layers, 2, ffn_dim, dropout=0.0)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == expected
