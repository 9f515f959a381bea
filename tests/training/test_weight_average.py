"""The average of the weights against its formula, and through validations, checkpoints and resumption."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import Finished
from torch import Tensor, nn

from fold import checkpoint
from fold.training.callbacks import WeightAverage
from fold.training.callbacks.weight_average import AVERAGED, CURRENT

Command = Callable[..., Finished]


class Counter(nn.Module):
    """A weight, and a buffer that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("steps", torch.tensor(0))


def train(average: WeightAverage, module: nn.Module, values: list[float], trainer: SimpleNamespace) -> None:
    for value in values:
        with torch.no_grad():
            module.weight.fill_(value)
            module.steps += 1
        trainer.global_step += 1
        average.on_train_batch_end(trainer, module)
        average.on_train_batch_end(trainer, module)  # a further batch of the same update changes nothing


def expected(values: list[float], decay: float) -> float:
    """n updates leave at most n / (n + 9) of the average: 0 of the weights before training."""
    mean = 123.0
    for n, value in enumerate(values):
        kept = min(decay, n / (n + 9))
        mean = kept * mean + (1 - kept) * value
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_equals_the_formula(decay: float) -> None:
    values = [1.0, -2.0, 5.0, 0.5, 3.0]
    average, module, trainer = WeightAverage(decay), Counter(), SimpleNamespace(global_step=0)
    average.on_train_start(trainer, module)
    train(average, module, values, trainer)
    torch.testing.assert_close(average.average["weight"], torch.full((3,), expected(values, decay)))
    assert int(average.average["steps"]) == 5  # what is counted is not averaged


def test_validations_see_the_average_and_training_goes_on_with_the_weights() -> None:
    average, module, trainer = WeightAverage(0.5), Counter(), SimpleNamespace(global_step=0)
    average.on_validation_start(trainer, module)  # before training there is none
    average.on_validation_end(trainer, module)
    average.on_train_start(trainer, module)
    train(average, module, [1.0, 2.0, 3.0], trainer)
    mean = expected([1.0, 2.0, 3.0], 0.5)
    average.on_validation_start(trainer, module)
    assert module.weight.tolist() == pytest.approx([mean] * 3)
    during = saved(average, module)
    average.on_validation_end(trainer, module)
    assert module.weight.tolist() == [3.0] * 3
    after = saved(average, module)
    for content in (during, after):  # whenever it is saved
        assert content["state_dict"]["weight"].tolist() == pytest.approx([mean] * 3)
        assert content[CURRENT]["weight"].tolist() == [3.0] * 3


def saved(average: WeightAverage, module: nn.Module) -> dict:
    content = {"state_dict": {name: value.clone() for name, value in module.state_dict().items()}}
    average.on_save_checkpoint(SimpleNamespace(), module, content)
    return {key: {n: v.clone() for n, v in part.items()} if key != AVERAGED else part for key, part in content.items()}


def test_resumed_it_goes_on() -> None:
    values = [1.0, -2.0, 5.0, 0.5, 3.0]
    whole, module, trainer = WeightAverage(0.999), Counter(), SimpleNamespace(global_step=0)
    whole.on_train_start(trainer, module)
    train(whole, module, values[:2], trainer)
    content = saved(whole, module)
    train(whole, module, values[2:], trainer)

    resumed, other = WeightAverage(0.999), Counter()
    trainer = SimpleNamespace(global_step=2, state=SimpleNamespace(fn="fit"))
    other.load_state_dict(content["state_dict"])
    resumed.on_load_checkpoint(trainer, other, content)
    resumed.on_train_start(trainer, other)
    assert other.weight.tolist() == [-2.0] * 3
    train(resumed, other, values[2:], trainer)
    for name, value in whole.average.items():
        assert torch.equal(resumed.average[name], value)


def test_checkpoints_and_the_final_sweep_use_the_average(
    tones_config: Path, fold_command: Command, tmp_path: Path
) -> None:
    option = "--trainer.callbacks+=fold.training.callbacks.WeightAverage"
    fold_command("fit", f"--config={tones_config}", option, "--trainer.max_steps=4", "--run_dir=run")
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content, (model, _) = checkpoint.read(file), checkpoint.load(file)
    assert content[AVERAGED] == 4

    def same(state: dict[str, Tensor]) -> bool:
        return all(torch.equal(state[f"model.{name}"], value) for name, value in model.state_dict().items())

    assert same(content["state_dict"]) and not same(content[CURRENT])
