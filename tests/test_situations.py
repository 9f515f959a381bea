"""What people get wrong, or find on their machine: one line that names it and says what would be right."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import REPOSITORY, Finished

from fold.cli.foreign import refusals_in_one_line
from fold.errors import FoldError

Command = Callable[..., Finished]


def schedule(name: str, settings: str) -> str:
    return f"--model.lr_scheduler={{class_path: torch.optim.lr_scheduler.{name}, init_args: {{{settings}}}}}"


def callback(name: str, settings: str = "") -> str:
    return f"--trainer.callbacks=[{{class_path: {name}, init_args: {{{settings}}}}}]"


PLATEAU = "--model.lr_scheduler={class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: val/nope}}"
RARE = "`val_check_interval` (100000) must be less than or equal to the number of the training batches"
TRAINING = {  # options of `fold fit`: what its one line holds
    # how long, how often
    ("--trainer.val_check_interval=100000",): RARE,
    ("--trainer.val_check_interval=0",): "trainer.val_check_interval is 0: expected 1 or more updates, or a share",
    ("--trainer.val_check_interval=1.5",): "invalid value 1.5 for val_check_interval, it has to be in [0.0, 1.0]",
    ("--trainer.max_epochs=1", "--trainer.max_steps=-1"): "model.lr_scheduler (with trainer.max_steps -1)",
    ("--trainer.max_steps=0",): "model.lr_scheduler (with trainer.max_steps 0)",
    ("--trainer.max_steps=-5",): "`max_steps` must be",
    ("--trainer.max_time=00:00:01:00", "--trainer.max_steps=-1"): "trainer.max_steps is -1 and there is no",
    ("--trainer.max_time=soon",): "expected a string in the format dd:hh:mm:ss",
    ("--trainer.overfit_batches=2",): "trainer.overfit_batches is 2",
    ("--trainer.limit_train_batches=0",): "nothing would be trained",
    ("--trainer.limit_train_batches=7.5",): "invalid value 7.5 for limit_train_batches",
    ("--trainer.limit_test_batches=0.01",): "limit_test_batches is 0.01, less than one batch of the test after",
    ("--trainer.accumulate_grad_batches=0",): "trainer.accumulate_grad_batches is 0: expected 1 or more",
    # the machine
    ("--trainer.accelerator=gpu",): "no GPU can be used",
    ("--trainer.accelerator=tpu",): "torch_xla",
    ("--trainer.accelerator=qpu",): "available names are: auto,",
    ("--trainer.devices=0",): "not a valid input",
    ("--trainer.devices=all",): "should be an int > 0",
    ("--trainer.num_nodes=0",): "`num_nodes` must be a positive integer",
    ("--trainer.strategy=nonsense",): "example choices: auto, ddp",
    ("--trainer.strategy=fsdp",): "requires a GPU",
    ("--trainer.strategy=deepspeed",): "pip install -U deepspeed",
    ("--trainer.precision=8",): "trainer.precision is 8: expected",
    ("--trainer.precision=transformer-engine",): "transformer_engine",
    # callbacks
    (callback("EarlyStopping", "monitor: nothing"),): "metric `nothing` which is not available",
    (callback("LearningRateFinder"),): "try values of model.optimizer.lr",
    (callback("BatchSizeFinder"),): "try values of data.batch_seconds",
    (callback("StochasticWeightAveraging", "swa_lrs: 0.1, swa_epoch_start: 1"),): "callbacks.WeightAverage averages",
    (callback("LearningRateMonitor"), "--trainer.logger=false"): "has no logger",
    (callback("Nope"),): "no class is called 'Nope'",
    (callback("fold.training.callbacks.FreezeEncoder", "steps: -3"),): "steps is -3",
    # checkpoints and logs
    ("--checkpoint.monitor=nothing", "--trainer.val_check_interval=1"): "there are val/cer/mean, val/loss, val/wer/",
    ("--checkpoint.mode=max",): "would keep the worst checkpoint: of val/wer/mean less is better",
    ("--checkpoint.save_last=true",): "checkpoint.save_last is True, which would do nothing: a run always writes",
    ("--checkpoint.save_last=false",): "checkpoint.save_last is False, which would do nothing",
    ("--checkpoint.save_last=link",): "checkpoint.save_last is link, which would do nothing",
    ("--checkpoint.mode=up",): "`mode` can be min, max but got up",
    ("--checkpoint.save_top_k=-7", "--checkpoint.filename={step}"): "must be >= -1",
    (
        "--checkpoint.save_top_k=2",
    ): "all would be called best: give them names that differ, checkpoint.filename='best-{step}'",
    ("--checkpoint.every_minutes=-1",): "checkpoint.every_minutes is -1",
    ("--trainer.enable_checkpointing=false",): "enable_checkpointing=false",
    ("--trainer.profiler=nonsense",): "'simple', 'advanced'",
    ("--trainer.barebones=true",): "barebones",
    ("--trainer.default_root_dir=elsewhere",): "which would do nothing: a run's files go to its run_dir",
    ("--sweep.val_depths=[99]",): "the model has depths 2 to 4",
    # optimizer and schedule
    ("--trainer.gradient_clip_val=-1",): "trainer.gradient_clip_val is -1",
    ("--model.optimizer=Nope",): "model.optimizer: no class",
    ("--model.optimizer=torch.optim.LBFGS",): "must support momentum",
    ("--model.optimizer=torch.optim.SparseAdam",): "which takes sparse gradients: models here have none",
    # references
    ("--run_dir=runs/${expriment}",): "refers to ${expriment}, and no such setting is given",
    ("--trainer.max_steps=${model.nope}",): "trainer.max_steps: refers to ${model.nope}, and no such setting is given",
    ("--experiment=${",): "experiment: a reference in it cannot be read",
    ("--experiment=${experiment}",): "a reference in it cannot be read (Recursive interpolation detected)",
    ("--data.text=5",): "data.text is 5: expected its settings",
    (schedule("ConstantLR", ""), "--model.optimizer.lr=-1"): "model.optimizer: expected lr and weight_decay from 0",
    (schedule("StepLR", "step_size: 0"),): "model.lr_scheduler: integer modulo by zero",
    (schedule("OneCycleLR", "max_lr: 3.0e-3, total_steps: 0"),): "model.lr_scheduler (with trainer.max_steps 2)",
    (schedule("LambdaLR", "lr_lambda: x"),): "no class is called 'x'",
    (PLATEAU, "--trainer.val_check_interval=1"): "model.lr_scheduler: no metric is called val/nope; there are val/cer",
    ("--model.learning_rates={nothing: 3}",): "no parameter's name begins with 'nothing'",
    # the model and the objective
    ("--model.network.dim=33",): "dim is 33",
    ("--model.network.dim=0",): "dim is 0: it must be at least 1",
    ("--model.network.dropout=1.5",): "dropout is 1.5",
    ("--model.network.spec_augment.time_warp=-5",): "spec_augment.time_warp is -5: expected 0 or more",
    ("--model.network.num_layers=0",): "num_layers is 0",
    ("--model.network.num_mels=1000",): "num_mels is 1000: at 8000 Hz",
    ("--model.max_repeats=0",): "max_repeats is 0",
    ("--model.max_repeats=[1,2,3]",): "2 such numbers",
    ("--model.objective.ctc_weight=2",): "ctc_weight is 2",
    ("--model.objective.seed.weight=-1",): "a weight of -1",
    ("--model.objective.distillation.start=2",): "a ramp from 2",
    ("--model.sampler.num_paths=-1",): "model.sampler.num_paths is -1",
    ("--random_seed=-1",): "random_seed is -1: expected a number from 0",
    ("--model.random_seed=-1",): "model.random_seed is -1: it must be 0 or more",
    ("--data.random_seed=-1",): "data.random_seed is -1: it must be 0 or more",
    # the data
    ("--data.batch_seconds=.nan",): "data.batch_seconds is nan",
    ("--data.num_workers=-1",): "data.num_workers is -1",
    ("--data.sample_rate=1",): "data.sample_rate is 1: expected 1000 to 192000",
    ("--data.sample_rate=44100000",): "data.sample_rate is 44100000: expected 1000 to 192000",
    ("--data.speeds=[0]",): "data.speeds is 0",
    ("--data.shuffle_window=0",): "data.shuffle_window is 0",
    ("--data.joining.share=2",): "joining.share is 2.0: expected a share, 0 to 1",
    ("--data.noise.folder=folder",): "data.noise.folder: folder holds no audio files (",
    ("--data.rooms.folder=nowhere",): "data.rooms.folder: no folder nowhere",
    ("--bad_data.max_share=-1",): "bad_data.max_share is -1.0: expected a share, 0 to 1",
    ("--data.corpus.class_path=Nope",): "no class is called 'Nope'",
    ("--data.shards=a_file",): "a_file",
    # files
    ("--run_dir=a_file",): "run folder a_file: cannot be written",
    ("--ckpt_path=folder",): "folder: a folder; expected a file",
    ("--ckpt_path=nowhere.ckpt",): "nowhere.ckpt: no such file",
    ("--ckpt_path=a_file",): "a_file: cannot be read",
    ("--config=nowhere.yaml",): "no such file: nowhere.yaml",
    ("--config=bad.yaml",): "bad.yaml: not YAML",
    ("--config=a_file",): "a_file: empty; expected settings",
    ("--config=twice.yaml",): "twice.yaml:4: 'lr' is given twice in one section; leave one",
    ("--config=twice.json",): "twice.json:1: 'max_steps' is given twice in one section",
    ("--config=on_twice.yaml",): "twice.yaml:4: 'lr' is given twice in one section",
    ("--config=list.yaml",): "list.yaml: a list; expected settings",
    ("--config=latin.yaml",): "latin.yaml: not UTF-8",
}


@pytest.mark.parametrize("options", TRAINING, ids=" ".join)
def test_of_a_training(options: tuple[str, ...], tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.yaml").write_text("a: [1\nb: }")
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "twice.yaml").write_text("model:\n  optimizer:\n    lr: 1.0e-3\n    lr: 2.0e-3")
    (tmp_path / "on_twice.yaml").write_text("base: twice.yaml")
    (tmp_path / "twice.json").write_text('{"trainer": {"max_steps": 1, "max_steps": 2}}')
    (tmp_path / "latin.yaml").write_bytes("experiment: Größe".encode("latin-1"))
    run = [] if "--run_dir=a_file" in options else ["--run_dir=run"]
    done = fold_command("fit", f"--config={tones_config}", *run, *options, check=False)
    assert done.status == 2
    *before, line = done.stderr.splitlines()
    assert line.startswith("fold fit: ") and TRAINING[options].lower() in line.lower(), line
    assert not any("Traceback" in told for told in before)


ENVIRONMENT = {  # a variable and its value: what the one line of `fold fit` holds
    ("WANDB_MODE", "nonsense"): "W&B refuses its setting mode (of a variable WANDB_...): input should be 'online',",
    ("WANDB_TAGS", "long" * 20): "W&B refuses its setting run_tags",
    ("WANDB_BASE_URL", "nonsense"): "W&B refuses its setting base_url",
    ("MASTER_PORT", "x"): "MASTER_PORT is x: expected the number of a free port, 1 to 65535",
    ("MASTER_PORT", "99999"): "MASTER_PORT is 99999: expected",
    ("SLURM_NTASKS", "4"): "`--ntasks-per-node=4` instead",
}


@pytest.mark.parametrize("variable", ENVIRONMENT, ids="=".join)
def test_of_an_environment(
    variable: tuple[str, str], tones_config: Path, fold_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable)
    done = fold_command("fit", f"--config={tones_config}", "--run_dir=run", check=False)
    *_, line = done.stderr.splitlines()
    assert done.status == 2 and ENVIRONMENT[variable].lower() in line.lower(), line


def test_a_port_that_another_program_uses(
    tones_config: Path, fold_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        done = fold_command("fit", f"--config={tones_config}", "--run_dir=run", "--trainer.strategy=ddp", check=False)
    *_, line = done.stderr.splitlines()
    assert done.status == 2 and line.startswith("fold fit: MASTER_PORT: another program uses this port; name a free")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback ...\nRuntimeError: unable to "
            "allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)\n",
            "/dev/shm is full; give it more (docker: --shm-size=8g), or set data.num_workers=0 (RuntimeError: unable",
        ),
        (
            "DataLoader worker (pid 9) is killed by signal: Bus error. It is possible that dataloader's workers are "
            "out of shared memory. Please try to raise your shared memory limit.",
            "/dev/shm is full",
        ),
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", "the GPU's memory is full; lower data.batch_seconds (CUDA"),
    ],
)
def test_what_the_machine_lacks(said: str, told: str) -> None:
    """As PyTorch words it; any other error of its stays a fault of the program."""
    with pytest.raises(FoldError) as caught, refusals_in_one_line():
        raise RuntimeError(said)
    assert str(caught.value).startswith(told) and "Traceback" not in str(caught.value)
    with pytest.raises(RuntimeError, match="sizes differ"), refusals_in_one_line():
        raise RuntimeError("sizes differ")


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written(tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = fold_command("fit", f"--config={tones_config}", "--run_dir=closed/run", check=False)
    assert done.status == 2 and "closed/run: cannot be written" in done.stderr


@pytest.mark.parametrize("command", ["predict", "test", "validate"])
def test_an_evaluation_without_a_checkpoint(command: str, tones_config: Path, fold_command: Command) -> None:
    done = fold_command(command, f"--config={tones_config}", "--run_dir=run", check=False)
    assert done.status == 2 and len(done.stderr.splitlines()) == 1 and "--ckpt_path" in done.stderr


def test_a_folder_with_a_space_in_its_name() -> None:
    done = subprocess.run(
        ["make", "-n", "train", "DATA=manifest", "ROOT=my recordings"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert '--data.root="my recordings"' in done.stdout, done.stderr


def test_nobody_is_logged_in_to_wandb(
    tones_config: Path, fold_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is kept on disk, also under a name and with tags that are longer than W&B allows."""
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    done = fold_command(
        "fit", f"--config={tones_config}", "--run_dir=run", "--offline=false", f"--experiment={'long' * 50}"
    )
    assert "The run is kept on disk" in done.stdout
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


def test_wandb_can_be_switched_off(
    tones_config: Path, fold_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    fold_command("fit", f"--config={tones_config}", "--run_dir=run")
    assert not list(tmp_path.rglob("*.wandb"))


def test_the_home_in_a_path(
    tones_config: Path, fold_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--run_dir=~/runs` is left to us by the shell."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "mine.yaml").write_text("run_dir: ~/of_a_file")
    fold_command("fit", f"--config={tones_config}", "--config=mine.yaml", "--trainer.logger=false")
    fold_command("fit", f"--config={tones_config}", "--run_dir=~/of_an_argument", "--trainer.logger=false")
    fold_command("fit", f"--config={tones_config}", "--run_dir=~", "--trainer.logger=false", "--trainer.max_time=~")
    for name in ("of_a_file", "of_an_argument", "."):
        assert (tmp_path / "home" / name / "checkpoints" / "last.ckpt").exists()
    assert not (tmp_path / "~").exists()


MONITORED = ["val/loss", "val/cer/mean", "val/wer/mean"]


@pytest.mark.parametrize("metric", MONITORED)
def test_metrics_can_be_monitored(metric: str, tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    """By early stopping, by checkpoints and by a schedule that waits for a plateau: here each validation is one."""
    fold_command(
        "fit",
        f"--config={tones_config}",
        "--run_dir=run",
        "--trainer.max_steps=4",
        "--trainer.val_check_interval=1",
        "--trainer.check_val_every_n_epoch=null",
        f"--checkpoint.monitor={metric}",
        callback("EarlyStopping", f"monitor: {metric}, patience: 9"),
        "--model.lr_scheduler={class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: "
        f"{{monitor: {metric}, factor: 0.5, patience: 0, threshold: 1.0e+9, threshold_mode: abs}}}}",
    )
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    [group] = last["optimizer_states"][0]["param_groups"]
    assert last["global_step"] == 4
    assert group["lr"] == pytest.approx(3e-3 * 0.5**2)  # before the last one; the first was no plateau
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    resumed = fold_command(
        "fit",
        f"--config={tones_config}",
        "--run_dir=run",
        "--ckpt_path=last",
        "--trainer.max_steps=6",
        "--trainer.val_check_interval=1",
        "--trainer.check_val_every_n_epoch=null",
        "--model.lr_scheduler={class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: "
        f"{{monitor: {metric}, factor: 0.1, patience: 0, threshold: 1.0e+9, threshold_mode: abs}}}}",
    )
    assert "factor: 0.5 -> 0.1" in resumed.stdout
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(3e-3 * 0.5**2 * 0.1)


def test_a_schedule_may_count_epochs(tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    options = [schedule("StepLR", "step_size: 1, gamma: 0.5"), "--model.lr_interval=epoch", "--data.batch_seconds=60"]
    fold_command("fit", f"--config={tones_config}", "--run_dir=run", *options, "--trainer.max_steps=9")
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] >= 1
    [group] = last["optimizer_states"][0]["param_groups"]
    assert group["lr"] == pytest.approx(3e-3 * 0.5 ** last["lr_schedulers"][0]["last_epoch"])
    assert 1 <= last["lr_schedulers"][0]["last_epoch"] <= last["epoch"] + 1
