"""Finds the operation that first made a value non-finite, among all operations of a replay.

A NaN comes from where a result holds one and no operand does; an infinity where all operands are
finite. Infinities are often meant (attention masks): they are followed to what they become, and
blamed only when they reach the result that is asked about.
"""

import math
import re
import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace_torch.nonfinite.explanations import explain
from nntrace_torch.nonfinite.operands import Operand, Operation, describe
from nntrace_torch.nonfinite.recurrent import Moment, moment
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.sources import UNKNOWN, Source, is_users
from nntrace_torch.program.tensors import memory_of
from nntrace_torch.replay import engine
from nntrace_torch.replay.guard import WriteGuard

_UNINITIALISED = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
_FILLS = ("fill", "full", "full_like", "new_full", "masked_fill", "lift_fresh", "scalar_tensor")
_PRODUCTS = ("convolution", "mm", "bmm", "addmm", "baddbmm")
_ADDS_TO_PRODUCT = ("addmm", "baddbmm")  # their first operand, which may be a mask
_DIFFERENTIATES = "_engine_run_backward"  # in which PyTorch walks a graph
_CALLS = 1 << 20  # the most lines whose executions are counted
BUFFER = "buffer "  # prefix of `Origin.given` where that is the path of a buffer


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a non-finite value appeared first.

    Attributes:
        op: the operation's name, as `div`, `log`, `_softmax`; empty for a value that came in.
        kind: `nan` or `inf`.
        what: the fact about the operands that explains the result.
        source: the innermost line of the program's code.
        function: the function that line is in.
        module: the innermost module that was running.
        execution: which execution of the operation on that line, in that module, from 1.
        index: the index of the first non-finite element in the result.
        operands: the operands, described by `operands.describe`.
        node: in a backward pass, the derivative that was computed, as `SqrtBackward0`.
        moment: within a recurrent layer, the time step.
        meant: whether the program wrote the value on purpose, as it does in masks.
        given: the name of the argument, parameter or buffer that the value came in with.
        computed: whether that tensor has a graph: the program computed it outside the replay.
        parents: the origins of the infinities among its operands.
    """

    op: str
    kind: str
    what: str
    source: Source = UNKNOWN
    function: str = ""
    module: nn.Module | None = None
    execution: int = 1
    index: tuple[int, ...] = ()
    operands: tuple[dict[str, Any], ...] = ()
    node: str = ""
    moment: Moment | None = None
    meant: bool = False
    given: str = ""
    computed: bool = False
    parents: tuple["Origin", ...] = field(default=(), repr=False)

    @property
    def cause(self) -> "Origin":
        """The overflow or division that a NaN goes back to, unless that infinity was meant."""
        for parent in self.parents:
            if not parent.meant:
                return parent.cause
        return self


class OriginFinder(WriteGuard):
    """Watches the operations of a replay; `origin_of` then gives the origin of its result.

    Attributes:
        first: the first origin of the replay that was not meant.
    """

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[int, Origin] = {}
        self._given: dict[int, str] = {}
        self._moments: dict[int, Moment | None] = {}
        self._executions: dict[tuple[Any, Source, int], int] = {}
        self.first: Origin | None = None

    def name(self, tensor: torch.Tensor, name: str) -> None:
        """Name a tensor that comes from outside the replay."""
        self._given[_place(tensor)] = name

    def copied(self, original: torch.Tensor, copy: torch.Tensor) -> None:
        """A copy of an argument goes by the argument's name."""
        super().copied(original, copy)
        if (name := self._given.get(_place(original))) is not None:
            self._given[_place(copy)] = name

    def origin_of(self, value: Any) -> Origin | None:
        """The origin of the first non-finite tensor in a result; None if all are finite."""
        for tensor in tensors_in(value):
            if not _finite(tensor):
                origin = self._origins.get(_place(tensor))
                if origin is None:
                    return self._came_in(tensor)
                return origin.cause
        return None

    def execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation and look at its results."""
        name = _operation_name(func)
        written = name.endswith("_") or "out" in kwargs
        operands = _operands(func, args, kwargs)
        places: dict[int, int] = {}
        if written:  # keep the operands as they were before the operation
            operands, places = _copies(operands)
        out = func(*args, **kwargs)
        place = _users_frame()
        key = (func, place[0], id(place[2]))
        if len(self._executions) < _CALLS:
            self._executions[key] = self._executions.get(key, 0) + 1
        for tensor in tensors_in(out):
            if name in _UNINITIALISED or _finite(tensor):
                if _fills_memory(tensor):  # else it may be the finite part of a broken tensor
                    self._origins.pop(_place(tensor), None)
            else:
                self._judge(name, operands, places, tensor, place, self._executions.get(key, 1))
        return out

    def _judge(
        self,
        name: str,
        operands: tuple[Operand, ...],
        places: dict[int, int],
        result: torch.Tensor,
        place: "_Place",
        execution: int,
    ) -> None:
        tensors = [t for operand in operands for t in tensors_in(operand.value)]
        broken = [t for t in tensors if not _finite(t)]
        factors = _factors(name, operands)
        has_nan = bool(result.isnan().any())
        carriers = [t for t in broken if bool(t.isnan().any())] if has_nan else broken
        origins = [
            self._origins.get(at)
            or self._came_in(t, place, self._given.get(at, ""), is_factor=id(t) in factors)
            for t in carriers or broken
            for at in (places.get(id(t), _place(t)),)
        ]
        if carriers:
            self._origins[_place(result)] = origins[0]
            return
        numbers = [o.value for o in operands if isinstance(o.value, float)]
        written = not broken and any(not math.isfinite(number) for number in numbers)
        node = _current_node()
        source, function, module = place
        if node is not None and source is UNKNOWN:
            source, function = _forward_line(node)
        origin = Origin(
            op=name.strip("_"),
            kind="nan" if has_nan else "inf",
            what=explain(Operation(name, operands, result)),
            source=source,
            function=function,
            module=module,
            execution=1 if source is UNKNOWN else execution,
            index=first_bad(result),
            operands=tuple(describe(operand) for operand in operands),
            node=node.name() if node is not None else "",
            moment=self._moment(module),
            meant=written or name.rstrip("_") in _FILLS,
            parents=tuple(origins),
        )
        self._origins[_place(result)] = origin
        if self.first is None and not origin.meant:
            self.first = origin

    def _moment(self, module: nn.Module | None) -> Moment | None:
        """The time step in a recurrent layer: that of the cell which broke first."""
        if id(module) not in self._moments:
            self._moments[id(module)] = moment(module, sys._getframe(1))
        return self._moments[id(module)]

    def _came_in(
        self,
        tensor: torch.Tensor,
        place: "_Place" = (UNKNOWN, "", None),
        name: str = "",
        *,
        is_factor: bool = False,
    ) -> Origin:
        """The origin of a non-finite tensor that the replay did not compute.

        Where it `is_factor` of a product, it cannot be a mask.
        """
        name = name or self._given.get(_place(tensor), "")
        if not name and self.first is not None and self.owns(tensor):
            return self.first  # made in the replay by an operation that was not seen
        kind = "nan" if bool(tensor.isnan().any()) else "inf"
        # Only −inf and no other non-finite value: a mask.
        mask = kind == "inf" and not is_factor and not bool(tensor.isposinf().any())
        facts = describe(Operand(name or "value", tensor))
        what = f"{facts.get('nan', 0)} NaN and {facts.get('inf', 0)} infinite of {tensor.numel()}"
        return Origin(
            "",
            kind,
            what,
            *place,
            given=name or "a tensor of the program",
            computed=tensor.grad_fn is not None,
            meant=mask,
            operands=(facts,),
            index=first_bad(tensor),
        )


_Place = tuple[Source, str, nn.Module | None]


def _users_frame() -> _Place:
    """The innermost line of the program within the replay, its function, the innermost module."""
    source, function = UNKNOWN, ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != engine.__file__:
        code = frame.f_code
        if code.co_name == _DIFFERENTIATES:  # beyond it is the line that asked for the gradient
            break
        if source is UNKNOWN and is_users(code.co_filename):
            source, function = Source(code.co_filename, frame.f_lineno), code.co_qualname
        if code.co_name == "_call_impl":
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module):
                return _outside(frame, source), function, module
        frame = frame.f_back
    return source, function, None


def _outside(frame: FrameType | None, source: Source) -> Source:
    """`source`, or if unknown the program's line that called into PyTorch's own modules."""
    while source is UNKNOWN and frame is not None and frame.f_code.co_filename != engine.__file__:
        if is_users(frame.f_code.co_filename):
            source = Source(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return source


def _current_node() -> Any:
    """The node of the autograd graph whose backward is being computed."""
    current = getattr(torch._C, "_current_autograd_node", None)
    return current() if current is not None else None


def _forward_line(node: Any) -> tuple[Source, str]:
    """The program's line that made a node, from the traceback that anomaly mode stored in it."""
    for entry in reversed(node.metadata.get("traceback_", ())):
        found = re.match(r'\s*File "(.*)", line (\d+), in (.*)', entry)
        if found and is_users(found[1]):
            return Source(found[1], int(found[2])), found[3].strip()
    return UNKNOWN, ""


def first_bad(tensor: torch.Tensor) -> tuple[int, ...]:
    """The index of the first non-finite element; empty if there is none."""
    bad = (~torch.isfinite(tensor)).nonzero()
    return tuple(bad[0].tolist()) if bad.numel() else ()


def _operation_name(func: Any) -> str:
    packet = getattr(func, "overloadpacket", None)
    return str(getattr(packet, "__name__", None) or getattr(func, "__name__", func))


def _factors(name: str, operands: tuple[Operand, ...]) -> set[int]:
    """The ids of the tensors that a matrix product or a convolution multiplies."""
    if name not in _PRODUCTS:
        return set()
    factors = operands[1:] if name in _ADDS_TO_PRODUCT else operands
    return {id(tensor) for operand in factors for tensor in tensors_in(operand.value)}


def _copies(operands: tuple[Operand, ...]) -> tuple[tuple[Operand, ...], dict[int, int]]:
    """The operands with tensors copied, and each original's place in memory, by the copy's id."""
    copied, places = [], {}
    for operand in operands:
        value = operand.value
        if isinstance(value, torch.Tensor):
            value = value.clone()
            places[id(value)] = _place(operand.value)
        copied.append(Operand(operand.name, value))
    return tuple(copied), places


def _operands(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Operand, ...]:
    schema = getattr(func, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema is not None else []
    named = [
        *((names[i] if i < len(names) else str(i), value) for i, value in enumerate(args)),
        *kwargs.items(),
    ]
    return tuple(Operand(name, value) for name, value in named if value is not None)


def _fills_memory(tensor: torch.Tensor) -> bool:
    """Whether the tensor takes all of its storage."""
    if tensor.layout is not torch.strided or memory_of(tensor) is None:
        return True
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()


def _place(tensor: torch.Tensor) -> int:
    return memory_of(tensor) or id(tensor)


def _finite(tensor: torch.Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.layout != torch.strided:
        return True
    return bool(torch.isfinite(tensor).all())
