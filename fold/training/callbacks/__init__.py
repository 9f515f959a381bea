"""What a run does besides training: depth sweeps, checkpoints, progress, and how it meets bad data and signals."""

from fold.training.callbacks.bad_data import BadData
from fold.training.callbacks.depth_sweep import DepthSweep
from fold.training.callbacks.end_together import EndTogether
from fold.training.callbacks.freeze_encoder import FreezeEncoder
from fold.training.callbacks.gradient_norms import GradientNorms
from fold.training.callbacks.narration import Narration
from fold.training.callbacks.progress import StepProgress
from fold.training.callbacks.run_checkpoint import Ended, RunCheckpoint
from fold.training.callbacks.run_settings import RunSettings
from fold.training.callbacks.throughput import Throughput
from fold.training.callbacks.training_time import TrainingTime
from fold.training.callbacks.transcripts import TranscriptWriter
from fold.training.callbacks.weight_average import WeightAverage

__all__ = [
    "BadData",
    "DepthSweep",
    "EndTogether",
    "Ended",
    "FreezeEncoder",
    "GradientNorms",
    "Narration",
    "RunCheckpoint",
    "RunSettings",
    "StepProgress",
    "Throughput",
    "TrainingTime",
    "TranscriptWriter",
    "WeightAverage",
]
