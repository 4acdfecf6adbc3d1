"""Chooses the experiments of a check: those that its probes ask for, and always the baseline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from nntrace.experiment import BASELINE, Experiment
from nntrace.rules import Rule
from nntrace.sampling import Sampling

_LITTLE: Final = Sampling(kinds=("output",), every=50)


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment, how its run is sampled, and its title in the progress bar.

    Attributes:
        steps: the most steps it needs, however many the user allows; None for no such limit.
        also_needs: further experiments for its verdict, which show whether the script can learn at
            all.
    """

    title: str
    experiment: Experiment
    sampling: Sampling
    steps: int | None = None
    also_needs: tuple[str, ...] = ()

    def given(self, steps: int, seconds: float) -> "Planned":
        """The same plan with the user's limits."""
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
    Planned("inputs zeroed", Experiment("blind", inputs="zero"), _LITTLE, also_needs=("overfit",)),
    Planned(
        "targets shuffled",
        Experiment("shuffled", targets="shuffle"),
        _LITTLE,
        also_needs=("overfit",),
    ),
    Planned("the same again", Experiment("repeat", dependencies=True), Sampling(every=2), steps=20),
    Planned("no regularisation", Experiment("unregularised", regularised=False), _LITTLE),
)
EXPERIMENTS: Final[Mapping[str, Planned]] = {planned.experiment.name: planned for planned in _ALL}


def plan(probes: Iterable[Rule], steps: int, seconds: float) -> tuple[Planned, ...]:
    """The experiments that probes need, in the order in which they are made.

    Args:
        probes: rules that name their experiments.
        steps: the number of optimizer steps of each experiment.
        seconds: the training time of each experiment.
    """
    wanted = {BASELINE, *(name for probe in probes for name in probe.experiments)}
    wanted |= {name for one in wanted for name in EXPERIMENTS[one].also_needs}
    return tuple(
        planned.given(steps, seconds) for name, planned in EXPERIMENTS.items() if name in wanted
    )


def at_another_rate(factor: float, steps: int, seconds: float) -> Planned:
    """The experiment on one batch again, at `factor` times the script's own learning rate."""
    overfit = EXPERIMENTS["overfit"]
    experiment = replace(overfit.experiment, name="overfit-other-rate", rate=factor)
    title = f"one batch, learning rate × {factor:.3g}"
    return replace(overfit, title=title, experiment=experiment).given(steps, seconds)
