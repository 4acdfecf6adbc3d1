"""A traced step of JAX computed operation by operation: which of them gave something non-finite.

Values are let go after their last use; of operations that gave finite numbers nothing is kept.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from nntrace_keras.nonfinite.facts import Range

MARK = "nntrace:"  # and a number: a name scope of what a traced step calls
MOST_OPERATIONS = 40_000

_MARKED = re.compile(rf"{MARK}(\d+)")
# What only hands its operands to operations of its own, by the parameter that holds them.
_CALLS = {
    **dict.fromkeys(("jit", "pjit", "closed_call", "remat2", "checkpoint"), "jaxpr"),
    **dict.fromkeys(("custom_jvp_call", "custom_vjp_call", "core_call"), "call_jaxpr"),
}
_NAMES = {
    "add_any": "add",
    "conv_general_dilated": "convolution",
    "convert_element_type": "to_copy",
    "dot_general": "matmul",
    "integer_pow": "pow",
    "logistic": "sigmoid",
    "reduce_sum": "sum",
    "select_n": "where",
}


class Frame(NamedTuple):
    """One of the callers of an operation."""

    file: str
    line: int
    function: str


class Call(NamedTuple):
    """One operation of a step, and what calls it.

    Attributes:
        outer: the call that it is inside of, of a function that JAX traced by itself.
        time_step: in a loop over time, from 1.
    """

    equation: Any
    outer: "Call | None" = None
    time_step: int | None = None

    @property
    def name(self) -> str:
        """What the rules call it."""
        name = str(self.equation.primitive.name)
        if name == "integer_pow" and self.equation.params["y"] == -1:
            return "reciprocal"
        return _NAMES.get(name, name)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Its callers, the innermost first."""
        traceback = self.equation.source_info.traceback
        frames = traceback.frames if traceback is not None else ()
        found = tuple(Frame(f.file_name, f.line_num, f.function_name) for f in frames)
        return found if self.outer is None else (*found, *self.outer.frames)

    @property
    def mark(self) -> int | None:
        """The number of the name scope that it is in; None outside of all."""
        marks = _MARKED.findall(str(self.equation.source_info.name_stack))
        if marks:
            return int(marks[-1])
        return self.outer.mark if self.outer is not None else None


class Operand(NamedTuple):
    """What is said of an operand beside its range."""

    number: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One that gave something non-finite; `given` and `operands` as in `facts.Made`.

    Attributes:
        number: of what it gave.
        kind: what that holds, "nan" or "inf".
        limit: the largest number that its result can hold.
    """

    call: Call
    number: int
    kind: str
    dtype: str
    limit: float
    given: Mapping[int, str]
    operands: tuple[tuple[Operand, Range], ...]


class Value(NamedTuple):
    """An array and its number among all values of the step."""

    number: int
    array: Any


@dataclass(slots=True)
class Computation:
    """What is found while a step is computed.

    Attributes:
        wanted: the number of a value whose operation is described though it be finite.
        made: the operations that gave something non-finite, and what is `wanted`, by the numbers
            of what they gave.
        kinds: of all values that are not finite, how.
        calls: of all values that were computed, by what, and from which values.
    """

    wanted: int = 0
    made: dict[int, Operation] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    calls: dict[int, tuple[Call, tuple[int, ...]]] = field(default_factory=dict)
    _count: int = 0

    def value(self, array: Any) -> Value:
        """A value that was there before the step."""
        self._count += 1
        if (kind := kind_of(array)) is not None:
            self.kinds[self._count] = kind
        return Value(self._count, array)

    def run(
        self,
        closed: Any,
        values: Sequence[Value],
        outer: Call | None = None,
        time_step: int | None = None,
        until: Any = None,
    ) -> list[Value]:
        """Compute; the results.

        Args:
            closed: the operations, a `ClosedJaxpr`.
            values: the arguments.
            outer: the call of all of them.
            time_step: in a loop over time.
            until: a variable; where its value is not finite the computation ends with it.
        """
        jaxpr = closed.jaxpr
        known = dict(zip(jaxpr.invars, values, strict=True))
        constants = zip(jaxpr.constvars, closed.consts, strict=True)
        known |= {variable: self.value(constant) for variable, constant in constants}
        for equation, unused in zip(jaxpr.eqns, _last_uses(jaxpr), strict=True):
            given = [self._read(atom, known) for atom in equation.invars]
            results = self._apply(Call(equation, outer, time_step), given)
            known.update(zip(equation.outvars, results, strict=True))
            broke = until in equation.outvars and known[until].number in self.kinds
            if broke:
                return [known[until]]
            for variable in unused:
                known.pop(variable, None)
        return [self._read(atom, known) for atom in jaxpr.outvars]

    def before(self, number: int) -> set[int]:
        """The numbers of a value and of all that it was computed from."""
        found: set[int] = set()
        waiting = [number]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.calls[one][1] if one in self.calls else ()
        return found

    def _read(self, atom: Any, known: Mapping[Any, Value]) -> Value:
        return self.value(atom.val) if isinstance(atom, Literal) else known[atom]

    def _apply(self, call: Call, given: Sequence[Value]) -> list[Value]:
        primitive, params = call.equation.primitive, call.equation.params
        inside = inside_of(call.equation)
        if primitive.name == "cond":
            inside, given = params["branches"][int(given[0].array)], given[1:]
        if inside is not None:
            return self.run(inside, given, call, call.time_step)
        bound = primitive.get_bind_params(params)
        functions, rest = bound if isinstance(bound, tuple) else ((), bound)  # before JAX 0.10
        with call.equation.ctx.manager:
            out = primitive.bind(*functions, *(value.array for value in given), **rest)
        arrays = list(out) if primitive.multiple_results else [out]
        numbers = tuple(value.number for value in given)
        results = [self.value(array) for array in arrays]
        self.calls.update((result.number, (call, numbers)) for result in results)
        bad = [result for result in results if result.number in self.kinds]
        if bad and primitive.name == "scan" and not any(n in self.kinds for n in numbers):
            return self._scan(call, given)
        for result in results:
            if result in bad or result.number == self.wanted:
                self.made[result.number] = self._operation(call, result, given)
        return results

    def _scan(self, call: Call, given: Sequence[Value]) -> list[Value]:
        """A loop that broke, turn by turn."""
        params = call.equation.params
        constants, carried = params["num_consts"], params["num_carry"]
        fixed, carry = list(given[:constants]), list(given[constants : constants + carried])
        over = given[constants + carried :]
        turns = range(params["length"])
        outputs: list[list[Value]] = []
        for count, turn in enumerate(reversed(turns) if params["reverse"] else turns):
            slices = [self._made_of([value], value.array[turn], call) for value in over]
            values = [*fixed, *carry, *slices]
            results = self.run(params["jaxpr"], values, call, count + 1)
            carry = results[:carried]
            outputs.append(results[carried:])
        if params["reverse"]:
            outputs.reverse()
        return [*carry, *(self._stacked(column, call) for column in zip(*outputs, strict=True))]

    def _made_of(self, values: Sequence[Value], array: Any, call: Call) -> Value:
        made = self.value(array)
        self.calls[made.number] = (call, tuple(value.number for value in values))
        return made

    def _stacked(self, column: Sequence[Value], call: Call) -> Value:
        """What the turns of a loop gave, of which the first that broke tells for all."""
        value = self._made_of(column, jnp.stack([one.array for one in column]), call)
        first = next((one.number for one in column if one.number in self.kinds), None)
        if first is not None and first in self.made:
            self.made[value.number] = self.made[first]
        return value

    def _operation(self, call: Call, result: Value, given: Sequence[Value]) -> Operation:
        operands = tuple(
            (Operand(value.number, np.shape(value.array), _dtype(value.array).name), found)
            for value in given
            if (found := range_of(value.array)) is not None
        )
        dtype = _dtype(result.array)
        bad = {v.number: self.kinds[v.number] for v in given if v.number in self.kinds}
        limit = float(jnp.finfo(dtype).max)
        kind = self.kinds.get(result.number, "")
        return Operation(call, result.number, kind, dtype.name, limit, bad, operands)


def kind_of(array: Any) -> str | None:
    """How an array is not finite; None where it is, or is not one of real numbers."""
    if not _is_float(array):
        return None
    if _is_finite(array):
        return None
    values = np.asarray(array)
    return "nan" if np.isnan(values).any() else "inf"


def range_of(array: Any) -> Range | None:
    """The range of an array of real numbers; None of another."""
    if not _is_float(array):
        return None
    values = np.asarray(array, np.float64).ravel()
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    low, high = (finite.min(), finite.max()) if len(finite) else (math.inf, -math.inf)
    has_nan, has_inf = bool(np.isnan(values).any()), bool(np.isinf(values).any())
    first = int(np.argmin(is_finite)) if len(values) else 0
    return Range(float(low), float(high), has_nan, has_inf, first)


def operations_in(closed: Any) -> int:
    """How many there are, those of loops once."""
    total = 0
    for equation in closed.jaxpr.eqns:
        inside = inside_of(equation)
        total += 1 if inside is None else operations_in(inside)
    return total


def inside_of(equation: Any) -> Any:
    """The operations, a `ClosedJaxpr`, to which one hands its operands; None if it has none."""
    jaxpr = equation.params.get(_CALLS.get(equation.primitive.name, ""))
    if jaxpr is None or hasattr(jaxpr, "consts"):
        return jaxpr
    return jax.extend.core.ClosedJaxpr(jaxpr, ())


def _last_uses(jaxpr: Any) -> list[list[Any]]:
    """For each operation, what is not needed after it."""
    needed = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    found: list[list[Any]] = []
    for equation in reversed(jaxpr.eqns):
        atoms = [*equation.invars, *equation.outvars]
        used = {atom for atom in atoms if not isinstance(atom, Literal)}
        found.append([atom for atom in used if atom not in needed])
        needed |= used
    return found[::-1]


def _dtype(array: Any) -> Any:
    return np.dtype(getattr(array, "dtype", None) or np.result_type(array))


def _is_finite(array: Any) -> bool:
    """Asked where the array is: what it holds may be large."""
    devices = getattr(array, "devices", None)
    if devices is None or all(device.platform == "cpu" for device in devices()):
        return bool(np.isfinite(np.asarray(array)).all())
    return bool(jnp.isfinite(array).all())


def _is_float(array: Any) -> bool:
    dtype = getattr(array, "dtype", None) or np.result_type(array)
    return bool(jnp.issubdtype(dtype, jnp.floating))
