"""Replays the statements of the program between a model's output and `backward`.

Of the frame that holds the loss those assignments are executed again, into names of their own,
whose values are not finite, down to finite ones. Statements for their effect are left out.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch

from nntrace_torch.ranks import local_part
from nntrace_torch.replay.guard import tensors_in
from nntrace_torch.sources import is_users

_MAX_FRAMES = 40
_MAX_STATEMENTS = 64
_MUTATORS = ("append", "extend", "insert", "add", "update", "setdefault", "appendleft")


def frames_holding(value: torch.Tensor, frame: FrameType | None) -> Iterator[tuple[FrameType, str]]:
    """The program's frames in which the tensor has a name, innermost first, and that name."""
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return
        if is_users(frame.f_code.co_filename):
            for name, held in list(frame.f_locals.items()):
                if held is value:
                    yield frame, name
                    break
        frame = frame.f_back


def recomputation(
    frame: FrameType, name: str, again: Callable[[Any], bool]
) -> Callable[[], Any] | None:
    """A function that computes the named value of a frame again, or None when its code is unknown.

    Args:
        frame: a suspended frame of the program.
        name: one of its names.
        again: whether a value must be computed again; others are taken from the frame.
    """
    statements = _slice(frame, name, again)
    if not statements:
        return None
    rebuilt = {name for statement in statements for name in _mutated(statement)}
    body = [_WithoutEffects(rebuilt).visit(statement) for statement in statements]
    tree = ast.fix_missing_locations(ast.Module(body, []))
    code = compile(tree, frame.f_code.co_filename, "exec")

    def compute() -> Any:
        # One mapping for both, so that comprehensions and lambdas find the names.
        names = {**frame.f_globals, **frame.f_locals}
        exec(code, names)
        return names.get(name)

    return compute


def _slice(frame: FrameType, name: str, again: Callable[[Any], bool]) -> list[ast.stmt]:
    """The statements before the frame's current line that give the name its value, in order."""
    before = _statements_before(frame)
    needed = {name}
    chosen: list[ast.stmt] = []
    for statement in reversed(before):
        mutated = _mutated(statement)
        assigned = _assigned(statement) | mutated
        if not needed & assigned or len(chosen) >= _MAX_STATEMENTS:
            continue
        chosen.append(statement)
        used = _used(statement)
        augmented = (assigned & used) | mutated  # `loss = loss + penalty` needs what came before
        needed -= assigned
        for other in used:
            held = frame.f_locals.get(other, frame.f_globals.get(other))
            if other in augmented or again(held):
                needed.add(other)
    # What is appended to must be a list of the replay's own, never the program's.
    made = [_assigned(s) for s in chosen if isinstance(s, (ast.Assign, ast.AnnAssign))]
    changed = {name for statement in chosen for name in _mutated(statement)}
    return chosen[::-1] if changed <= set().union(*made) else []


def _statements_before(frame: FrameType) -> list[ast.stmt]:
    """The statements that run before the current one, of every block around it, in order."""
    try:
        lines, first = inspect.getsourcelines(frame)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return []
    offset = max(first, 1) - 1
    ast.increment_lineno(tree, offset)
    body: list[ast.stmt] = tree.body
    if frame.f_code.co_name != "<module>" and isinstance(
        body[0], (ast.FunctionDef, ast.AsyncFunctionDef)
    ):
        body = body[0].body
    found: list[ast.stmt] = []
    while True:
        inner = None
        for statement in body:
            last = statement.end_lineno or statement.lineno
            if statement.lineno > frame.f_lineno:
                break
            if last < frame.f_lineno or statement.lineno == last:
                found.append(statement)  # also those that share the current line
            if statement.lineno <= frame.f_lineno <= last:
                inner = statement
        blocks = [block for block in _blocks(inner) if block] if inner is not None else []
        body = next(
            (b for b in blocks if b[0].lineno <= frame.f_lineno <= (b[-1].end_lineno or 0)), []
        )
        if not body:
            return found


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    return [*blocks, *(handler.body for handler in getattr(statement, "handlers", []))]


def _assigned(statement: ast.stmt) -> set[str]:
    """The plain names a statement gives values to, also inside its blocks."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return set()
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _used(statement: ast.stmt) -> set[str]:
    used = {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(statement):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            used.add(node.target.id)
    return used


def _mutated(statement: ast.stmt) -> set[str]:
    """The plain names whose containers a statement adds to: `losses.append(loss)`."""
    return {
        name
        for node in ast.walk(statement)
        if isinstance(node, ast.Expr) and (name := _added_to(node)) is not None
    }


def _added_to(node: ast.Expr) -> str | None:
    call = node.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        holder = call.func.value
        if isinstance(holder, ast.Name) and call.func.attr in _MUTATORS:
            return holder.id
    return None


class _WithoutEffects(ast.NodeTransformer):
    """Takes out what is done only for its effect: `optimizer.zero_grad()`, `print(…)`.

    Args:
        rebuilt: containers that the replay makes anew and may add to.
    """

    def __init__(self, rebuilt: set[str]) -> None:
        self._rebuilt = rebuilt

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Keep only what adds to a rebuilt container."""
        return node if _added_to(node) in self._rebuilt else ast.copy_location(ast.Pass(), node)


def is_broken(value: Any) -> bool:
    """Whether a value holds a tensor that is not finite."""
    values = value.values() if isinstance(value, dict) else value
    tensors = tensors_in(tuple(values) if isinstance(values, (list, tuple)) else value)
    return any(
        t.is_floating_point() and t.layout is torch.strided and not bool(torch.isfinite(t).all())
        for t in map(local_part, tensors)
    )


def has_graph(value: Any) -> bool:
    """Whether a value holds a tensor that was computed with gradients."""
    values = value.values() if isinstance(value, dict) else value
    tensors = tensors_in(tuple(values) if isinstance(values, (list, tuple)) else value)
    return any(t.grad_fn is not None for t in tensors)
