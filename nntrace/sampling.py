"""What is sampled of a run, how densely and of which modules: the options of `nntrace run`.

The options are declared once: the command line, the project's settings, the environment of a traced
process and `nntrace.start` all take these fields. Nothing heavy may be imported here: start-up
counts.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from nntrace.paths import enclosing
from nntrace.schema import Role

DEFAULT_BUDGET: Final = 0.02
SAMPLE_LIMIT: Final = 4096
EVERYTHING: Final = 1 << 62
# Every rank samples the landmarks: 8 steps in each doubling of the step number.
LANDMARK_BITS: Final = 4
# The most elements in all samples of one step: 12 MiB of float32. Several steps may wait for the
# writer.
_STEP_ELEMENTS: Final = 3 << 20
_LEAST_LIMIT: Final = 256
_OF_MODULES: Final = frozenset(
    {
        *(Role.ACTIVATION, Role.ACTIVATION_GRAD, Role.ATTENTION, Role.RUNNING_NORM),
        *(Role.PARAM, Role.PARAM_GRAD, Role.UPDATE),
    }
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a run is sampled.

    Attributes:
        budget: the share of elapsed time that tracing may cost.
        every: sample each n-th step instead of keeping to the budget.
        exact: read every element of a tensor instead of a sample of it.
        include: patterns (`encoder.*`) of the module paths to sample, all when empty. A pattern
            that matches a module holds for everything inside it.
        exclude: patterns of the module paths to leave out.
        kinds: the roles to sample (`activation`, `param_grad`, …), all when empty.
        capsules: keep the step at which a value is not finite, or the loss jumps, for a replay.
    """

    budget: float = DEFAULT_BUDGET
    every: int | None = None
    exact: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    capsules: bool = True

    def wants(self, path: str, role: Role) -> bool:
        """Whether a site is to be recorded."""
        if self.kinds and role.value not in self.kinds:
            return False
        if role not in _OF_MODULES:
            return True
        if self.include and not matches(path, self.include):
            return False
        return not (self.exclude and matches(path, self.exclude))

    @property
    def is_whole(self) -> bool:
        """Whether every module and every kind is sampled."""
        return not (self.include or self.exclude or self.kinds)

    def limit(self, sites: int) -> int:
        """The most elements to sample from one tensor, in a model with this number of sites.

        It is 4096, which gives a standard deviation a relative standard error of about 1 %, and
        less in very large models, so that the memory for samples does not grow with the model.
        """
        if self.exact:
            return EVERYTHING
        limit = SAMPLE_LIMIT
        while limit > _LEAST_LIMIT and limit * sites > _STEP_ELEMENTS:
            limit //= 2
        return limit


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern matches the path, or the path of a module that contains it."""
    while True:
        if any(fnmatchcase(path, pattern) for pattern in patterns):
            return True
        if not path:
            return False
        path = enclosing(path)
