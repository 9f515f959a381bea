"""Models: each is an `Architecture` (plain settings) that builds a `Recogniser`."""

from fold.models.asr import Architecture, PathOutput, Recogniser, StemOutput, empty_model
from fold.models.conformer import Conformer

__all__ = ["Architecture", "Conformer", "PathOutput", "Recogniser", "StemOutput", "empty_model"]
