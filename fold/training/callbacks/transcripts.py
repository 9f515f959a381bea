"""What `fold predict` leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import BasePredictionWriter


class TranscriptWriter(BasePredictionWriter):
    """Writes `transcripts.tsv` (id, tab, text; one numbered file per rank if there are several) as batches are done.

    Args:
        folder: Where to.
    """

    def __init__(self, folder: str) -> None:
        super().__init__("batch")
        self.folder = Path(folder)

    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_predict_start(trainer, pl_module)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file(trainer).write_text("")

    def write_on_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        prediction: dict[str, str],
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        with self._file(trainer).open("a", encoding="utf-8") as stream:
            stream.writelines(f"{id}\t{text}\n" for id, text in prediction.items())

    def _file(self, trainer: lightning.Trainer) -> Path:
        rank = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        return self.folder / f"transcripts{rank}.tsv"
