"""Evaluations in a trace: forwards and losses without gradients, by data set.

`evaluation` events hold those of PyTorch; Keras' `fit` reports its own as metrics of an epoch.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from nntrace.rules.common.calls import REGRESSION, as_shape
from nntrace.rules.common.loaders import trained_loaders
from nntrace.rules.common.payloads import count, number, place, text, whole
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Location
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

_EARLY_PASSES = 20
_STEPS_PER_ACT = 4
_OF_A_LAYER = 2  # parameters: a weight and a bias


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One pass over evaluation data, made after `step` optimizer steps.

    Attributes:
        group: identifies the data: passes over the same data have the same group.
        loader: the number of the loader that delivered them; None for batches made by hand.
        calls: of the model, where they are counted.
        part: the path of the part that was called, where it is not the model itself.
        location: the line that asked for the pass, if known.
    """

    step: int
    group: str
    loader: int | None = None
    examples: int = 0
    calls: int = 0
    training: bool = False
    shape: tuple[int, ...] = ()
    mean: float | None = None
    std: float | None = None
    function: str | None = None
    loss: float | None = None
    location: Location | None = None
    part: str = ""

    @property
    def is_acting(self) -> bool:
        """Whether each call is given one example, made by hand, as the state an agent acts in."""
        return self.loader is None and 0 < self.examples <= self.calls


def evaluations(trace: Trace) -> tuple[Evaluation, ...]:
    """Every recorded evaluation of the first model, in order."""
    found = []
    for event in trace.events_of(EventKind.EVALUATION):
        values = event.payload
        if values.get("model"):
            continue
        found.append(
            Evaluation(
                event.step,
                str(values.get("group", "")),
                whole(values, "loader"),
                count(values, "examples"),
                count(values, "calls"),
                values.get("training") is True,
                as_shape(values.get("input_shape")) or (),
                number(values, "input_mean"),
                number(values, "input_std"),
                text(values, "loss_function") or None,
                number(values, "loss"),
                place(values),
                text(values, "part"),
            )
        )
    for step, metrics in reported_metrics(trace):
        loss = number(metrics, "val_loss")
        if loss is not None:
            found.append(Evaluation(step, "val_loss", loss=loss))
    return tuple(found)


def makes_targets(trace: Trace) -> bool:
    """Whether a network makes the targets of a regression: Q-learning, self-distillation.

    That is so if a pass without gradients precedes every step, or one of a single example many of
    them (an agent acts, at times at random), or if a copy of the model that no optimizer holds is
    called; the distance may then be written by hand.
    """
    functions = {event.payload.get("function") for event in trace.events_of(EventKind.LOSS_CALL)}
    if functions <= REGRESSION and _has_target_network(trace):
        return True
    if functions.isdisjoint(REGRESSION):
        return False
    passes = trace.events_of(EventKind.EVALUATION)
    of_one = {event.step for event in passes if count(event.payload, "examples") == 1}
    return are_close({event.step for event in passes}) or are_close(of_one, _STEPS_PER_ACT)


def are_close(steps: Set[int], apart: int = 1) -> bool:
    """Whether the first passes lie at most so many steps apart on average."""
    at = sorted(steps)[:_EARLY_PASSES]
    return len(at) == _EARLY_PASSES and at[-1] - at[0] <= apart * (_EARLY_PASSES - 1)


def _has_target_network(trace: Trace) -> bool:
    """Whether a part that no optimizer holds is a copy, by its parameters, of a trained part."""
    held = {site.path for site in trace.sites_of(Role.UPDATE)}
    trained: dict[str, dict[str, object]] = {}
    others: dict[str, dict[str, object]] = {}
    for site in trace.sites_of(Role.PARAM):
        separator = "/" if "/" in site.path else "."
        part, _, rest = site.path.partition(separator)
        own = trained if site.path in held else others
        own.setdefault(part, {})[rest] = own.setdefault("", {})[site.path] = site.shape
    return any(
        len(copy) > _OF_A_LAYER
        and (not part or part not in trained)
        and any(_is_copy(copy, model) for model in trained.values())
        for part, copy in others.items()
    )


def _is_copy(copy: dict[str, object], model: dict[str, object]) -> bool:
    """Compare names and shapes; if Keras has numbered the layers, the last names in order."""
    if copy.items() <= model.items():
        return True
    mine, theirs = (
        [(path.rpartition("/")[2], shape) for path, shape in one.items() if "/" in path]
        for one in (copy, model)
    )
    places = range(len(theirs) - len(mine) + 1)
    return len(mine) == len(copy) and any(theirs[n : n + len(mine)] == mine for n in places)


def unseen_data(trace: Trace) -> dict[str, list[Evaluation]]:
    """Evaluations by data set, without those over a loader from which training draws."""
    training = trained_loaders(trace)
    by_group: dict[str, list[Evaluation]] = {}
    for one in evaluations(trace):
        if one.loader is None or one.loader not in training:
            by_group.setdefault(one.group, []).append(one)
    return by_group


def logged(trace: Trace, word: str) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values, by name, of logged numbers and Keras metrics whose name contains `word`."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for name, (at, numbers) in trace.scalars.items():
        if word in name.lower():
            found[name] = (at.tolist(), numbers.tolist())
    for step, metrics in reported_metrics(trace):
        for name in metrics:
            value = number(metrics, name)
            if word in name.lower() and value is not None:
                steps, values = found.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
    return found


def accuracy_of(values: Sequence[float], start: int = 0) -> float:
    """The median of accuracies from a place on, as a share even if they are given in percent."""
    return median(values[start:]) / (100.0 if max(values) > 1.0 else 1.0)


def reported_metrics(trace: Trace) -> list[tuple[int, dict[str, Any]]]:
    """The metrics by name that Keras' `fit` reports at the end of each epoch, with its step."""
    told = [(e.step, e.payload.get("metrics")) for e in trace.events_of(EventKind.EPOCH)]
    return [(step, metrics) for step, metrics in told if isinstance(metrics, dict)]
