"""The step of a training loop of a program's own, which can be computed once more."""

from collections.abc import Sequence
from typing import Any

import jax

from nntrace_keras.jax.jitted import UserFunction
from nntrace_keras.jax.keys import KeyOf, VariableKeys
from nntrace_keras.jax.second import is_data
from nntrace_keras.jax.watch import Seen


class UserStep:
    """A jitted function with arguments; those that are arrays are the step's."""

    def __init__(
        self,
        function: UserFunction,
        structure: Any,
        leaves: Sequence[Any],
        static: Sequence[int],
        keys: VariableKeys,
    ) -> None:
        self._function = function
        self._structure = structure
        self._keys = keys
        self._static = {place: leaves[place] for place in static}
        self.arguments = tuple(leaf for n, leaf in enumerate(leaves) if n not in self._static)

    def run(self, *arguments: Any) -> None:
        """Call the function."""
        arrays = iter(arguments)
        count = len(arguments) + len(self._static)
        leaves = [self._static[n] if n in self._static else next(arrays) for n in range(count)]
        args, kwargs = jax.tree_util.tree_unflatten(self._structure, leaves)
        self._function.call(*args, **kwargs)

    def inputs(self, seen: Seen, arguments: Sequence[Any]) -> list[tuple[str, Any]]:
        """What the first model was called with."""
        entered = seen.roots[0].inputs if seen.roots else []
        return [(name, tensor) for name, tensor in entered if is_data(tensor)]

    def keys(self, seen: Seen) -> Sequence[KeyOf | None]:
        """Of the variables whose values the gradients are by."""
        for root in seen.roots:
            self._keys.learn(root.layer)
        known = iter(self._keys.of([v for v in seen.variables if v is not None]))
        return [None if variable is None else next(known) for variable in seen.variables]
