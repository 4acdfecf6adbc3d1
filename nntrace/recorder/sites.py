"""The sites of one rank: their numbers, and which of them the user's patterns and kinds leave.

Patterns that leave no module at all are reported when training begins, not found out when it ends.
"""

import itertools
from typing import Any, Final

from nntrace.experiment import Experiment
from nntrace.notices import say
from nntrace.rows import Site
from nntrace.sampling import Sampling
from nntrace.schema import Role
from nntrace.text import printable

_NAMES_SHOWN: Final = 5


class Sites:
    """Numbers the sites that are recorded.

    Args:
        sampling: what is to be recorded.
        experiment: how the program was changed; None in an ordinary run.
    """

    def __init__(self, sampling: Sampling, experiment: Experiment | None) -> None:
        self._sampling = sampling
        self._experiment = experiment
        self._ids = itertools.count()
        self._is_settled = sampling.is_whole or bool(sampling.kinds)  # nothing is to be said
        self._left_out: dict[str, None] = {}  # in the order of the model; no more than are shown

    def declare(self, path: str, role: Role, fields: dict[str, Any]) -> Site | None:
        """The site with these other columns, and a number; None if it is not to be recorded."""
        if not self._wants(path, role):
            return None
        if self._experiment is not None:
            fields["file"] = self._experiment.original(fields.get("file"))
        return Site(id=next(self._ids), path=path, role=role, **fields)

    def _wants(self, path: str, role: Role) -> bool:
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
