"""The LightningModule: a thin rim around the plain PyTorch core."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import lightning
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fold.checkpoint import KEY, Description
from fold.data.batching import Batch
from fold.data.model_input import ModelInput
from fold.decoding.decode import Decoding, Trial, transcribe
from fold.errors import FoldError, refused_as
from fold.losses import Counts, FitsCTC, Targets
from fold.models import Architecture, Recogniser
from fold.objective import JointObjective
from fold.paths import Order, PathSpace
from fold.registry import pack
from fold.sampling import DepthFirst, PathSampler, StepPaths, step_generator
from fold.terms import Heard
from fold.training import method
from fold.training.finite import FiniteUpdates
from fold.training.method import Method
from fold.training.parameter_groups import apply_rates, check_kept, parameter_groups
from fold.training.parts import data_of, still_scaling
from fold.training.resume import check_fits, check_places, refresh_schedule
from fold.training.schedules import Interval, check_monitored, schedule_config
from fold.training.updates import check_tested
from fold.training.warm_start import WarmStart

log = logging.getLogger(__name__)

_warn = rank_zero_only(log.warning)
STATISTICS_BATCHES = 20  # enough speech for the mean and variance of a mel bin


class FoldableASR(lightning.LightningModule):
    """Trains a foldable recogniser: in each step the deepest path, the seed and sampled paths, jointly.

    Args:
        network: The model's architecture.
        optimizer: Of all parameters that train.
        lr_scheduler: Of the learning rate; stepped every update.
        max_repeats: How often a layer may run, one number for all or one for each; 1 is a model that does not unfold.
        max_depth: Of the deepest path; null: every layer as often as it may.
        canonical_order: Where canonical paths repeat layers: `even`ly or the `last`.
        sampler: Chooses the paths that each update trains.
        random_seed: Of the sampled paths, of dropout and of SpecAugment.
        objective: What an update minimises.
        decoding: Of validation.
        test_decoding: Of the canonical paths of a test, and of what `predict` writes.
        compile_layers: Whether torch.compile compiles the layers; takes a minute and a C++ compiler, pays in long runs.
        learning_rates: Of parts of the model, as multiples of the optimizer's, by how the names of its weights begin:
            `{ctc_head: 10, stem.mask: 10}`.
        lr_interval: How often the learning rate's schedule goes on: each update (step) or each epoch; one that waits
            for a plateau goes on after validations, and looks at its `monitor`, or at val/loss.
    """

    description: Description  # both are there once the corpus is: see `configure_model`
    model: Recogniser
    companions: nn.ModuleDict  # of terms of the objective

    def __init__(
        self,
        network: Architecture,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable,
        max_repeats: int | list[int] = 2,
        max_depth: int | None = None,
        canonical_order: Order = "even",
        sampler: PathSampler = DepthFirst(),
        random_seed: int = 0,
        objective: JointObjective = JointObjective(),
        decoding: Decoding = Decoding(),
        test_decoding: Decoding = Decoding(),
        compile_layers: bool = False,
        learning_rates: dict[str, float] | None = None,
        lr_interval: Interval = "step",
    ) -> None:
        super().__init__()
        if random_seed < 0:
            raise FoldError(f"model.random_seed is {random_seed}: it must be 0 or more")
        self.network = network
        repeats = max_repeats if isinstance(max_repeats, int) else tuple(max_repeats)
        self.space = PathSpace(network.num_layers, repeats, max_depth, canonical_order)
        self.method = Method(sampler, objective)
        self.random_seed = random_seed
        self.decoding = decoding
        self.test_decoding = test_decoding
        self.compile_layers = compile_layers
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.learning_rates = learning_rates or {}
        self.lr_interval = lr_interval
        self._validated = False  # since the schedule went on
        self.updates = FiniteUpdates()
        self.from_checkpoint = False  # set where one is about to be loaded, which needs no pre-trained weights
        self.warm_start: WarmStart | None = None  # set where a new run starts from the weights of another
        self.started = ""  # what it took of them

    def prepare_data(self) -> None:
        """One process of each machine downloads weights to start from, unless a checkpoint is about to be loaded."""
        if not self.from_checkpoint:
            (self.warm_start or self.network).fetch()

    def configure_model(self) -> None:
        """Builds the model once the corpus, and so the units, are known. Further calls do nothing."""
        if not hasattr(self, "model"):
            data = data_of(self.trainer)
            units, sample_rate = self.network.units(data.units), data.sample_rate
            self.description = Description(self.network, self.space, units, sample_rate, shards=str(data.location))
            self.description.check()
            self.method.check(self.space)
            with refused_as("model.network"):
                self.model = self.description.build()
            self.decoding.check(self.model, units)
            self.test_decoding.check(self.model, units, "test_decoding")
            self._start(sample_rate)
            self.companions = self.method.objective.new_companions(self.model, sample_rate)
            if self.compile_layers:
                for layer in self.model.unfolding.layers:
                    layer.compile(fullgraph=True, dynamic=True)  # in place: weights keep their names
            num_frames = partial(self.network.num_frames, sample_rate=sample_rate)
            unknown = self.network.unknown
            if told := unknown.told(units, data.units):
                _warn(told)
            data.serve(ModelInput(units, FitsCTC(self.network, sample_rate), num_frames, unknown))

    def _start(self, sample_rate: int) -> None:
        """Gives the new model weights that others trained, if there are any."""
        if self.from_checkpoint:
            return
        if self.warm_start is None:
            self.network.load_pretrained(self.model, sample_rate)
        else:
            self.started = self.warm_start.load(self.model, self.description)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer, scheduler = self._optimizer_and_schedule()
        return {"optimizer": optimizer, "lr_scheduler": schedule_config(scheduler, self.lr_interval)}

    def _optimizer_and_schedule(self) -> tuple[Optimizer, LRScheduler | ReduceLROnPlateau]:
        groups = parameter_groups(self, self.learning_rates)
        with refused_as("model.optimizer"):
            optimizer = self.optimizer(groups)
        apply_rates(optimizer)
        with refused_as(f"model.lr_scheduler (with trainer.max_steps {self.trainer.max_steps})"):
            scheduler = self.lr_scheduler(optimizer)
        check_kept(optimizer, scheduler)
        return optimizer, scheduler

    def lr_scheduler_step(self, scheduler: LRScheduler | ReduceLROnPlateau, metric: Any) -> None:
        """As Lightning, but a plateau is looked for where a validation has given a new value."""
        with refused_as("model.lr_scheduler"):
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
            elif self._validated:
                scheduler.step(metric)
        self._validated = False

    def on_fit_start(self) -> None:
        """Global feature normalisation takes its statistics from the first training batches of a new run."""
        check_tested(self.trainer, data_of(self.trainer))
        frontend = getattr(self.model.stem, "frontend", None)
        if frontend is not None and frontend.normalisation == "global" and self.global_step == 0:
            batches = itertools.islice(data_of(self.trainer).train_dataloader(), STATISTICS_BATCHES)
            frontend.fit_statistics((b.waveforms.to(self.device), b.num_samples.to(self.device)) for b in batches)
            for statistic in (frontend.mean, frontend.std):
                statistic.copy_(self.trainer.strategy.broadcast(statistic))

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by the global norm and skips updates that are not finite, for fused optimizers in mixed precision too,
        whose gradients Lightning leaves scaled and does not clip."""
        if scaler := still_scaling(self.trainer, optimizer):
            scaler.unscale_(optimizer)
        norm = self.updates.clip(self.parameters(), optimizer, gradient_clip_val)
        skipped = self.updates.skipped
        assert skipped is not None  # from the first update on
        rate = optimizer.param_groups[0]["lr"]  # other parts' are multiples of it
        self.log_dict({"train/grad_norm": norm, "train/skipped_updates": skipped.float(), "train/lr": rate})

    def on_train_start(self) -> None:
        refresh_schedule(self.trainer, *self._optimizer_and_schedule())

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout and SpecAugment depend only on (seed, update, which of its batches), so that a resumed run draws the
        same, and one on other devices too."""
        within = batch_idx % self.trainer.accumulate_grad_batches
        number = within * self.trainer.world_size + self.global_rank
        drawn = np.random.SeedSequence((self.random_seed, self.global_step, number)).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]))

    def training_paths(self, step: int, progress: float) -> StepPaths:
        """The paths of an update, which depend only on the random seed and the update: every rank, and every resumed
        run, draws the same.

        step: updates before; progress: share of the training updates.
        """
        return self.method.sampler.paths(self.space, step, progress, step_generator(self.random_seed, step))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        counts = self._counts(batch)
        targets = Targets(batch.units, batch.num_units)
        prefixes = self._prefixes(targets)
        progress = self.global_step / max(self.trainer.estimated_stepping_batches, 1)
        paths = self.training_paths(self.global_step, progress)
        with_hidden = self.method.objective.needs_hidden(progress)
        outputs = self.model(batch.waveforms, batch.num_samples, paths.in_order, prefixes, with_hidden)
        heard, companions = Heard(batch.waveforms, batch.num_samples), dict(self.companions.items())
        losses = self.method.objective(paths, outputs, targets, progress, counts(), heard, companions)
        self.log("train/loss", losses.total.detach(), prog_bar=True)
        self.log_dict({f"train/{name}": part for name, part in losses.parts.items()})
        return losses.total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the task loss of the deepest path. Its errors, and those of other paths, the depth sweep counts."""
        targets = Targets(batch.units, batch.num_units)
        outputs = self.model(batch.waveforms, batch.num_samples, [self.space.deepest], self._prefixes(targets))
        [loss] = self.method.objective.task_losses(outputs, targets)
        self.log("val/loss", loss, batch_size=len(batch.ids), sync_dist=True)

    def on_validation_end(self) -> None:
        self._validated = True
        if not self.trainer.sanity_checking:
            check_monitored(self.trainer.lr_scheduler_configs, self.trainer.callback_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Nothing, as of a validation."""

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, str]:
        """Transcripts of the deepest path by utterance id."""
        [texts] = self.transcribe(batch, [Trial(self.space.deepest, self.test_decoding)])
        return dict(zip(batch.ids, texts, strict=True))

    def transcribe(self, batch: Batch, trials: Sequence[Trial]) -> list[list[str]]:
        """Transcripts of a batch, one list per trial."""
        found = transcribe(self.model, self.description.units, batch.waveforms, batch.num_samples, trials)
        return [texts[: len(batch.ids)] for texts in found]

    def _prefixes(self, targets: Targets) -> Tensor:
        """What an attention decoder is given."""
        return targets.prefixes(self.description.units.eos)

    def _counts(self, batch: Batch) -> Callable[[], Counts]:
        """What the losses average over. The ranks exchange it while they compute; the host waits for none of them.
        Batches that accumulate weigh alike, though their units differ a little."""
        frames = [self.network.num_frames(n, self.description.sample_rate) for n in batch.num_samples.tolist()]
        counts = Counts.of(batch.num_units, torch.tensor(frames))
        if self.trainer.world_size == 1:
            return lambda: counts
        both = torch.stack([counts.units, counts.frames]).to(self.device, non_blocking=True)
        work = torch.distributed.all_reduce(both, async_op=True)

        def mean() -> Counts:
            work.wait()
            return Counts(*(both / self.trainer.world_size))

        return mean

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.configure_model()
        check_fits(self.description, checkpoint)
        if self.trainer.state.fn == "fit":
            check_places(parameter_groups(self, self.learning_rates), checkpoint)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.description.to_dict()
        checkpoint[method.KEY] = pack(self.method)


def foldable(module: lightning.LightningModule) -> FoldableASR:
    """The module that callbacks are handed, by its type."""
    assert isinstance(module, FoldableASR)
    return module
