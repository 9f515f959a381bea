"""The LightningDataModule: a corpus, prepared when missing, streamed from its shards."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from fold.data.augment import Augmenter, Noise, Rooms, Telephone
from fold.data.batching import Batch, Rounding, as_it_is
from fold.data.cache import ShardCache
from fold.data.corpora import Corpus
from fold.data.index import Index
from fold.data.joining import Joiner, Joining
from fold.data.location import Location
from fold.data.model_input import ModelInput
from fold.data.plans import EvalPlan, Reference, TrainPlan, current_names, whole
from fold.data.prepare import prepare, prepared_name
from fold.data.ranges import check_not_negative, check_positive, check_rate
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError
from fold.processes import reader_context, start_reader
from fold.settings import differences
from fold.text.normalise import Normaliser
from fold.text.units import Units, UnitsConfig, units_from_dict

log = logging.getLogger(__name__)

PADDING = 1.02  # of a batch of utterances of similar length


class SpeechData(lightning.LightningDataModule):
    """Batches of speech from the shards of a corpus.

    Args:
        corpus: What to prepare: a class such as Commands, LibriSpeech, Manifest, HuggingFace or WebShards, with its
            settings.
        sample_rate: In Hz; all audio is resampled to it once, when the corpus is prepared.
        units: Output units of the transcripts.
        text: How transcripts are written, before they become units and before they are compared.
        shards: Folder, or http(s) or s3 URL, that holds prepared corpora.
        cache: Folder for local copies of the shards of a URL.
        cache_gigabytes: How much of the disk these copies may fill.
        root: Where the recordings of the corpus lie; null downloads or synthesises them. Of WebShards also a URL, or
            the list of the training shards.
        update_seconds: Padded audio of an optimizer update, nearly, over all ranks and all batches that they
            accumulate; null: one batch of each rank, times trainer.accumulate_grad_batches.
        batch_seconds: Padded audio, nearly, that a device can hold in training: an update is cut into as many equal
            batches for each rank as that takes.
        eval_batch_seconds: Most padded audio in an evaluation batch.
        round_frames: Batches are padded until the encoder has a multiple of so many frames of them, so that a GPU meets
            few shapes; 1: not at all.
        max_seconds: Longer training utterances are dropped, and counted in the log.
        shuffle_window: Number of shards that are shuffled together.
        speeds: Speed perturbation of training audio: one of these factors is drawn for each utterance; null: none.
        joining: Joins utterances of some training batches, so that longer speech is learnt too; null: none.
        rooms: Puts some training utterances into rooms; null: none.
        noise: Adds noise to some training utterances; null: none.
        telephone: Sends some training utterances over a telephone; null: none.
        random_seed: Of shuffling, speeds, joining, rooms, noise and telephone.
        num_workers: Processes that read for each loader.
        prepare_workers: Processes that prepare the corpus; null: one for each core.

    Raises:
        FoldError: A setting is out of range.
    """

    def __init__(
        self,
        corpus: Corpus,
        sample_rate: int = 16000,
        units: UnitsConfig = UnitsConfig(),
        text: Normaliser = Normaliser(),
        shards: str = "shards",
        cache: str = "shards/cache",
        cache_gigabytes: float = 50.0,
        root: str | None = None,
        update_seconds: float | None = None,
        batch_seconds: float = 60.0,
        eval_batch_seconds: float = 120.0,
        round_frames: int = 1,
        max_seconds: float = 30.0,
        shuffle_window: int = 16,
        speeds: list[float] | None = None,
        joining: Joining | None = None,
        rooms: Rooms | None = None,
        noise: Noise | None = None,
        telephone: Telephone | None = None,
        random_seed: int = 0,
        num_workers: int = 1,
        prepare_workers: int | None = None,
    ) -> None:
        super().__init__()
        check_rate(sample_rate)
        check_positive(update_seconds=update_seconds, batch_seconds=batch_seconds)
        check_positive(eval_batch_seconds=eval_batch_seconds, round_frames=round_frames, max_seconds=max_seconds)
        check_positive(shuffle_window=shuffle_window, speeds=min(speeds or [1.0]), prepare_workers=prepare_workers)
        check_not_negative(num_workers=num_workers, cache_gigabytes=cache_gigabytes, random_seed=random_seed)
        self.corpus, self.root = corpus.rooted(root)
        self.sample_rate = sample_rate
        self.units_config = units
        self.text = text
        name = prepared_name(self.corpus, sample_rate, units, text)
        self.location = Location.of(f"{shards}/{name}", ShardCache(Path(cache), round(cache_gigabytes * 1e9)))
        self.update_seconds = update_seconds
        self.batch_seconds = batch_seconds
        self.eval_batch_seconds = eval_batch_seconds
        self.round_frames = round_frames
        self.max_seconds = max_seconds
        self.shuffle_window = shuffle_window
        self.speeds = speeds or [1.0]
        self.joining = joining
        self.heard = (rooms, noise, telephone)
        self.random_seed = random_seed
        self.num_workers = num_workers
        self.prepare_workers = prepare_workers
        self._index: Index | None = None
        self._takes: ModelInput | None = None
        self._plan: TrainPlan | None = None
        self._resumed = (0, 0)  # epoch and steps done in it
        self.moved_to: int | None = None  # updates done in it, where Lightning's count of batches no longer says so

    def prepare_data(self) -> None:
        """Prepares the corpus unless its shards are there (Lightning calls this on one process of a node)."""
        if self.trainer is not None and self.trainer.state.fn == "fit":
            self._augmenter()  # refuses here, before a corpus is prepared, folders without audio
        if self.location.folder is None:
            return  # at a URL they are there or not
        prepare(
            self.corpus,
            self.location.folder,
            root=self.root,
            sample_rate=self.sample_rate,
            units=self.units_config,
            text=self.text,
            num_workers=self.prepare_workers,
        )

    @property
    def index(self) -> Index:
        """The index of the prepared corpus. Raises FoldError if there is none yet."""
        if self._index is None:
            self._index = self.location.index()
        return self._index

    @property
    def units(self) -> Units:
        """The unit inventory kept with the prepared corpus, unless a model has brought its own."""
        return self._takes.units if self._takes else units_from_dict(self.index.units)

    def serve(self, takes: ModelInput) -> None:
        """Makes the batches suit a model from now on."""
        self._takes = takes

    def train_dataloader(self) -> DataLoader[Batch]:
        split = self.index.splits["train"]
        usable, _ = split.usable(self.max_seconds)
        if usable < split.utterances:
            dropped = split.utterances - usable
            log.warning(f"train: {dropped} of {split.utterances} utterances dropped: over {self.max_seconds} s")
        if not usable:
            raise FoldError(f"{self.location}: no training batch: every utterance is longer than {self.max_seconds} s")
        data = self._split("train")
        plan = TrainPlan(
            data.lengths(self._samples(self.max_seconds)),
            [shard.seconds for shard in split.shards],
            self.steps_per_epoch(),
            seed=self.random_seed,
            window=self.shuffle_window,
            speeds=self.speeds,
            batches=whole(self._step_seconds() / self.batch_seconds),
            accumulate=self._accumulate(),
            **self._share(),
        )
        plan.resume(*self._resumed)
        self._plan = plan
        return self._loader(data, plan)

    def accumulation(self, world_size: int) -> int | None:
        """Batches that each rank accumulates for an update, where `update_seconds` decides that."""
        if self.update_seconds is None:
            return None
        return whole(self.update_seconds / (self.batch_seconds * world_size))

    def steps_per_epoch(self) -> int:
        """Updates that hold the training audio: known from the index, and the same in every epoch."""
        utterances, seconds = self.index.splits["train"].usable(self.max_seconds)
        played = seconds * sum(1 / speed for speed in self.speeds) / len(self.speeds)
        steps = math.ceil(played * PADDING / self._step_seconds())
        return min(steps, math.ceil(utterances / whole(self._step_seconds() / self.batch_seconds)))

    def plan_settings(self) -> dict[str, Any]:
        """All that the utterances of the updates of an epoch depend on."""
        return {
            "random_seed": self.random_seed,
            "update_seconds": self._step_seconds(),
            "batch_seconds": self.batch_seconds,
            "max_seconds": self.max_seconds,
            "shuffle_window": self.shuffle_window,
            "speeds": list(self.speeds),
            "utterances": self.index.splits["train"].utterances,
        }

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch, for a checkpoint."""
        if self._plan is None or self.trainer is None:
            return {}
        batches, accumulate = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready, self._accumulate()
        position = {"epoch": self._plan.epoch, "step": batches // accumulate, "accumulate": accumulate}
        return {"plan": self.plan_settings(), **position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on at the position saved; if the plan has changed since, at the start of that epoch."""
        if self.trainer is None or self.trainer.state.fn != "fit" or not state:
            return
        changed = differences(current_names(state["plan"]), self.plan_settings())
        if changed:
            log.warning(f"the batches of an epoch change ({'; '.join(changed)}): epoch {state['epoch']} begins again")
        self._resumed = (state["epoch"], 0 if changed else state["step"])
        if changed or state["accumulate"] != self._accumulate():
            self.moved_to = self._resumed[1]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._eval_loader("dev")

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._eval_loader("test")

    def _split(self, name: str) -> ShardedSpeech:
        rounding = Rounding.to_frames(self._takes.num_frames, self.round_frames) if self._takes else None
        data = ShardedSpeech(self.location, self.index.splits[name], self.sample_rate, self.units, rounding=rounding)
        if name == "train":
            if self._takes is not None:
                data.fits, data.unknown = self._takes.fits, self._takes.unknown
            data.speeds, data.augmenter = self.speeds, self._augmenter()
            if self.joining is not None:
                data.joiner = Joiner(self.joining, self.sample_rate, self.units, data.fits, self.random_seed)
        return data

    def _augmenter(self) -> Augmenter | None:
        return Augmenter(self.sample_rate, self.random_seed, *self.heard) if any(self.heard) else None

    def _eval_loader(self, name: str) -> DataLoader[Batch]:
        data = self._split(name)
        samples, shards = self._samples(self.eval_batch_seconds), range(len(data.split.shards))
        return self._loader(data, EvalPlan(data.lengths(), shards, samples, **self._share()))

    def _loader(self, data: ShardedSpeech, plan: Sampler[list[Reference]]) -> DataLoader[Batch]:
        return DataLoader(
            data,
            sampler=plan,
            batch_size=None,  # the plan's items are whole batches
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=as_it_is,
            worker_init_fn=start_reader,
            multiprocessing_context=reader_context() if self.num_workers else None,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
        )

    def _accumulate(self) -> int:
        return 1 if self.trainer is None else self.trainer.accumulate_grad_batches

    def _step_seconds(self) -> float:
        """Padded audio of an update, over all ranks."""
        return self.update_seconds or self.batch_seconds * self._share()["world_size"] * self._accumulate()

    def _share(self) -> dict[str, int]:
        if self.trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.sample_rate)
