"""The rank of this process, and how its model is distributed over the ranks.

Looks when an optimizer first steps, whatever formed the process group (torchrun, a spawned
function, a framework); never communicates.
"""

import sys
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.living import living

_KINDS = ("DistributedDataParallel", "FSDPModule", "FullyShardedDataParallel")


class RankObserver:
    """Gives the recorder its rank, and records once how the ranks share the model."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_known = not torch.distributed.is_available()

    def look(self, optimizer: Optimizer) -> None:
        """Look for a process group, before an optimizer step, until there is one."""
        if self._is_known or not torch.distributed.is_initialized():
            return
        self._is_known = True
        rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        if not self._recorder.opened:
            self._recorder.rank, self._recorder.world_size = rank, world_size
        payload = {
            "rank": rank,
            "world_size": world_size,
            "backend": torch.distributed.get_backend(),
            **_spread(optimizer),
        }
        self._recorder.add_event(EventKind.DISTRIBUTED, payload)


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """The shard of a distributed tensor that this rank holds; any other tensor as it is."""
    if type(tensor) in (torch.Tensor, nn.Parameter):
        return tensor
    dtensor = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    return (
        cast("torch.Tensor", cast("Any", tensor)._local_tensor)
        if dtensor is not None and type(tensor) is dtensor
        else tensor
    )


def is_sharded(module: nn.Module) -> bool:
    """Whether a module's parameters are sharded, so that all ranks must call it together.

    Asks the class as well: FSDP gives a module its gathered parameters for a while.
    """
    return (_kind(module) or "").startswith(("FSDP", "Fully")) or any(
        local_part(parameter) is not parameter
        for parameter in module._parameters.values()
        if parameter is not None
    )


def _spread(optimizer: Optimizer) -> dict[str, Any]:
    """The wrapper that distributes the model, and whether the ranks hold shards of it.

    `group_size` is the number of ranks that train on different examples and average their
    gradients; None if that is not known.
    """
    found = {kind: module for module in living(nn.Module) if (kind := _kind(module))}
    meshes = [
        parameter.device_mesh
        for group in optimizer.param_groups
        for parameter in group["params"]
        if local_part(parameter) is not parameter
    ]
    hooks: list[str] = []
    size: int | None = None
    replica = found.get("DistributedDataParallel")
    if isinstance(replica, DistributedDataParallel):
        size = torch.distributed.get_world_size(replica.process_group)
        hooks = [getattr(hook, "__name__", "") for hook, _ in replica._comm_hooks]
    elif "FSDPModule" in found and all(mesh.ndim == 1 for mesh in meshes):
        size = max((mesh.size() for mesh in meshes), default=None)
    return {
        "wrapper": next((kind for kind in _KINDS if kind in found), None),
        "sharded": bool(meshes) or "FullyShardedDataParallel" in found,
        "group_size": size,
        "hooks": hooks,
    }


def _kind(module: nn.Module) -> str | None:
    """The wrapper a module is; compared by name, as only programs that use FSDP import it."""
    names = {base.__name__ for base in type(module).__mro__}
    return next((kind for kind in _KINDS if kind in names), None)
