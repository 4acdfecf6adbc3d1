"""Leaves out forwards without gradients: nothing of them is sampled, no hook runs in their parts.

Before a step of reinforcement learning there may be thousands, each shorter than hooks would be.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace_torch.patching import is_captured, remove_hook


class LeftOut:
    """The outermost call that is left out, if one is under way.

    Args:
        over: told when it is over, also when it raised.
    """

    def __init__(self, recorder: Recorder, over: Callable[[], None]) -> None:
        self._over = over
        self._module: nn.Module | None = None
        self._returned = _Returned(recorder.guard(self._ended))
        self._handles: list[Any] = []

    def begin(self, module: nn.Module) -> bool:
        """Leave out the call of a module that is about to run, if its end can be seen."""
        if is_captured() or isinstance(module, torch.jit.ScriptModule):
            return False
        self._module = module
        self._handles.append(module.register_forward_hook(self._returned, always_call=True))
        return True

    def end(self) -> None:
        """Leave nothing out from now on, whether or not the call is over."""
        if self._handles:
            self._take_off()
            if self._module is not None:
                self._module = None
                self._over()

    def _ended(self, module: nn.Module) -> None:
        if module is self._module:
            self.end()

    def _take_off(self) -> None:
        for handle in self._handles:
            if sys.exc_info()[0] is None:
                handle.remove()
            else:
                remove_hook(handle)
        self._handles = [h for h in self._handles if h.id in (h.hooks_dict_ref() or ())]


class _Returned:
    """The hook of the module; a copy of the module that is made meanwhile has one that is idle."""

    def __init__(self, tell: Callable[..., object] | None = None) -> None:
        self._tell = tell

    def __call__(self, module: nn.Module, *args_and_output: Any) -> None:
        if self._tell is not None:
            self._tell(module)

    def __reduce__(self) -> tuple[type["_Returned"], tuple[()]]:
        return _Returned, ()
