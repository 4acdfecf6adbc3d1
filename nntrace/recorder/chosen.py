"""Which sites are recorded: those that the user's patterns and kinds leave.

Patterns that leave no module at all are reported when training begins, not found out when it ends.
"""

from typing import Final

from nntrace.notices import say
from nntrace.sampling import Sampling
from nntrace.schema import Role
from nntrace.text import printable

_NAMES_SHOWN: Final = 5


class ChosenSites:
    """Follows which modules were declared and which of them are recorded."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._is_settled = sampling.is_whole or bool(sampling.kinds)  # nothing is to be said
        self._left_out: dict[str, None] = {}  # in the order of the model; no more than are shown

    def wants(self, path: str, role: Role) -> bool:
        """Whether a site is to be recorded."""
        wanted = self._sampling.wants(path, role)
        if not self._is_settled and role is Role.ACTIVATION:
            if wanted:
                self._is_settled = True
            elif path and len(self._left_out) <= _NAMES_SHOWN:
                self._left_out[path] = None
        return wanted

    def say_if_none(self) -> None:
        """Print once that no module is left, and which there are; called with every sample."""
        if self._is_settled or not self._left_out:
            return
        self._is_settled = True
        options = {"include": self._sampling.include, "exclude": self._sampling.exclude}
        of_modules = [f"{name} {word}" for name, words in options.items() for word in words]
        names = list(self._left_out)
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        say(printable(f"{', '.join(of_modules)}: no module is left to sample. There are: {shown}."))
