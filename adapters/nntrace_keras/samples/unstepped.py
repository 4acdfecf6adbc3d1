"""The models' weights that no optimizer is given: frozen ones, and those that were left out.

Each is read once. A trainable one is read a sample later than it was first met: by then another
optimizer may have stepped it, as in a GAN.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nntrace_keras.tape.under_tape import Gradient, key


class Unstepped:
    """Decides which of these weights are to be read."""

    def __init__(self) -> None:
        self._read: set[int] = set()
        self._stepped: set[int] = set()
        self._met: set[int] = set()

    def found(
        self, stepped: Iterable[Any], recorded: Iterable[Any], gradients: Sequence[Gradient]
    ) -> list[Any]:
        """The variables of the models called for a step that are to be read.

        Trainable ones only if they are in layers through which a gradient came.

        Args:
            stepped: the variables given to the step's optimizer.
            recorded: other variables that are recorded with the step anyway.
            gradients: those from which the step was made.
        """
        self._stepped |= {key(variable) for variable in stepped}
        others = {key(variable) for variable in recorded}
        candidates = {key(variable): variable for variable in _weights(gradients)}
        return [
            variable
            for number, variable in candidates.items()
            if number not in others and self.is_unread(variable)
        ]

    def due(self, variables: Sequence[Any]) -> set[int]:
        """The keys of the variables that are to be read now; each is returned once only."""
        unread = [variable for variable in variables if self.is_unread(variable)]
        now = {key(v) for v in unread if not v.trainable or key(v) in self._met}
        self._met |= {key(variable) for variable in unread}
        self._read |= now
        return now

    def is_unread(self, variable: Any) -> bool:
        """Whether a variable has neither been read nor been given to an optimizer."""
        return key(variable) not in self._read and key(variable) not in self._stepped


def _weights(gradients: Sequence[Gradient]) -> Iterator[Any]:
    for gradient in gradients:
        passed = {id(call.layer) for call, value in gradient.activations if value is not None}
        roots = [root.layer for root in gradient.calls.roots]
        parts = [part for root in roots for part in root._flatten_layers()]
        # A model does not know layers that it keeps in an object of the program's own.
        called = [call.layer for call in gradient.calls.layers]
        for layer in {id(layer): layer for layer in (*parts, *called)}.values():
            for variable in layer._trainable_variables:
                if not variable.trainable or id(layer) in passed:
                    yield variable
