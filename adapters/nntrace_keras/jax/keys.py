"""The sites of variables that train on JAX."""

from collections.abc import Callable, Sequence
from typing import Any

from nntrace.schema import Role
from nntrace_keras.program.names import Names
from nntrace_keras.program.settings import weight_decay
from nntrace_keras.program.sources import UNKNOWN, Sources
from nntrace_keras.samples.sites import SiteKey, parameter_site

KeyOf = Callable[[Role], SiteKey]


class VariableKeys:
    """Makes the keys of a variable's own site, of its gradient's and of its update's."""

    def __init__(self, names: Names, sources: Sources) -> None:
        self._names = names
        self._sources = sources

    def learn(self, model: Any) -> None:
        """Note which layer of a model owns which variable."""
        self._names.learn(model)

    def of(
        self, variables: Sequence[Any], optimizer: Any = None, name: Callable[[], str] | None = None
    ) -> list[KeyOf]:
        """One for each variable.

        Args:
            variables: in the order of the optimizer.
            optimizer: steps them; only updates ask for it, and for
            name: its name.
        """
        return [self._key_of(v, n, optimizer, name) for n, v in enumerate(variables)]

    def _key_of(
        self, variable: Any, number: int, optimizer: Any, name: Callable[[], str] | None
    ) -> KeyOf:
        path, parent, owner = self._names.variable(variable, "variable", number)
        source = self._sources.of(owner) if owner is not None else UNKNOWN

        def key_of(role: Role) -> SiteKey:
            facts: dict[str, Any] = {"requires_grad": True} if role is Role.PARAM else {}
            if role is Role.UPDATE and name is not None:
                decay = weight_decay(optimizer, variable)
                facts = {"optimizer": name(), "weight_decay": decay}
            return parameter_site(path, role, variable, owner, source, parent=parent, facts=facts)

        return key_of
