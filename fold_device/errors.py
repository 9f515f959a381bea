"""The one exception for what a user can put right, and the one warning."""


class DeviceError(Exception):
    """A bad input (model folder, depth, audio, record), told in one line."""


class DeviceWarning(UserWarning):
    """An input that can be used, but that has a fault."""
