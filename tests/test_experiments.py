"""Every shipped YAML instantiates."""

from pathlib import Path

import pytest
from conftest import REPOSITORY

from fold import shipped
from fold.cli import train
from fold.models import empty_model

EXPERIMENTS = sorted((REPOSITORY / "experiments").glob("*.yaml"))
CORPORA = sorted((REPOSITORY / "data").glob("*.yaml"))
LIBRISPEECH = REPOSITORY / "data" / "librispeech.yaml"
PAIRS = [  # sections of experiments and corpora do not overlap: every experiment with one, every corpus with one
    *((file, LIBRISPEECH) for file in EXPERIMENTS),
    *((REPOSITORY / "experiments" / "debug.yaml", file) for file in CORPORA if file != LIBRISPEECH),
]
PAPER_PARAMETERS = {  # arXiv 2505.21237 and ESPnet's Switchboard Conformer: number of units, parameters
    "conformer_fold_librispeech100": (2000, 28_689_312),
    "conformer_physical_librispeech100": (2000, 44_527_008),
    "conformer_physical_librispeech960": (5000, 116_146_960),  # ESPnet: 116.15 M
    "wav2vec2_fold": (32, 66_044_064 + 768),  # and the vector of masked frames
    "wav2vec2_compact": (32, 66_044_064 + 768),
    "wav2vec2_full": (32, 94_395_552 + 768),
}
pytestmark = pytest.mark.usefixtures("beside_pretrained")


def build(*arguments: str) -> train.FoldCLI:
    return train.build("fit", [*arguments, "--trainer.accelerator=cpu"])


@pytest.mark.parametrize(("experiment", "corpus"), PAIRS, ids=lambda file: file.stem)
def test_experiments_compose_with_corpora(experiment: Path, corpus: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={corpus}")
    assert cli.config.experiment == experiment.stem
    assert cli.config.run_dir.startswith(f"runs/{experiment.stem}/")
    num_units, num_parameters = PAPER_PARAMETERS.get(experiment.stem, (2000, None))
    model = empty_model(cli.model.network, num_units, cli.datamodule.sample_rate)
    assert num_parameters in (None, model.num_parameters())
    assert len(model.unfolding.layers) == cli.model.space.num_layers
    head = experiment.read_text().split("\nexperiment:")[0]
    assert f"make train EXP={experiment.stem}" in head


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda file: file.stem)
def test_baselines_do_not_unfold(experiment: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={CORPORA[0]}")
    unfolds = cli.model.space.deepest != cli.model.space.seed
    baselines = ("physical", "full", "compact", "distilhubert", "dphubert", "lighthubert")
    assert unfolds != any(kind in experiment.stem for kind in baselines)


@pytest.mark.parametrize(
    ("fold", "baseline"),
    [
        ("conformer_fold", "conformer_physical"),
        ("conformer_fold_librispeech100", "conformer_physical_librispeech100"),
        ("conformer_fold_librispeech960", "conformer_physical_librispeech960"),
        ("wav2vec2_fold", "wav2vec2_compact"),
        ("wav2vec2_fold", "wav2vec2_full"),
        ("wav2vec2_small_fold", "wav2vec2_small_compact"),
        ("w2v_bert_small_fold", "w2v_bert_small_compact"),
    ],
)
def test_baselines_differ_from_their_experiment_in_unfolding_alone(fold: str, baseline: str) -> None:
    both = [shipped.read(REPOSITORY / "experiments" / f"{name}.yaml") for name in (fold, baseline)]
    for settings in both:
        del settings["experiment"], settings["model"]["max_repeats"]
        del settings["model"]["network"]["init_args"]["num_layers"]
        for of_unfolding in ("max_depth", "sampler", "objective"):
            settings["model"].pop(of_unfolding, None)
    assert both[0] == both[1]
