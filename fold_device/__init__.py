"""A foldable speech recogniser on a device: one file of weights, the depth chosen at each call, no PyTorch."""

from fold_device.errors import DeviceError
from fold_device.model import Model, load
from fold_device.words import Transcript, Word

__version__ = "0.1.0"
__all__ = ["DeviceError", "Model", "Transcript", "Word", "load"]
