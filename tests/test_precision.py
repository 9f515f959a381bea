"""Which precision is chosen, and that it is the one computed in."""

import pytest
import torch

from fold.cli import train
from fold.precision import choose_precision, computing_in

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_device_computes_in_bf16_only_where_that_pays(
    supported: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert (choose_precision(GPU), choose_precision(CPU)) == (chosen, "fp32")
    for device in (CPU, GPU):
        assert (choose_precision(device, "fp32"), choose_precision(device, "bf16")) == ("fp32", "bf16")


@pytest.mark.parametrize(("wanted", "dtype"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_products_are_computed_in_what_is_chosen(wanted: str, dtype: torch.dtype) -> None:
    linear = torch.nn.Linear(4, 4)
    with computing_in(CPU, wanted):
        assert linear(torch.ones(1, 4)).dtype == dtype
    assert linear(torch.ones(1, 4)).dtype == linear.weight.dtype == torch.float32


@pytest.mark.parametrize(("options", "named"), [([], "32-true"), (["--trainer.precision=bf16-mixed"], "bf16-mixed")])
def test_a_run_without_a_precision_takes_that_of_its_device(
    options: list[str], named: str, tones_config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(train.STAMP, "")  # so that it is as before in the end
    monkeypatch.delenv(train.STAMP)
    cli = train.build("fit", [f"--config={tones_config}", *options])
    assert cli.trainer.precision == cli.config.trainer.precision == named
