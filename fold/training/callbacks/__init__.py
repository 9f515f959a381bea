"""Callbacks: the depth sweep, the progress bar, gradient norms on request."""

from fold.training.callbacks.depth_sweep import DepthSweep
from fold.training.callbacks.gradient_norms import GradientNorms
from fold.training.callbacks.progress import StepProgress

__all__ = ["DepthSweep", "GradientNorms", "StepProgress"]
