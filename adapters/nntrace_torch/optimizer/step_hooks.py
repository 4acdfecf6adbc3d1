"""The hooks before and after the step of every optimizer, whose functions can be exchanged."""

from collections.abc import Callable
from typing import Any

from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from nntrace_torch.patching import remove_hook

Hook = Callable[..., Any]


class StepHooks:
    """One hook before and one after the steps of all optimizers of the process."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._usual: tuple[Hook, Hook] = _nothing, _nothing

    def put_on(self, before: Hook, after: Hook) -> None:
        """Install both hooks, in place of earlier ones."""
        for handle in self._handles:
            handle.remove()
        self._handles = [
            register_optimizer_step_pre_hook(before),
            register_optimizer_step_post_hook(after),
        ]
        self._usual = before, after

    def put_back(self) -> None:
        """Call the functions again that `put_on` was given."""
        self.exchange(*self._usual)

    def exchange(self, before: Hook | None, after: Hook) -> None:
        """Call other functions instead; safe from within a hook, while PyTorch iterates over them.

        Without `before` nothing is done before a step.
        """
        # Only values change: adding or removing a key would invalidate PyTorch's iterator.
        for handle, hook in zip(self._handles, (before or _nothing, after), strict=True):
            hooks = handle.hooks_dict_ref()
            if hooks is not None and handle.id in hooks:
                hooks[handle.id] = hook

    def take_off(self) -> None:
        """Remove both hooks; safe from within one of them."""
        for handle in self._handles:
            remove_hook(handle)


def _nothing(optimizer: Any, args: Any, kwargs: Any) -> None:
    pass
