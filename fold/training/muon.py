"""Muon: updates of matrices in which all directions count the same (Jordan et al., 2024,
https://kellerjordan.github.io/posts/muon).

PyTorch's own takes matrices alone, so that a second optimizer has to train what is left, and computes in bf16, which
takes ten times as long on processors without instructions for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from fold.errors import FoldError

REPEATED = "unfolding.layers."  # in the names of the weights of layers
POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: takes singular values near 1 fast, of the source above
RMS = 0.2  # of an update, as AdamW's (Liu et al., 2025, arXiv 2502.16982, section 2.2)


class MuonWithAdam(Optimizer):
    """Trains the matrices of the layers with Muon, all else (stem, head, norms, biases, convolutions) as AdamW does.

    An update of a matrix has the size that AdamW's would have, so that both share the learning rate and weight decay.

    Args:
        params: With their names: groups of (name, parameter).
        lr: Learning rate.
        momentum: Of Muon: what is kept of the mean gradient at each update (Nesterov's).
        iterations: Of Newton and Schulz, which bring the singular values of an update near 1.
        betas: Of AdamW: what is kept of the means of gradients and of their squares.
        eps: Of AdamW: added to the root of the latter.
        weight_decay: Of all weights, as a multiple of the learning rate.

    Raises:
        FoldError: A setting is out of range, or parameters have no names.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        iterations: int = 5,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        if not all(0 <= share < 1 for share in (momentum, *betas)):
            raise FoldError(
                f"model.optimizer: momentum {momentum}, betas {list(betas)}: expected shares, from 0 to below 1"
            )
        if lr < 0 or eps <= 0 or weight_decay < 0 or iterations < 1:
            raise FoldError("model.optimizer: expected lr and weight_decay from 0, eps above 0, and iterations from 1")
        given = {"lr": lr, "momentum": momentum, "iterations": iterations}
        super().__init__(params, {**given, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})
        if not all("param_names" in group for group in self.param_groups):
            raise FoldError("MuonWithAdam tells matrices of layers by their names: give it (name, parameter)")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have gradients. Returns what the closure, if any, returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            matrices: dict[torch.Size, list[Trained]] = {}
            for name, parameter in zip(group["param_names"], group["params"], strict=True):
                if parameter.grad is None:
                    continue
                trained = Trained(parameter, parameter.grad, self.state[parameter])
                trained.state["step"] = trained.state.get("step", 0) + 1
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                if is_matrix_of_layer(name, parameter):
                    matrices.setdefault(parameter.shape, []).append(trained)
                else:
                    _adam(trained, group)
            for alike in matrices.values():
                _muon(alike, group)
        return loss


class Trained(NamedTuple):
    """A parameter with its gradient, and what is kept about it."""

    parameter: Tensor
    gradient: Tensor
    state: dict[str, Any]

    def mean(self, name: str) -> Tensor:
        """A running mean of this name, at first zero."""
        if name not in self.state:
            self.state[name] = torch.zeros_like(self.parameter)
        kept: Tensor = self.state[name]
        return kept


def _muon(alike: Sequence[Trained], group: dict[str, Any]) -> None:
    """Updates matrices of one shape."""
    ahead = []
    for each in alike:
        mean = each.mean("momentum_buffer").lerp_(each.gradient, 1 - group["momentum"])
        ahead.append(each.gradient.lerp(mean, group["momentum"]))
    updates = orthogonal(torch.stack(ahead), group["iterations"])
    size = RMS * max(updates.shape[-2:]) ** 0.5
    for each, update in zip(alike, updates, strict=True):
        each.parameter.add_(update, alpha=-group["lr"] * size)


def _adam(trained: Trained, group: dict[str, Any]) -> None:
    first, second = group["betas"]
    step = trained.state["step"]
    mean = trained.mean("exp_avg").lerp_(trained.gradient, 1 - first)
    square = trained.mean("exp_avg_sq").lerp_(trained.gradient.square(), 1 - second)
    root = (square / (1 - second**step)).sqrt_().add_(group["eps"])
    trained.parameter.addcdiv_(mean, root, value=-group["lr"] / (1 - first**step))


def is_matrix_of_layer(name: str, parameter: Tensor) -> bool:
    """Whether Muon trains a parameter of this name: a matrix among the weights of a layer of the unfolding."""
    return REPEATED in name and name.endswith(".weight") and parameter.dim() == 2


def orthogonal(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Matrices of the same singular vectors, whose singular values are near 1 (0.7 to 1.2 after five iterations, those
    below 1e-3 of the norm less): Newton and Schulz's iteration with the quintic polynomial of Muon.

    matrices: (..., rows, columns). Returns the same shape.
    """
    linear, cubic, quintic = POLYNOMIAL
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)).reshape(-1, *x.shape[-2:])
    for _ in range(iterations):
        gram = x @ x.mT
        factor = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        x = torch.baddbmm(x, factor, x, beta=linear)
    made: Tensor = (x.mT if tall else x).reshape(matrices.shape)
    return made
