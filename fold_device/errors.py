"""The one exception for what a user can put right."""


class DeviceError(Exception):
    """A bad input (model folder, depth, audio, record), told in one line."""
