"""Models: each is an `Architecture` (plain settings) that builds a `Recogniser`."""

from fold.models.asr import Architecture, PathOutput, PathOutputs, Recogniser, StemOutput, empty_model
from fold.models.conformer import Conformer
from fold.models.foundation import Foundation

__all__ = [
    "Architecture",
    "Conformer",
    "Foundation",
    "PathOutput",
    "PathOutputs",
    "Recogniser",
    "StemOutput",
    "empty_model",
]
