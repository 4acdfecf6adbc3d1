"""Names layers and variables as Keras shows them, and makes each name unique.

A layer's `path` is known once it is built; layers without weights never are, and are named after
the layer that encloses them.
"""

import weakref
from typing import Any

from keras import layers
from keras.models import Model, Sequential

Owner = tuple[weakref.ref[Any], str]


class Names:
    """The paths of layers and variables; keeps neither alive."""

    def __init__(self) -> None:
        self._layers: dict[int, Owner] = {}
        self._variables: dict[int, tuple[weakref.ref[Any], str, str, weakref.ref[Any] | None]] = {}
        self._taken: dict[str, int] = {}

    def layer(self, layer: Any, enclosing: Any = None) -> str:
        """Return the path of a layer.

        Args:
            layer: any layer.
            enclosing: the layer in whose call it is called, if any.
        """
        known = self._layers.get(id(layer))
        if known is not None and known[0]() is layer:
            return known[1]
        path = str(layer.path or layer.name)
        if not layer.path and enclosing is not None and _prefixes(enclosing):
            path = f"{self.layer(enclosing)}/{path}"
        path = self._unique(path)
        self._layers[id(layer)] = (weakref.ref(layer), path)
        return path

    def learn(self, root: Any) -> None:
        """Note which layer owns each trainable variable of a model."""
        for layer in root._flatten_layers():
            for variable in layer._trainable_variables:
                self._own(variable, layer)

    def variable(self, variable: Any, optimizer: str, number: int) -> tuple[str, str, Any]:
        """Return a trainable variable's path, its layer's path, and the layer if it is known.

        Args:
            variable: a Keras variable or a `tf.Variable`.
            optimizer: name that replaces the layer's if none is known.
            number: the variable's place in the optimizer.
        """
        known = self._variables.get(id(variable))
        if known is None or known[0]() is not variable:
            name = str(getattr(variable, "path", None) or variable.name).removesuffix(":0")
            if name in ("", "Variable", "variable"):
                name = f"{optimizer}/{number}"
            path = self._unique(name)
            parent = path.rpartition("/")[0]
            known = self._variables[id(variable)] = (weakref.ref(variable), path, parent, None)
        owner = known[3]() if known[3] is not None else None
        return known[1], known[2], owner

    def path(self, variable: Any) -> str:
        """Return the path of a trainable variable that an optimizer may not hold."""
        return self.variable(variable, "", 0)[0]

    def _own(self, variable: Any, layer: Any) -> None:
        known = self._variables.get(id(variable))
        if known is not None and known[0]() is variable:
            return
        path = self.layer(layer)
        owner = weakref.ref(layer)
        full = self._unique(f"{path}/{variable.name}")
        # A recurrent layer's cells are called inside its loop, so their outputs cannot be observed.
        parent = path.rpartition("/")[0] if _is_cell(layer) else path
        self._variables[id(variable)] = (weakref.ref(variable), full, parent, owner)

    def _unique(self, path: str) -> str:
        count = self._taken[path] = self._taken.get(path, 0) + 1
        return path if count == 1 else self._unique(f"{path}~{count}")


def _prefixes(layer: Any) -> bool:
    """Whether its parts' paths begin with its own path; a functional model's do not."""
    return not (isinstance(layer, Model) and hasattr(layer, "_operations")) or isinstance(
        layer, Sequential
    )


def _is_cell(layer: Any) -> bool:
    return isinstance(layer, (layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell))
