"""Process groups, as jobs of a cluster and commands of a terminal have them."""

import os


def group_lives(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
