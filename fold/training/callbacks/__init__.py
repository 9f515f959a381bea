"""Callbacks: the depth sweep, checkpoints, the progress bar, transcripts, gradient norms on request."""

from fold.training.callbacks.depth_sweep import DepthSweep
from fold.training.callbacks.gradient_norms import GradientNorms
from fold.training.callbacks.progress import StepProgress
from fold.training.callbacks.run_checkpoint import RunCheckpoint
from fold.training.callbacks.transcripts import TranscriptWriter

__all__ = ["DepthSweep", "GradientNorms", "RunCheckpoint", "StepProgress", "TranscriptWriter"]
