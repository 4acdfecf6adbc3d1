"""PyTorch's global hooks of module calls, installed while a step is sampled."""

from collections.abc import Callable
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook

from nntrace_torch.older import forget_keywords, register_forward_hook, register_under
from nntrace_torch.patching import invisible_to_compilers, remove_hook
from nntrace_torch.program.compilers import has_compiled_functions

_FORWARD_HOOK = 1  # the index of its handle

_Hook = Callable[..., None]


class ModuleHooks:
    """A hook for calls that begin and one for those that end, also by an error.

    Functions that were compiled before run with the hooks on. The compiler then sees nothing in
    them, and they keep their numbers: it would compile such a function again for others.

    Args:
        entered: given a module and its arguments.
        called: given a module, its arguments, its keyword arguments unless it raised, its output.
    """

    def __init__(self, entered: _Hook, called: _Hook) -> None:
        self._keeps_numbers = has_compiled_functions()
        if self._keeps_numbers:
            entered, called = invisible_to_compilers(entered), invisible_to_compilers(called)
        self._entered, self._called = entered, called
        self._handles: list[Any] = []
        self._removed: list[Any] = []
        self._unremoved: list[Any] = []

    def put_on(self, entered: _Hook | None = None, called: _Hook | None = None) -> None:
        """Install the hooks, or others for this time, unless they are installed."""
        if not self._handles:
            self._handles = [
                register_module_forward_pre_hook(entered or self._entered),
                register_forward_hook(called or self._called),
            ]
            if self._removed:
                self._handles = list(map(register_under, self._removed, self._handles))

    def take_off(self) -> None:
        """Remove the hooks; not from within one of them."""
        for handle in self._handles:
            handle.remove()
            forget_keywords(handle)
        if self._keeps_numbers and self._handles:
            self._removed = self._handles
        self._handles = []

    def abandon(self) -> None:
        """Remove the hooks, even from within one of them."""
        # The global forward hooks are being walked when a forward raises.
        self._unremoved += self._handles[_FORWARD_HOOK:][:1]
        del self._handles[_FORWARD_HOOK : _FORWARD_HOOK + 1]
        self._keeps_numbers = False
        self.take_off()
        for handle in self._unremoved:
            remove_hook(handle)
            forget_keywords(handle)
