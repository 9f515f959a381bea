"""Which precision is chosen, and that it is the one computed in."""

import pytest
import torch

from fold import precision
from fold.cli import train
from fold.precision import bf16_pays_on_cpu, choose_precision, computing_in

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def measured_anew() -> None:
    bf16_pays_on_cpu.cache_clear()


def processor(monkeypatch: pytest.MonkeyPatch, instructions: bool, fp32: float, bf16: float) -> None:
    """A processor with or without bf16 instructions, and the seconds of a product."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": instructions})
    monkeypatch.setattr(precision, "_seconds", {torch.float32: fp32, torch.bfloat16: bf16}.__getitem__)


@pytest.mark.parametrize(
    ("instructions", "fp32", "bf16", "chosen"),
    [(True, 4.0, 1.0, "bf16"), (True, 1.2, 1.0, "fp32"), (True, 1.0, 2.0, "fp32"), (False, 4.0, 1.0, "fp32")],
)
def test_a_processor_computes_in_bf16_only_where_that_is_much_faster(
    instructions: bool, fp32: float, bf16: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(monkeypatch, instructions, fp32, bf16)
    assert choose_precision(CPU) == chosen
    assert (choose_precision(CPU, "fp32"), choose_precision(CPU, "bf16")) == ("fp32", "bf16")


def test_this_processor_is_measured() -> None:
    assert choose_precision(CPU) in ("fp32", "bf16")
    assert choose_precision(CPU) == choose_precision(CPU)


@pytest.mark.parametrize(("wanted", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_products_are_computed_in_what_is_chosen(wanted: str, dtype: torch.dtype) -> None:
    linear = torch.nn.Linear(4, 4)
    with computing_in(CPU, wanted):
        assert linear(torch.ones(1, 4)).dtype == dtype
    assert linear(torch.ones(1, 4)).dtype == linear.weight.dtype == torch.float32


@pytest.mark.parametrize(("bf16", "named"), [(1.0, "bf16-mixed"), (9.0, "32-true")])
def test_a_run_without_a_precision_takes_that_of_its_device(
    bf16: float, named: str, tones_config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(monkeypatch, True, 4.0, bf16)
    for name in (train.PRECISION, train.STAMP):
        monkeypatch.setenv(name, "")  # so that it is as before in the end
        monkeypatch.delenv(name)
    cli = train.build("fit", [f"--config={tones_config}"])
    assert cli.trainer.precision == cli.config.trainer.precision == named
    other = {"bf16-mixed": "32-true", "32-true": "bf16-mixed"}[named]
    assert train.build("fit", [f"--config={tones_config}", f"--trainer.precision={other}"]).trainer.precision == other
