"""Which experiments a check makes: those the chosen probes ask for, and the baseline always."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from nntrace.experiment import BASELINE, Experiment
from nntrace.rules import Rule
from nntrace.sampling import Sampling

_LITTLE: Final = Sampling(kinds=("output",), every=50)


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment, how its run is sampled, and what the progress bar calls it.

    Attributes:
        steps: the most it needs, whatever the user gives to all; None for no such limit.
        beside: experiments that its verdict leans on: whether what was not learned can be learned.
    """

    title: str
    experiment: Experiment
    sampling: Sampling
    steps: int | None = None
    beside: tuple[str, ...] = ()

    def given(self, steps: int, seconds: float) -> "Planned":
        """With the user's limits."""
        steps = steps if self.steps is None else min(steps, self.steps)
        return replace(self, experiment=replace(self.experiment, steps=steps, seconds=seconds))


_ALL: Final = (
    Planned("the script as it is", Experiment(BASELINE), Sampling(every=2)),
    Planned(
        "one batch",
        Experiment("overfit", pinned=True, steady=True, regularised=False, until="fitted"),
        Sampling(every=10),
    ),
    Planned("learning rates", Experiment("sweep", sweep=True, until="diverged"), _LITTLE),
    Planned("inputs zeroed", Experiment("blind", inputs="zero"), _LITTLE, beside=("overfit",)),
    Planned(
        "targets shuffled",
        Experiment("shuffled", targets="shuffle"),
        _LITTLE,
        beside=("overfit",),
    ),
    Planned("the same again", Experiment("repeat", dependencies=True), Sampling(every=2), steps=20),
    Planned("no regularisation", Experiment("unregularised", regularised=False), _LITTLE),
)
EXPERIMENTS: Final[Mapping[str, Planned]] = {planned.experiment.name: planned for planned in _ALL}


def plan(probes: Iterable[Rule], steps: int, seconds: float) -> tuple[Planned, ...]:
    """The experiments of these probes, in the order in which they are made.

    Args:
        probes: rules that name their experiments.
        steps: optimizer steps of each.
        seconds: training time of each.
    """
    wanted = {BASELINE, *(name for probe in probes for name in probe.experiments)}
    wanted |= {name for one in wanted for name in EXPERIMENTS[one].beside}
    return tuple(
        planned.given(steps, seconds) for name, planned in EXPERIMENTS.items() if name in wanted
    )


def at_another_rate(factor: float, steps: int, seconds: float) -> Planned:
    """One batch once more: the script's own learning rate was not able to fit it."""
    overfit = EXPERIMENTS["overfit"]
    experiment = replace(overfit.experiment, name="overfit-other-rate", rate=factor)
    title = f"one batch, learning rate × {factor:.3g}"
    return replace(overfit, title=title, experiment=experiment).given(steps, seconds)
