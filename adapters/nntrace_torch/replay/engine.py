"""The replay engine: calls a part of the program again, as it was called before.

Afterwards random states, modules, gradients and the autograd graph are as they were. What cannot be
undone is refused beforehand: writes to the program's tensors, and communication between ranks.
"""

import random
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils import _pytree as pytree

from nntrace_torch.older import accelerator, place
from nntrace_torch.replay.guard import WriteGuard
from nntrace_torch.replay.modules import KeptModules

R = TypeVar("R")
_CALLS = ("__call__", "_call_impl", "_wrapped_call_impl")  # the methods that call a module


class Replayer:
    """Replays calls, one at a time.

    Attributes:
        active: whether a replay is going on: observers then do nothing, compiled code is not used.
        leaves: during a replay with gradients, the tensors at which its backward pass ends.
        drew: names of the generators besides PyTorch's that the last replay drew from.
    """

    def __init__(self) -> None:
        self.drew: tuple[str, ...] = ()
        self.active = False
        self.leaves: list[torch.Tensor] = []

    def run(
        self,
        compute: Callable[..., R],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        guard: WriteGuard,
        *,
        modules: Sequence[nn.Module] = (),
        gradients: bool = False,
        random_state: bytes | None = None,
        devices: Mapping[str, torch.Tensor] | None = None,
        given: Callable[[nn.Module, Any], Any] | None = None,
        weights: Mapping[int, torch.Tensor] | None = None,
    ) -> R:
        """Call `compute` on copies of its arguments.

        Args:
            compute: a module or a function; compiled code is called in its original form.
            args: its arguments.
            kwargs: its keyword arguments.
            guard: the dispatch mode that all operations pass through.
            modules: modules that `compute` may run besides those reachable from it.
            gradients: whether to record a graph.
            random_state: PyTorch's CPU random state to begin with, as bytes.
            devices: the random states of accelerators to begin with.
            given: called with each module and its positional arguments; may replace them, as a
                forward pre-hook does.
            weights: values to use in place of parameters and buffers, by the ids of those.

        Raises:
            ReplayRefusedError: the call cannot be repeated without a trace in the program.
            Exception: what `compute` raised.
        """
        compute = original_of(compute)
        self.leaves = []
        kept = KeptModules(guard, self.leaves if gradients else None, weights)
        thread = threading.get_ident()

        def keep(module: nn.Module, args: Any) -> Any:
            if threading.get_ident() != thread:
                return None
            kept.keep(module)
            return None if given is None else given(module, args)

        # Before the mode, so that copies are made outside it.
        copied_args, copied_kwargs = copies((tuple(args), dict(kwargs)), guard)
        self.leaves += [t for t in pytree.tree_leaves((copied_args, copied_kwargs)) if _is_leaf(t)]
        states = RandomStates()
        self.active = True
        try:
            if random_state is not None:
                set_random_states(random_state, devices or {})
            with ExitStack() as stack:
                stack.callback(kept.restore)
                for module in (compute, *modules):
                    if isinstance(module, nn.Module):
                        kept.keep(module)
                stack.enter_context(_names_kept(compute))
                hook = register_module_forward_pre_hook(keep)
                hooks: Any = hook.hooks_dict_ref()
                hooks.move_to_end(hook.id, last=False)
                stack.callback(hook.remove)
                stack.enter_context(torch.set_grad_enabled(gradients))
                stack.enter_context(guard)
                return compute(*copied_args, **copied_kwargs)
        finally:
            self.active = False
            self.leaves = []
            self.drew = states.others_moved()
            states.restore()


def _is_leaf(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def original_of(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The code as it was written, without compilation and without wrappers that communicate."""
    while True:
        inner = getattr(compute, "_torchdynamo_orig_callable", None)
        if isinstance(compute, nn.parallel.DistributedDataParallel):
            inner = compute.module
        elif isinstance(compute, nn.Module):
            inner = compute._modules.get("_orig_mod")  # of `torch.compile(module)`
        elif isinstance(compute, types.MethodType) and compute.__name__ in _CALLS:
            inner = compute.__self__ if isinstance(compute.__self__, nn.Module) else inner
        if inner is None or not callable(inner):
            return compute
        compute = inner


def copies(value: Any, guard: WriteGuard) -> Any:
    """The arguments of a call with each tensor copied, so that the replay may write to it."""
    made: dict[int, torch.Tensor] = {}

    def copied(item: Any) -> Any:
        if not isinstance(item, torch.Tensor):
            return item
        if id(item) not in made:
            with torch.no_grad():
                made[id(item)] = item.detach().clone()
            if item.requires_grad:
                made[id(item)].requires_grad_()
            guard.copied(item, made[id(item)])
        return made[id(item)]

    return pytree.tree_map(copied, value)


def device_states(*, every: bool = False) -> dict[str, torch.Tensor]:
    """The random state of the current accelerator, or of every one, if it is initialised."""
    kind = accelerator()
    if kind is None:
        return {}
    module: Any = torch.get_device_module(kind)
    if not getattr(module, "is_initialized", module.is_available)():
        return {}
    current = getattr(module, "current_device", int)  # Apple's has one device, and no such function
    places = range(module.device_count()) if every else (current(),)
    names = [f"{kind.type}:{n}" for n in places]
    return {name: module.get_rng_state(*place(name)) for name in names}


def set_random_states(cpu: bytes, devices: Mapping[str, torch.Tensor]) -> None:
    """Set PyTorch's generators to states from `torch.get_rng_state` and `device_states`."""
    torch.set_rng_state(torch.frombuffer(bytearray(cpu), dtype=torch.uint8))
    for name, state in devices.items():
        torch.get_device_module(name).set_rng_state(state.cpu(), *place(name))


class RandomStates:
    """The states, as they are now, of the generators a forward may draw from: PyTorch's, Python's
    and NumPy's.
    """

    __slots__ = ("_cpu", "_devices", "_numpy", "_python")

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._devices = device_states(every=True)
        self._python = random.getstate()
        numpy: Any = sys.modules.get("numpy.random")
        self._numpy = None if numpy is None else numpy.get_state()

    def others_moved(self) -> tuple[str, ...]:
        """The names of generators besides PyTorch's whose state has changed since."""
        moved = []
        if random.getstate() != self._python:
            moved.append("Python's `random`")
        if self._numpy is not None:
            (_, words, *rest), (_, were, *places) = (
                sys.modules["numpy.random"].get_state(),
                self._numpy,
            )
            if rest != places or (words != were).any():
                moved.append("`numpy.random`")
        return tuple(moved)

    def restore(self) -> None:
        """Set the generators to these states."""
        set_random_states(self._cpu.numpy().tobytes(), self._devices)
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy.random"].set_state(self._numpy)


@contextmanager
def _names_kept(compute: Callable[..., Any]) -> Iterator[None]:
    """A context after which globals, closed-over names and attributes that a function may assign
    to are as before; of lists, dictionaries and sets the contents, too.
    """
    owner = getattr(compute, "__self__", None)
    function = getattr(compute, "__func__", compute)
    code = getattr(function, "__code__", None)
    names = {name: vars(owner)[name] for name in vars(owner)} if hasattr(owner, "__dict__") else {}
    scope = getattr(function, "__globals__", {})
    outer = {n: scope[n] for n in (code.co_names if code is not None else ()) if n in scope}
    cells = [
        (cell, cell.cell_contents) for cell in getattr(function, "__closure__", None) or () if cell
    ]
    values = [*names.values(), *outer.values(), *(content for _, content in cells)]
    contents = [(v, v.copy()) for v in values if type(v) in (list, dict, set)]
    try:
        yield
    finally:
        for container, content in contents:
            if type(container) is list:
                container[:] = content
            elif container != content:
                container.clear()
                container.update(content)
        for cell, content in cells:
            cell.cell_contents = content
        scope.update(outer)
        if names:
            vars(owner).update(names)
