"""Which rank and which job this process is of, as its launcher says.

Schedulers and shells use the same names for other things: what is no number is no rank.
"""

import os
from zlib import crc32


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
    """What the processes that one `srun` or `mpirun` started have in common; None for one alone."""
    if _number("OMPI_COMM_WORLD_SIZE", 1) > 1:  # asked first: srun may have started that mpirun
        return os.environ.get("PMIX_NAMESPACE")
    if _number("SLURM_STEP_NUM_TASKS", 1) > 1:
        return f"{os.environ.get('SLURM_JOB_ID')}.{os.environ.get('SLURM_STEP_ID')}"
    return None


def group() -> str | None:
    """What the processes that one torchrun started have in common; None for one alone."""
    its_id = os.environ.get("TORCHELASTIC_RUN_ID")
    if its_id is None or world_size() < 2:
        return None
    # The id may be "none", the port the same every time; on several machines there is no more.
    is_here = local_world_size(world_size()) == world_size()
    place = os.getppid() if is_here else os.environ.get("MASTER_ADDR")
    port = os.environ.get("MASTER_PORT")
    return f"{crc32(f'{its_id} {place} {port}'.encode()):08x}"


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return otherwise
