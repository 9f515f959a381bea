"""Speech foundation models (wav2vec 2.0 and its relatives): read, folded, fine-tuned, written back."""

from fold.models.foundation.lighthubert import Subnet
from fold.models.foundation.masking import Masking
from fold.models.foundation.network import Foundation
from fold.models.foundation.shape import Dropouts, Shape

__all__ = ["Dropouts", "Foundation", "Masking", "Shape", "Subnet"]
