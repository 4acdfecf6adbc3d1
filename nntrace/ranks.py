"""Which rank and which job this process is of, as its launcher says.

Schedulers and shells use the same names for other things: what is no number is no rank.
"""

import os


def rank() -> int:
    """The number of this process among those of its run, 0 for one on its own."""
    return _number("RANK", 0)


def world_size() -> int:
    """How many processes make up the run, 1 for one on its own."""
    return _number("WORLD_SIZE", 1)


def local_world_size(world_size: int) -> int | None:
    """How many of the processes of the run are on this machine, None if the launcher is silent."""
    told = _number("LOCAL_WORLD_SIZE", _number("OMPI_COMM_WORLD_LOCAL_SIZE", 0))
    return told or (1 if world_size == 1 else None)


def job() -> str | None:
    """What the processes that one `srun` or `mpirun` started have in common; None for a single one.

    Those of torchrun inherit one environment instead.
    """
    if _number("OMPI_COMM_WORLD_SIZE", 1) > 1:  # asked first: srun may have started that mpirun
        return os.environ.get("PMIX_NAMESPACE")
    if _number("SLURM_STEP_NUM_TASKS", 1) > 1:
        return f"{os.environ.get('SLURM_JOB_ID')}.{os.environ.get('SLURM_STEP_ID')}"
    return None


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return otherwise
