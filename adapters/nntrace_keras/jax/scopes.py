"""Which variable's value an array is: Keras' functions without state are given both."""

from typing import Any

import keras

from nntrace_keras.patching import Guard, Undo, after


class Scopes:
    """Remembers what stood for which variable in each `StatelessScope`."""

    def __init__(self) -> None:
        # The values are kept, so that no other gets the id of one of them.
        self._known: dict[int, tuple[Any, Any]] = {}

    def install(self, guard: Guard) -> Undo:
        """Watch the scopes that are opened; `guard` keeps errors away from who opens one."""
        return after(keras.StatelessScope, "__init__", guard(self._opened))

    def variable(self, *values: Any) -> Any:
        """The variable that one of these stood for; None for none."""
        found = (self._known.get(id(value)) for value in values)
        return next((known[1] for known in found if known is not None), None)

    def _opened(
        self, _: None, scope: Any, state_mapping: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        for variable, _ in state_mapping or ():
            value = scope.get_current_value(variable)
            self._known.setdefault(id(value), (value, variable))
