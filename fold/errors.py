"""The one exception for what a user can put right."""


class FoldError(Exception):
    """A bad input (configuration, path, shard, audio, checkpoint), told in one line.

    The command line prints the message alone; a stack trace of this exception never reaches a user.
    """
