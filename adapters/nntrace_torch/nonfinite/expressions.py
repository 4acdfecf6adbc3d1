"""What frames of the program are doing: the call each is in, and what it calls a value.

Read from the source of a suspended frame; nothing of the program is executed.
"""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import torch

from nntrace_torch.program.containers import tensors_held
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.sources import is_users

_MAX_FRAMES = 40
_MAX_TARGETS = 64
_UNKNOWN = object()


def expressions_holding(
    value: torch.Tensor, frame: FrameType | None, again: Callable[[Any], bool]
) -> Iterator[tuple[FrameType, ast.expr]]:
    """The program's frames that hold a tensor, innermost first, and the expression that gives it.

    `loss` in `loss.backward()`, `out["loss"]`, `step.loss`; where the innermost frame calls
    something with a value that has no name, `scaler.scale(loss)` in `scaler.scale(loss).backward()`
    or `net(x)` in `cross_entropy(net(x), y)`, that. A frame further out is asked for what was
    handed to the inner one, too.

    Args:
        again: whether a value has to do with the tensor: others are not followed.
    """
    targets = [value]
    is_innermost = True
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return
        if is_users(frame.f_code.co_filename):
            found = list(_expressions(frame, targets, again, is_innermost=is_innermost))
            for expression in found:
                yield frame, expression
            if found or is_innermost:
                handed = frame.f_code.co_varnames[: frame.f_code.co_argcount]
                held = [frame.f_locals.get(name) for name in handed]
                targets += [t for v in held for t in tensors_held(v) if again(t)][:_MAX_TARGETS]
            is_innermost = False
        frame = frame.f_back


def names_holding(
    frame: FrameType | None, again: Callable[[Any], bool], most: int
) -> Iterator[tuple[FrameType, ast.expr]]:
    """Names of the program's innermost frames for such values, first those given a value first."""
    for one in users_frames(frame):
        names = [name for name, held in list(one.f_locals.items()) if again(held)]
        for name in names[:most]:
            yield one, ast.Name(name, ast.Load())


def _expressions(
    frame: FrameType,
    targets: list[torch.Tensor],
    again: Callable[[Any], bool],
    *,
    is_innermost: bool,
) -> Iterator[ast.expr]:
    names = [n for n, held in list(frame.f_locals.items()) if any(held is t for t in targets)]
    if names:
        yield ast.Name(names[0], ast.Load())
        return
    call = current_call(frame)
    parts: list[ast.expr] = []
    if call is not None:
        parts = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            parts.insert(0, call.func.value)
        else:
            parts.append(call.func)  # a loss that keeps the weights of its classes
    held = [(part, held_by(frame, part)) for part in parts]
    known = [(part, tensors_held(value)) for part, value in held if value is not _UNKNOWN]
    for part, tensors in known:
        if any(tensor is target for tensor in tensors for target in targets):
            yield part
            return
    if not is_innermost:  # the callee may have gone on from what it was given
        yield from (part for part, tensors in known if any(map(again, tensors)))
    else:
        yield from (part for part in parts if isinstance(part, (ast.Call, ast.BinOp, ast.UnaryOp)))


def held_by(frame: FrameType, expression: ast.expr) -> Any:
    """The value of a name, or of attributes and items of one; nothing is called to get it."""
    if isinstance(expression, ast.Name):
        scope: Mapping[str, Any] = frame.f_locals
        return scope.get(expression.id, frame.f_globals.get(expression.id, _UNKNOWN))
    if isinstance(expression, ast.Attribute):
        held = held_by(frame, expression.value)
        return getattr(held, "__dict__", {}).get(expression.attr, _UNKNOWN)
    if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
        held, key = held_by(frame, expression.value), expression.slice.value
        if isinstance(held, dict):
            return held.get(key, _UNKNOWN)
        if type(held) in (list, tuple) and isinstance(key, int) and -len(held) <= key < len(held):
            return held[key]
    return _UNKNOWN


def is_known(held: Any) -> bool:
    """Whether `held_by` has found a value."""
    return held is not _UNKNOWN


def current_call(frame: FrameType) -> ast.Call | None:
    """The call that a suspended frame waits for."""
    tree = source_tree(frame)
    place = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if tree is None or place is None:
        return None
    _, line, _, column = place
    for node in ast.walk(tree):  # no two calls end at one place
        if isinstance(node, ast.Call) and (node.end_lineno, node.end_col_offset) == (line, column):
            return node
    return None


def source_tree(frame: FrameType) -> ast.Module | None:
    """The parsed source of what a frame executes, at its own lines and columns."""
    try:
        lines, first = inspect.getsourcelines(frame)
        text = "".join(lines)
        tree = ast.parse(textwrap.dedent(text))
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    ast.increment_lineno(tree, max(first, 1) - 1)
    if indent := len(text) - len(text.lstrip(" \t")) if text[:1] in " \t" else 0:
        for node in ast.walk(tree):
            if isinstance(node, ast.expr):
                node.col_offset += indent
                node.end_col_offset = (node.end_col_offset or 0) + indent
    return tree
