"""Where the model lies and which accelerators this machine has, without waking any of them."""

import os
import sys
from pathlib import Path

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind

# Asking CUDA itself would initialise it, which forked workers do not survive.
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_AMD = Path("/sys/class/kfd/kfd/topology/nodes")


class DeviceObserver:
    """Records once on which device the parameters are."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._has_recorded = False

    def look(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer steps for the first time."""
        if self._has_recorded:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if not parameters:
            return
        self._has_recorded = True
        device = parameters[0].device.type
        payload = {
            "device": device,
            "accelerator": accelerator() if device == "cpu" else device,
            "supported": _supported(),
            "threads": torch.get_num_threads(),
        }
        self._recorder.add_event(EventKind.DEVICE, payload)


def allocated_bytes() -> int | None:
    """What tensors hold on a CUDA device that is in use; None without one."""
    return torch.cuda.memory_allocated() if torch.cuda.is_initialized() else None


def accelerator(nvidia: Path = _NVIDIA, amd: Path = _AMD) -> str | None:
    """The kind of accelerator that this process could use, or None."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return None
    try:
        if nvidia.is_dir() and any(nvidia.iterdir()):
            return "cuda"
        if amd.is_dir() and any(_computes(node) for node in amd.iterdir()):
            return "cuda"  # as PyTorch calls AMD's, too
    except OSError:
        return None
    if sys.platform == "darwin" and torch.backends.mps.is_available():
        return "mps"
    return None


def _computes(node: Path) -> bool:
    """Whether a node of the driver's topology is an accelerator, not a processor."""
    return "simd_count 0" not in (node / "properties").read_text()


def _supported() -> bool:
    """Whether this build of PyTorch can use one."""
    built = torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None
    return built or torch.backends.mps.is_built()
