"""Is the gradient of a layer the derivative of what it computes? (PRB05)

One module of every class defined by the program is called again in float64, in evaluation mode,
with the arguments of a training step. A gradient that differs was cut off or changed inside the
module, by `detach`, a hook or a detour over NumPy. That is often intended: it is noted, and is no
fault.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from nntrace.adapter.derivatives import Comparison
from nntrace_torch.probes.dependencies import CLEAN, NOTED, Answer, Forward, floating
from nntrace_torch.probes.differences import compare
from nntrace_torch.program.module_tree import (
    modules_of,
    named_buffers_of,
    named_modules_of,
    named_parameters_of,
)
from nntrace_torch.program.sources import is_users
from nntrace_torch.replay.guard import ReplayRefusedError, WriteGuard

_MANY = 12  # classes
_LARGEST = 2_000_000  # elements of parameters and inputs
_INPUT, _PARAMETERS = 0, 1


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    module: nn.Module
    leaves: tuple[Any, ...]
    form: Any


def own_layers(forward: Forward) -> list[tuple[str, Answer]]:
    """Check one module of each class; pairs of the class's name and the answer, innermost first.

    A module that contains one with a noted answer is left out: its gradient differs, too.
    """
    answers: list[tuple[str, Answer]] = []
    noted: set[int] = set()  # ids
    for call in sorted(_calls(forward), key=lambda call: len(list(modules_of(call.module)))):
        if any(id(part) in noted for part in modules_of(call.module)):
            continue
        try:
            answer = _check(call, forward)
        except (Exception, ReplayRefusedError):  # not made for float64, or not for a replay
            continue
        if answer is not None:
            answers.append((type(call.module).__qualname__, answer))
            if answer.state == NOTED:
                noted.add(id(call.module))
    return answers


def _calls(forward: Forward) -> list[_Call]:
    """One call of one module of each class, recorded during a replay of the outermost module."""
    chosen: dict[type, tuple[str, nn.Module]] = {}
    for path, module in named_modules_of(forward.module):
        kind = type(module)
        if len(chosen) < _MANY and kind not in chosen and _is_own(kind):
            chosen[kind] = path, module
    found: list[_Call] = []

    def noting(path: str) -> Callable[..., None]:
        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            leaves, form = pytree.tree_flatten((args, kwargs))
            kept = [_kept(leaf) for leaf in leaves]
            found.append(_Call(path, module, tuple(kept), form))

        return note

    def read(call: Callable[..., Any], args: Any, kwargs: Any) -> None:
        hooks = [
            module.register_forward_pre_hook(noting(path), with_kwargs=True)
            for path, module in chosen.values()
        ]
        try:
            call(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()

    try:
        forward.replay(read, gradients=True)
    except (Exception, ReplayRefusedError):
        return []
    # A shared module is called repeatedly.
    return list({id(call.module): call for call in reversed(found)}.values())


def _kept(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return leaf.detach().clone().requires_grad_(leaf.requires_grad)


def _check(call: _Call, forward: Forward) -> Answer | None:
    module = call.module
    parameters = {n: p for n, p in named_parameters_of(module) if p.requires_grad}
    inputs = [n for n, leaf in enumerate(call.leaves) if _carries(leaf)]
    sizes = [*parameters.values(), *(call.leaves[place] for place in inputs)]
    if not sizes or sum(tensor.numel() for tensor in sizes) > _LARGEST:
        return None
    fixed = {
        name: _double(tensor)
        for name, tensor in (*named_parameters_of(module), *named_buffers_of(module))
    }
    base = [_joined([call.leaves[place] for place in inputs]), _joined(list(parameters.values()))]

    def compute(args: list[torch.Tensor]) -> list[torch.Tensor]:
        torch.default_generator.manual_seed(0)
        leaves = [_double(leaf) for leaf in call.leaves]
        given = _parts(args[_INPUT], [call.leaves[place] for place in inputs])
        for place, tensor in zip(inputs, given, strict=True):
            leaves[place] = tensor
        values = dict(
            zip(parameters, _parts(args[_PARAMETERS], list(parameters.values())), strict=True)
        )
        positional, named = pytree.tree_unflatten(leaves, call.form)
        made = torch.func.functional_call(module, {**fixed, **values}, positional, named)
        return floating(made)

    def compared() -> Comparison[int]:
        for part in module.modules():  # the replay puts the modes back
            part.training = False
        return compare(compute, base, [n for n, part in enumerate(base) if part.numel()])

    found = forward.replayer.run(
        compared, (), {}, WriteGuard(), modules=(forward.module, module), gradients=True
    )
    return _judged(found, call)


def _judged(found: Comparison[int], call: _Call) -> Answer | None:
    if not found.tried or any(out.dtype != torch.float64 for out in found.outputs):
        return None
    if not found.wrong:
        return Answer(CLEAN, "its gradient is the derivative of what it computes")
    if found.is_constant:
        return Answer(NOTED, "what it computes is constant almost everywhere: a surrogate gradient")
    wrong = found.wrong[0]
    what = "input" if wrong.part == _INPUT else "parameters"
    file, line = _place(type(call.module))
    return Answer(
        NOTED,
        f"its gradient with respect to its {what} is {wrong.factor:.4g} times the derivative of "
        "what it computes: a part of it is detached, or a hook changes it",
        {"module": call.path, **wrong.evidence},
        file,
        line,
    )


def _carries(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.requires_grad


def _double(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return value.double() if value.is_floating_point() else value
    return value


def _joined(tensors: list[torch.Tensor]) -> torch.Tensor:
    flat = [tensor.detach().double().flatten() for tensor in tensors]
    return torch.cat(flat) if flat else torch.zeros(0, dtype=torch.float64, device="cpu")


def _parts(whole: torch.Tensor, like: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    pieces = whole.split([tensor.numel() for tensor in like]) if like else ()
    for piece, tensor in zip(pieces, like, strict=True):
        yield piece.view(tensor.shape)


def _is_own(kind: type) -> bool:
    file = _file(kind)
    return file is not None and is_users(file) and "site-packages" not in file


def _file(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None


def _place(kind: type) -> tuple[str | None, int | None]:
    try:
        return _file(kind), inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        return None, None
