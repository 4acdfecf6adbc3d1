"""The experiments of `nntrace check`: how a child changes the program it runs, and when it ends.

An experiment reaches the child through the environment and is written into its run's manifest, so
that every reader knows what a run was. Nothing heavy may be imported here: start-up counts.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self

BASELINE: Final = "baseline"
_FITTED: Final = 0.01  # of the distance from the first loss to the floor may remain
_FITTED_STEPS: Final = 3
STILL_FALLING: Final = 0.03  # of the remaining distance to the floor, per quarter of `steps`
_LONGEST: Final = 4  # times `steps`, while the loss still falls
_LOWEST_RATE: Final = 1e-7  # a sweep begins here or lower
_HIGHEST_RATE: Final = 10.0  # a sweep ends here or higher
_AROUND: Final = 300.0  # a sweep covers this factor on either side of the program's own rate
_DIVERGED: Final = 4.0  # a loss this many times the first loss above the lowest has diverged


@dataclass(frozen=True, slots=True)
class Experiment:
    """One intervention on a program; the defaults change nothing but its length and its seed.

    Attributes:
        name: the name by which rules ask for the run.
        steps: optimizer steps after which the program is ended.
        seconds: training time after which the program is ended.
        seed: the seed of the random generators; a seed that the program sets itself wins.
        pinned: whether every training step sees the batch of the first.
        inputs: what is done to the model's inputs; nothing when empty.
        targets: what is done to the loss function's targets; nothing when empty.
        rate: factor on the learning rate.
        sweep: whether the learning rate grows from step to step over the range of `swept_rates`.
        steady: whether learning-rate schedules are ignored.
        regularised: False turns dropout and weight decay off.
        until: what ends the program early: a loss at its floor (`fitted`), or one that diverges.
        dependencies: whether the last step is replayed to see which outputs depend on which inputs.
        sandbox: the working folder that stands in for `folder`.
        surroundings: the folder above `sandbox` that stands in for one above `folder`; none when
            empty.
        folder: the working folder of `nntrace check`.
    """

    name: str = BASELINE
    steps: int = 200
    seconds: float = 60.0
    seed: int = 0
    pinned: bool = False
    inputs: Literal["", "zero"] = ""
    targets: Literal["", "shuffle"] = ""
    rate: float = 1.0
    sweep: bool = False
    steady: bool = False
    regularised: bool = True
    until: Literal["", "fitted", "diverged"] = ""
    dependencies: bool = False
    sandbox: str = ""
    surroundings: str = ""
    folder: str = ""

    @property
    def interferes(self) -> bool:
        """Whether the program trains differently than it would untouched."""
        return any(getattr(self, name) != getattr(_UNTOUCHED, name) for name in _INTERVENTIONS)

    def encode(self) -> str:
        """Encode the experiment as text for an environment variable."""
        return repr(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """The experiment that `encode` wrote; None for an empty text."""
        from ast import literal_eval  # the launcher itself starts faster without

        return cls(**literal_eval(text)) if text else None

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Self | None:
        """The experiment of a manifest's configuration; None for an ordinary run."""
        content = config.get("experiment")
        if not isinstance(content, Mapping):
            return None
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in known})

    def original(self, file: str | None) -> str | None:
        """The user's file that a file in the sandbox, or in its surroundings, stands in for."""
        if not file or not self.sandbox:
            return file
        if file.startswith(self.sandbox + os.sep):
            return self.folder + file[len(self.sandbox) :]
        if self.surroundings and file.startswith(self.surroundings + os.sep):
            above = self.folder
            for _ in os.path.relpath(self.sandbox, self.surroundings).split(os.sep):
                above = os.path.dirname(above)
            return os.path.join(above, os.path.relpath(file, self.surroundings))
        return file


_UNTOUCHED: Final = Experiment()
_INTERVENTIONS: Final = ("pinned", "inputs", "targets", "rate", "sweep", "steady", "regularised")


def swept_rates(own: float) -> tuple[float, float]:
    """The lowest and the highest learning rate of a sweep around a program's own."""
    return min(_LOWEST_RATE, own / _AROUND), max(_HIGHEST_RATE, own * _AROUND)


class Ending:
    """Decides after each step whether the experiment is over.

    Attributes:
        floor: the lowest value the loss can take, where it is known.
    """

    def __init__(self, experiment: Experiment, clock: Callable[[], float] = time.monotonic) -> None:
        self._experiment = experiment
        self._clock = clock
        self._began: float | None = None
        self._losses: list[float] = []
        self._fitted = 0
        self.floor: float | None = None

    def after_step(self, loss: float | None) -> str | None:
        """The reason to end the program now, or None to go on."""
        experiment = self._experiment
        now = self._clock()
        if self._began is None:
            self._began = now
        self._losses.append(math.nan if loss is None else loss)
        if experiment.until == "fitted" and self._is_fitted():
            return "the loss is at its floor"
        if experiment.until == "diverged" and self._has_diverged():
            return "the loss has run away"
        if len(self._losses) >= experiment.steps and not self._is_on_its_way():
            return f"{len(self._losses)} steps"
        if now - self._began >= experiment.seconds:
            return f"{experiment.seconds:.0f} s of training"
        return None

    @property
    def share(self) -> float:
        """The share of the experiment that is done, from 0 to 1: by steps or time, the larger."""
        began = self._began
        elapsed = 0.0 if began is None else self._clock() - began
        by_steps = len(self._losses) / max(self._experiment.steps - 1, 1)
        return min(max(by_steps, elapsed / self._experiment.seconds), 1.0)

    @property
    def is_near(self) -> bool:
        """Whether one more step may be the last: all steps but one, or half the time, are over."""
        if len(self._losses) >= self._experiment.steps - 1:
            return True
        began = self._began
        return began is not None and self._clock() - began > self._experiment.seconds / 2

    def _is_fitted(self) -> bool:
        floor = self.floor or 0.0
        start, last = self._losses[0], self._losses[-1]
        # A loss far below the floor has a lower, unknown floor.
        near = start > floor and abs(last - floor) <= _FITTED * (start - floor)
        self._fitted = self._fitted + 1 if near else 0
        return self._fitted >= _FITTED_STEPS

    def _has_diverged(self) -> bool:
        last = self._losses[-1]
        if not math.isfinite(last):
            return len(self._losses) > 1
        known = [value for value in self._losses if math.isfinite(value)]
        return last - min(known) > _DIVERGED * max(abs(known[0]), 1e-12)

    def _is_on_its_way(self) -> bool:
        """Whether a loss that should reach its floor is still falling: too early for a verdict."""
        if self._experiment.until != "fitted":
            return False
        done, planned = len(self._losses), self._experiment.steps
        if done >= _LONGEST * planned:
            return False
        window = max(planned // 4, 1)
        before, last = self._losses[-2 * window : -window], self._losses[-window:]
        if not before:
            return True
        now = sum(last) / len(last)
        return sum(before) / len(before) - now > STILL_FALLING * abs(now - (self.floor or 0.0))
