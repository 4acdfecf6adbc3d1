"""Replays the statements of the program between a model's output and `backward`.

Of the frame that holds the loss those assignments are executed again, into names of their own,
whose values are not finite, down to finite ones. Statements for their effect are left out.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

import torch

from nntrace_torch.nonfinite.expressions import held_by, is_known, source_tree
from nntrace_torch.program.containers import tensors_held
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.ranks import local_part

_MAX_STATEMENTS = 64
_RESULT = "_nntrace_value"
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_BACKWARD = ("backward", "manual_backward")
_MUTATORS = ("append", "extend", "insert", "add", "update", "setdefault", "appendleft")


def recomputation(
    frame: FrameType,
    expression: ast.expr,
    again: Callable[[Any], bool],
    *,
    nearby: bool = False,
    then: Callable[[Any], Any] = lambda value: value,
) -> Callable[[], Any] | None:
    """A function that computes an expression of a frame again, or None when its code is unknown.

    Args:
        frame: a suspended frame of the program.
        expression: of its code, as `expressions_holding` gives it.
        again: whether a value must be computed again; others are taken from the frame.
        nearby: only by statements of the innermost loop, or of a function without one.
        then: what to compute with in the place of a value of the frame's.
    """
    part = _slice(frame, expression, again, nearby=nearby)
    if part is None:
        return None
    final = ast.Assign([ast.Name(_RESULT, ast.Store())], part.expression, lineno=0)
    last = ast.copy_location(final, _at_line(frame))
    tree = ast.fix_missing_locations(ast.Module([*part.statements, last], []))
    # As the function it is part of, so that whoever looks at the stack finds its name.
    code = compile(tree, frame.f_code.co_filename, "exec").replace(
        co_name=frame.f_code.co_name, co_qualname=frame.f_code.co_qualname
    )

    def compute() -> Any:
        # One mapping for both, so that comprehensions and lambdas find the names.
        names = {**frame.f_globals, **frame.f_locals}
        names = {name: then(value) for name, value in names.items()}
        for name in part.copied:
            names[name] = dict(names[name])
        for stand_in, held in part.stand_ins.items():
            names[stand_in] = held
        exec(code, names)
        return names.get(_RESULT)

    return compute


def differentiated(frame: FrameType | None) -> Iterator[tuple[FrameType, ast.expr]]:
    """What each of the program's innermost frames has called `backward` on, the last such call.

    `loss` in `loss.backward()`, what a trainer was given in `fabric.backward(loss)`.
    """
    for one in users_frames(frame):
        for statement in reversed(_statements_before(one, nearby=False)):
            calls = (node for node in ast.walk(statement) if isinstance(node, ast.Call))
            found = next((e for call in calls if (e := _differentiated(call)) is not None), None)
            if found is not None:
                yield one, found
                break


def _differentiated(call: ast.Call) -> ast.expr | None:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _BACKWARD:
        return None
    return call.args[0] if call.args else call.func.value


class _Part(NamedTuple):
    """A part of a frame's code that can be executed by itself.

    Attributes:
        statements: in order.
        expression: what is asked for, after them.
        copied: names of dictionaries they write to, which are not made by them.
        stand_ins: values of names that stand for attributes they write to.
    """

    statements: list[ast.stmt]
    expression: ast.expr
    copied: list[str]
    stand_ins: dict[str, Any]


def _slice(
    frame: FrameType, expression: ast.expr, again: Callable[[Any], bool], *, nearby: bool
) -> _Part | None:
    """The statements before the frame's current line that give the expression its value."""
    wanted = ast.Expression(expression)
    attributes = _attributes(wanted)
    needed = _used(wanted) if _is_compound(expression) else {*_used(wanted), *attributes}
    if _is_compound(expression):
        needed = {name for name in needed if again(_held(frame, name))}
        needed |= {name for name, held in _attributes_held(frame, wanted) if again(held)}
    chosen: list[ast.stmt] = []
    for statement in reversed(_statements_before(frame, nearby=nearby)):
        mutated = _mutated(statement)
        assigned = _assigned(statement) | mutated
        if not needed & assigned or len(chosen) >= _MAX_STATEMENTS:
            continue
        chosen.append(statement)
        used = _used(statement)
        augmented = (assigned & used) | mutated  # `loss = loss + penalty` needs what came before
        needed -= assigned
        needed |= {name for name in used if name in augmented or again(_held(frame, name))}
        needed |= {name for name, held in _attributes_held(frame, statement) if again(held)}
    if not chosen and not _is_compound(expression):
        return None
    return _apart(frame, chosen[::-1], expression)


def _apart(frame: FrameType, chosen: list[ast.stmt], expression: ast.expr) -> _Part | None:
    """The statements such that they write to nothing of the program's."""
    made = {
        name
        for statement in _unconditional(chosen)
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        for name in _assigned(statement)
    }
    foreign = set().union(*map(_mutated, chosen)) - made
    # What is appended to must be a list of the replay's own, never the program's.
    if any(type(_held(frame, name)) is not dict for name in foreign):
        return None
    stored = {text: f"{_RESULT}{i}" for i, text in enumerate(sorted(_stored_attributes(chosen)))}
    held = {text: value for s in chosen for text, value in _attributes_held(frame, s)}
    rebuilt = {name for statement in chosen for name in _mutated(statement)}
    change = _Apart(rebuilt, stored)
    return _Part(
        [change.visit(statement) for statement in chosen],
        change.visit(expression),
        sorted(foreign),
        {name: held.get(text) for text, name in stored.items()},
    )


def _statements_before(frame: FrameType, *, nearby: bool) -> list[ast.stmt]:
    """The statements that run before the current one, of every block around it, in order.

    Of all blocks, or of those within the innermost loop or function.
    """
    tree = source_tree(frame)
    if tree is None:
        return []
    body: list[ast.stmt] = tree.body
    if frame.f_code.co_name != "<module>" and isinstance(
        body[0], (ast.FunctionDef, ast.AsyncFunctionDef)
    ):
        body = body[0].body
    found: list[ast.stmt] = []
    is_near = not nearby or frame.f_code.co_name != "<module>"
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
        if nearby and body and isinstance(inner, (ast.For, ast.AsyncFor, ast.While)):
            is_near = True
            found.clear()
        if not body:
            return found if is_near else []


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    return [*blocks, *(handler.body for handler in getattr(statement, "handlers", []))]


def _unconditional(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are executed in any case, also those within `with`."""
    for statement in statements:
        yield statement
        if isinstance(statement, (ast.With, ast.AsyncWith)):
            yield from _unconditional(statement.body)


def _assigned(statement: ast.stmt) -> set[str]:
    """The names and attributes a statement gives values to, also inside its blocks."""
    if isinstance(statement, _DEFINITIONS):
        return set()
    names = {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return names | _stored_attributes([statement])


def _used(statement: ast.AST) -> set[str]:
    used = {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(statement):
        if isinstance(node, ast.AugAssign):
            used.add(ast.unparse(node.target))
    return used


def _attributes(tree: ast.AST) -> dict[str, ast.Attribute]:
    """The attributes of names that are read, `self.loss`, by their text."""
    return {
        ast.unparse(node): node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def _stored_attributes(statements: list[ast.stmt]) -> set[str]:
    return {
        text
        for statement in statements
        for text, node in _attributes(statement).items()
        if isinstance(node.ctx, ast.Store)
    }


def _attributes_held(frame: FrameType, tree: ast.AST) -> list[tuple[str, Any]]:
    found = [(text, held_by(frame, node)) for text, node in _attributes(tree).items()]
    return [(text, held) for text, held in found if is_known(held)]


def _held(frame: FrameType, name: str) -> Any:
    return frame.f_locals.get(name, frame.f_globals.get(name))


def _is_compound(expression: ast.expr) -> bool:
    """Whether it is computed, not only read."""
    return not isinstance(expression, (ast.Name, ast.Attribute, ast.Subscript))


def _at_line(frame: FrameType) -> ast.stmt:
    return ast.Pass(lineno=frame.f_lineno, col_offset=0, end_lineno=frame.f_lineno)


def _mutated(statement: ast.stmt) -> set[str]:
    """The names of containers a statement adds to: `losses.append(loss)`, `out["x"] = x`."""
    found: set[str] = set()
    if isinstance(statement, _DEFINITIONS):
        return found
    for node in ast.walk(statement):
        if isinstance(node, ast.Expr) and (name := _added_to(node)) is not None:
            found.add(name)
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
        ):
            found.add(node.value.id)
    return found


def _added_to(node: ast.Expr) -> str | None:
    call = node.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        holder = call.func.value
        if isinstance(holder, ast.Name) and call.func.attr in _MUTATORS:
            return holder.id
    return None


class _Apart(ast.NodeTransformer):
    """Takes out what is done only for its effect: `optimizer.zero_grad()`, `print(…)`.

    Args:
        rebuilt: containers that the replay makes anew and may add to.
        stored: attributes that are assigned to, and the names that stand for them.
    """

    def __init__(self, rebuilt: set[str], stored: Mapping[str, str]) -> None:
        self._rebuilt = rebuilt
        self._stored = stored

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Keep only what adds to a rebuilt container."""
        if _added_to(node) in self._rebuilt:
            return self.generic_visit(node)
        return ast.copy_location(ast.Pass(), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Put a name in the place of an attribute that would be assigned to."""
        name = self._stored.get(ast.unparse(node))
        if name is not None and isinstance(node.value, ast.Name):
            return ast.copy_location(ast.Name(name, node.ctx), node)
        return self.generic_visit(node)


def is_broken(value: Any) -> bool:
    """Whether a value holds a tensor that is not finite."""
    return any(
        t.is_floating_point()
        and t.layout is torch.strided
        and not t.is_meta
        and not bool(torch.isfinite(t).all())
        for t in map(local_part, tensors_held(value))
    )


def has_graph(value: Any) -> bool:
    """Whether a value holds a tensor that was computed with gradients."""
    return any(tensor.grad_fn is not None for tensor in tensors_held(value))
