"""Restores modules after a replay has run them: attributes, buffers, gradients.

A module's attributes and buffers are copied, never its parameters: the guard refuses operations
that would write to those.
"""

import collections
import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from nntrace_torch.program.module_tree import modules_of
from nntrace_torch.program.ranks import is_sharded
from nntrace_torch.replay.guard import ReplayRefusedError, WriteGuard

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_CONTAINERS = (dict, collections.OrderedDict, list, set, collections.deque)


class KeptModules:
    """The state of module trees as `keep` found it; `restore` brings it back.

    Args:
        guard: the replay's guard, which is told of copies that may be written to.
        leaves: filled, for a replay with gradients, with the tensors that stand for parameters:
            they share their memory and have none of the program's hooks. None for a replay
            without gradients.
        weights: other values for parameters (with gradients only) and buffers, by their ids.
    """

    def __init__(
        self,
        guard: WriteGuard,
        leaves: list[torch.Tensor] | None = None,
        weights: Mapping[int, torch.Tensor] | None = None,
    ) -> None:
        self._guard = guard
        self._weights = weights or {}
        self._leaves = leaves
        self._aliases: dict[int, torch.Tensor] = {}
        self._kept: dict[int, tuple[nn.Module, dict[str, Any]]] = {}
        self._parameters: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = {}
        self._copies: dict[int, torch.Tensor] = {}  # a shared buffer has one copy

    def keep(self, root: nn.Module) -> None:
        """Prepare a module and its parts for a replay.

        Raises:
            ReplayRefusedError: it has no parameters yet, or they are sharded over ranks.
        """
        if id(root) in self._kept or isinstance(root, torch.jit.ScriptModule):
            return
        for module in modules_of(root):
            if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
                raise ReplayRefusedError("a lazy module has no parameters yet")
            if is_sharded(module):
                raise ReplayRefusedError(
                    "the model's parameters are spread over the ranks, which would have to "
                    "gather them together"
                )
        for module in modules_of(root):
            if id(module) not in self._kept and not isinstance(module, torch.jit.ScriptModule):
                self._keep(module)

    def _keep(self, module: nn.Module) -> None:
        state = module.__dict__
        saved = dict(state)
        self._kept[id(module)] = (module, saved)
        for parameter in state["_parameters"].values():
            if parameter is not None and id(parameter) not in self._parameters:
                entry = (parameter, parameter.detach(), parameter.grad)
                self._parameters[id(parameter)] = entry
        for name, value in saved.items():
            if type(value) in _CONTAINERS:
                state[name] = copy.copy(value)
        if self._leaves is not None:
            self._use_aliases(state)
        for name in _HOOKS:
            for key, hook in list(state[name].items()):
                if not _is_torchs(hook):
                    del state[name][key]
        for name, buffer in state["_buffers"].items():
            if buffer is not None:
                state["_buffers"][name] = self._copy(buffer)
        if state.get("_compiled_call_impl") is not None:
            state["_compiled_call_impl"] = None

    def _use_aliases(self, state: dict[str, Any]) -> None:
        for name, parameter in state["_parameters"].items():
            if parameter is not None and parameter.requires_grad:
                state["_parameters"][name] = self._alias(parameter)
        if isinstance(flat := state.get("_flat_weights"), list):  # of recurrent layers
            state["_flat_weights"] = [
                self._aliases.get(id(weight), weight) if weight is not None else None
                for weight in flat
            ]

    def _alias(self, parameter: torch.Tensor) -> torch.Tensor:
        if id(parameter) not in self._aliases:
            values = self._weights.get(id(parameter), parameter)
            self._aliases[id(parameter)] = alias = values.detach().requires_grad_()
            assert self._leaves is not None
            self._leaves.append(alias)
        return self._aliases[id(parameter)]

    def _copy(self, buffer: torch.Tensor) -> torch.Tensor:
        if id(buffer) not in self._copies:
            values = self._weights.get(id(buffer), buffer)
            self._copies[id(buffer)] = copied = values.detach().clone()
            self._guard.copied(buffer, copied)
        return self._copies[id(buffer)]

    def restore(self) -> None:
        """Bring all modules back to the state in which they were kept."""
        for module, saved in self._kept.values():
            for name in [name for name in module.__dict__ if name not in saved]:
                del module.__dict__[name]
            module.__dict__.update(saved)
        for parameter, value, gradient in self._parameters.values():
            if parameter.data_ptr() != value.data_ptr():
                parameter.data = value
            if parameter.grad is not gradient:
                parameter.grad = gradient
        self._kept.clear()
        self._parameters.clear()
        self._copies.clear()


def _is_torchs(hook: Any) -> bool:
    """Whether a hook is PyTorch's own, which computes a weight; others may have side effects."""
    return str(getattr(hook, "__module__", "")).partition(".")[0] == "torch"
