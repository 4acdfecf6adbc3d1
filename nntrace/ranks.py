"""Which rank this process is, as its launcher says (torchrun, Accelerate, mpirun through a script).

Schedulers and shells use the same names for other things: what is no number is no rank.
"""

import os


def rank() -> int:
    """The number of this process among those of its run, 0 for one on its own."""
    return _number("RANK", 0)


def world_size() -> int:
    """How many processes make up the run, 1 for one on its own."""
    return _number("WORLD_SIZE", 1)


def local_world_size(otherwise: int) -> int:
    """How many of them run on this machine, or `otherwise` if it is not said."""
    return _number("LOCAL_WORLD_SIZE", otherwise)


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return otherwise
