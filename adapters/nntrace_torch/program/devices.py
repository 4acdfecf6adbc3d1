"""The device of the model and the machine's accelerators, without initialising any of them."""

import sys
from functools import lru_cache
from typing import Any

import torch

from nntrace.adapter.devices import accelerator
from nntrace.recorder import Recorder
from nntrace.schema import EventKind


class DeviceObserver:
    """Records once on which device the parameters are."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._has_recorded = False

    def look(self, optimizer: torch.optim.Optimizer) -> None:
        """Record the device of an optimizer's parameters, once."""
        if self._has_recorded:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if not parameters:
            return
        self._has_recorded = True
        device = parameters[0].device.type
        payload = {
            "device": device,
            "accelerator": _accelerator() if device == "cpu" else device,
            "supported": _supported(),
            "threads": torch.get_num_threads(),
        }
        self._recorder.add_event(EventKind.DEVICE, payload)


@lru_cache(maxsize=64)
def queue(device: torch.device) -> Any:
    """The module of an accelerator with streams and events (`torch.cuda`, `torch.xpu`), from which
    copies need not be waited for; None for any other device.
    """
    if device.type == "cpu":
        return None
    module = getattr(torch, device.type, None)
    return module if hasattr(module, "Event") and hasattr(module, "current_stream") else None


def allocated_bytes() -> int | None:
    """Bytes that tensors take on the current CUDA device; None if CUDA is not in use."""
    return torch.cuda.memory_allocated() if torch.cuda.is_initialized() else None


def _accelerator() -> str | None:
    """The kind of accelerator that this process could use, or None."""
    if found := accelerator():
        return found
    return "mps" if sys.platform == "darwin" and torch.backends.mps.is_available() else None


def _supported() -> bool:
    """Whether this build of PyTorch supports an accelerator."""
    built = torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None
    return built or torch.backends.mps.is_built()
