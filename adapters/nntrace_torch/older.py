"""What PyTorch's older versions, from 2.4 on, lack or do otherwise, in one place."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules import module as module_hooks

# Before 2.8 an error of a device is a RuntimeError that says so.
_ACCELERATOR_ERROR: type[Exception] | None = getattr(torch, "AcceleratorError", None)
# TorchDynamo of 2.4 and 2.5 looks in the wrapper for the closure of what it traces in its place.
LOSES_CLOSURES = not hasattr(torch, "accelerator")
_HAS_GLOBAL_KEYWORDS = hasattr(module_hooks, "_global_forward_hooks_with_kwargs")


def accelerator() -> torch.device | None:
    """The kind of accelerator that this build of PyTorch computes on; None for the processor."""
    if hasattr(torch, "accelerator"):  # from 2.6 on
        try:
            return torch.accelerator.current_accelerator()
        except RuntimeError:  # how 2.6 says that there is none
            return None
    device = torch._C._get_accelerator()
    return None if device.type == "cpu" else device


def place(device: str) -> tuple[str, ...]:
    """The argument of `get_rng_state` for a device; those of Apple's had none at first."""
    return () if device.startswith("mps") else (device,)


def is_device_error(error: BaseException) -> bool:
    """Whether a device is out of memory or has failed."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if _ACCELERATOR_ERROR is not None:
        return isinstance(error, _ACCELERATOR_ERROR)
    return isinstance(error, RuntimeError) and str(error).startswith(("CUDA error", "HIP error"))


def register_forward_hook(hook: Callable[..., None]) -> Any:
    """Call `hook(module, args, kwargs, output)` after each call of a module; return the handle.

    When the call raised, it is `hook(module, args, output)`.
    """
    register: Any = module_hooks.register_module_forward_hook
    if _HAS_GLOBAL_KEYWORDS:
        return register(hook, with_kwargs=True, always_call=True)
    return register(_with_keywords(hook), always_call=True)


def forget_keywords(handle: Any) -> None:
    """Undo the rest of `register_forward_hook`: the handle's own removal leaves it behind."""
    getattr(module_hooks, "_global_forward_hooks_with_kwargs", {}).pop(handle.id, None)


def register_under(earlier: Any, handle: Any) -> Any:
    """Give a global hook the number of one that was removed; return the handle of that number."""
    keywords = getattr(module_hooks, "_global_forward_hooks_with_kwargs", {})
    extra = (reference() for reference in handle.extra_dict_ref)
    for registered in (handle.hooks_dict_ref(), *extra, keywords):
        if handle.id in registered:
            registered[earlier.id] = registered.pop(handle.id)
    return earlier


def _with_keywords(hook: Callable[..., None]) -> Callable[..., None]:
    """Add the keyword arguments, which older versions give only to hooks of a single module."""

    def called(module: Any, args: Any, output: Any) -> None:
        if torch.compiler.is_dynamo_compiling():
            hook(module, args, {}, output)  # a frame would break the graph, and nothing is seen
        elif output is None and sys.exc_info()[0] is not None:
            hook(module, args, output)
        else:
            caller = sys._getframe(1)  # PyTorch's own, of `Module._call_impl`
            hook(module, args, caller.f_locals.get("kwargs") or {}, output)

    return called
