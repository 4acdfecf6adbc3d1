"""Rules on the optimizer itself: does it hold all parameters, and is it kept?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import compress, groupby, pairwise
from typing import Annotated

import numpy as np

from nntrace.rules.common.flags import flagged_in_vain
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import columns, named, sampled_span, weights
from nntrace.rules.common.loaders import loader_passes
from nntrace.rules.common.payloads import count, items, number, place, text
from nntrace.rules.common.signals import finite, median
from nntrace.rules.common.untrained import may_be_copies, share_as_initialised, untrained_judges
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.rules.updates.crossed import gradients_of_others
from nntrace.rules.updates.rebuilt import models_rebuilt
from nntrace.rules.updates.replaced import replaced_after_the_optimizer
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace

_FEW = 5  # losses whose median stands for a time
_FALLEN = 0.2  # of the first loss: something was learned
_BACK = 0.3  # of what was learned may be left, as the first losses are noisy
_REFILLED = 50  # steps: five times what Adam's first moment averages over
_TRAIN_THE_JUDGE = (
    "Give them an optimizer of their own and step it in every iteration (`d_loss.backward()`, "
    "`d_optimizer.step()`); if they are to judge as they are, load trained weights and set their "
    "`requires_grad` to False."
)
_TRAIN_THE_JUDGE_IN_KERAS = (
    "Apply their gradients in each step, by an optimizer of their own: `d_optimizer.apply_gradients"
    "(zip(d_gradients, discriminator.trainable_variables))`; if they are to judge as they are, "
    "load trained weights and set their `trainable = False`."
)


@rule(
    "UPD04",
    "parameter-not-in-optimizer",
    Severity.ERROR,
    needs=(Role.PARAM_GRAD,),
    explains=("GRD03", "LOS07", "LOS11", "LOS12", "LOS14", "GRD10"),
    advice="Build the optimizer after the model is complete and give it `model.parameters()`; "
    "keep layers in an `nn.ModuleList`, not in a plain list, whose layers "
    "`parameters()` does not see; freeze what should not learn with `requires_grad_(False)`.",
    in_keras="Give the optimizer all variables that should learn (`model.trainable_variables` of "
    "every model); keep layers as attributes or in lists of the model, so that it knows them; "
    "set `trainable = False` of what should not learn.",
)
def parameter_not_in_optimizer(
    trace: Trace,
    *,
    samples: Annotated[int, "sampled steps with a gradient but no update that are needed"] = 5,
    untrained: Annotated[float, "share of the first layers' weights that are as initialised"] = 0.9,
) -> Iterator[Finding | Skipped]:
    """Trainable parameters get gradients, but no optimizer ever steps them.

    They stay as they are. Parameters that change without an optimizer are left out. Information if
    they are the first layers, as when a head is trained on a backbone.

    A warning if that backbone is freshly initialised, with gradients or without, so that it has
    nothing a head could use; if the parameters lie elsewhere and are most of the model, or are
    those of an optimizer that makes no step while another does; and if no optimizer holds what
    stands, freshly initialised, between everything trained and the loss, as a discriminator does.

    An error if more weights than these were frozen by hand (LoRA), if they were unfrozen after
    Keras had built its training step, if the optimizer holds as many parameters that no model uses
    any more, and if a module of PyTorch has plain tensors that want gradients, which `parameters()`
    leaves out. In Keras on TensorFlow also if a layer has a `tf.Variable` of its own, which the
    model leaves out (seen in graphs), or if an optimizer is given gradients beside other variables
    than their own.

    Source: "37 reasons", 19 (frozen layers); Karpathy's Recipe, step 2.
    """
    if loose := trace.events_of(EventKind.LOOSE):
        yield _no_parameters(loose[0], speaks_keras(trace))
        return
    if crossed := trace.events_of(EventKind.CROSSED):
        yield gradients_of_others(crossed[0])
        return
    sites = trace.sites_of(Role.PARAM_GRAD)
    received = np.nan_to_num(columns(trace, Role.PARAM_GRAD, "n", sites)) > 0
    idle = _never_stepped(trace)
    held = {site.path for site in trace.sites_of(Role.UPDATE) if site.optimizer not in idle}
    stepped = np.array([site.path in held for site in sites], dtype=bool)
    if not len(received) or received.sum(axis=0).max() < samples:
        yield too_few(f"needs {samples} sampled steps with gradients")
        return
    late = "layers that were unfrozen are still not trained"
    finding = flagged_in_vain(trace, "never_trained", late)
    size = columns(trace, Role.PARAM, "rms", sites)
    constant = np.array([len(set(finite(column).tolist())) < 2 for column in size.T])
    missing = (received.sum(axis=0) >= samples) & ~stepped & constant
    blamed = list(compress(sites, missing))
    finding = finding or replaced_after_the_optimizer(trace, blamed)
    finding = finding or _left_out_though_fresh(trace, untrained) or _judge_left_out(trace)
    if finding:
        yield finding
        return
    if not blamed:
        return
    if waiting := {s.path: s for s in trace.sites_of(Role.UPDATE) if s.optimizer in idle}:
        unstepped = [site for site in blamed if site.path in waiting]
        if unstepped:
            yield _of_an_idle_optimizer(trace, unstepped, waiting[unstepped[0].path].optimizer)
            return
    elements = np.array([site.numel for site in sites])
    is_prefix = bool(stepped.any() and np.flatnonzero(missing)[-1] < np.flatnonzero(stepped)[0])
    is_most = 2 * elements[missing].sum() > elements[received.any(axis=0)].sum()
    frozen = sum(s.numel for s in trace.sites_of(Role.PARAM) if s.requires_grad is False)
    severity = Severity.ERROR
    if frozen <= elements[missing].sum() and (is_prefix or is_most):
        matrices = set(weights(trace, Role.PARAM_GRAD))
        _, part = share_as_initialised(trace, [site for site in blamed if site in matrices])
        is_meant = is_prefix and not part >= untrained
        severity = Severity.INFO if is_meant else Severity.WARNING
    paths = [site.path for site in blamed]
    yield Finding(
        f"{len(paths)} of {len(sites)} parameters receive gradients but belong to no optimizer: "
        f"{named(paths)}.",
        site=blamed[0],
        steps=sampled_span(trace),
        severity=severity,
        evidence={"parameters": paths},
    )


def _no_parameters(event: Event, is_keras: bool) -> Finding:
    paths = [path for path in items(event.payload, "tensors") if isinstance(path, str)]
    kind = text(event.payload, "class")
    return Finding(
        f"{kind} has plain {'variables' if is_keras else 'tensors'} that receive gradients but are "
        f"no {'weights' if is_keras else 'parameters'}, so that no optimizer has them and they "
        f"stay as they are: {named(paths)}.",
        steps=(event.step, event.step),
        evidence={"tensors": paths},
        advice="Make each with `self.add_weight(…)` in `build`: Keras 3 tracks no `tf.Variable` of "
        "a layer, neither to train nor to save it."
        if is_keras
        else "Wrap each in `nn.Parameter(…)` in the constructor: `model.parameters()` then has it, "
        "and `state_dict()` and `.to(device)` as well.",
        location=place(event.payload),
    )


def _never_stepped(trace: Trace) -> set[str]:
    """The names of optimizers that hold parameters and made no step, though others did."""
    stepping = {name for name in trace.steps.optimizer if name}
    holding = {site.optimizer for site in trace.sites_of(Role.UPDATE) if site.optimizer}
    return holding - stepping if stepping & holding else set()


def _of_an_idle_optimizer(trace: Trace, sites: list[Site], optimizer: str | None) -> Finding:
    paths = [site.path for site in sites]
    return Finding(
        f"{optimizer} makes no step in {len(trace.steps)} steps of another optimizer: what it was "
        f"given receives gradients and stays as it was ({named(paths)}).",
        site=sites[0],
        steps=sampled_span(trace),
        severity=Severity.WARNING,
        evidence={"parameters": paths, "optimizer": optimizer},
        advice="Call its `step()` in every iteration, too; set `requires_grad` of what should not "
        "learn to False.",
    )


def _left_out_though_fresh(trace: Trace, untrained: float) -> Finding | None:
    """The finding on freshly initialised first layers whose gradients were never computed."""
    left_out = _never_asked_for(trace)
    fresh, part = share_as_initialised(trace, left_out) if left_out else ([], 0.0)
    if not left_out or not part >= untrained:
        return None
    paths = [site.path for site in fresh]
    return Finding(
        f"no optimizer is given {named(paths)}: these trainable parameters come before layers "
        "that are trained, and stay as they were initialised.",
        site=fresh[0],
        steps=sampled_span(trace),
        severity=Severity.WARNING,
        evidence={"parameters": paths},
        advice="Compute the gradients of these as well and give them to the optimizer "
        "(`tape.gradient(loss, encoder.trainable_variables + head.trainable_variables)`), or "
        "set their `trainable = False`. A model knows its layers if they are attributes of it or "
        "of another layer, not of an object of your own.",
    )


def _judge_left_out(trace: Trace) -> Finding | None:
    """The finding on what feeds the loss, as it was initialised, and could be trained."""
    judges = untrained_judges(trace)
    if not judges or any(site.requires_grad is False for site in judges):
        return None
    paths = [site.path for site in judges]
    return Finding(
        "all that is trained reaches the loss through weights that no optimizer is given and that "
        f"stay as they were initialised, so that it measures nothing: {named(paths)}.",
        site=judges[0],
        steps=sampled_span(trace),
        severity=Severity.WARNING,
        explains=("ACT01", "ACT04", "ACT06", "DAT12", "LOS15", "LOS20"),
        evidence={"parameters": paths},
        advice=_TRAIN_THE_JUDGE_IN_KERAS if speaks_keras(trace) else _TRAIN_THE_JUDGE,
    )


def _never_asked_for(trace: Trace) -> list[Site]:
    """Trainable weights whose gradient was never computed, though they feed trained weights.

    Empty if they may be a copy of what is trained, such as a target network.
    """
    stepped = trace.sites_of(Role.UPDATE)
    gradients = trace.sites_of(Role.PARAM_GRAD)
    arrived = np.nan_to_num(columns(trace, Role.PARAM_GRAD, "n", gradients)).sum(axis=0) > 0
    known = {site.path for site in stepped}
    known |= {site.path for site in compress(gradients, arrived)}
    passed = {site.path for site in trace.sites_of(Role.ACTIVATION_GRAD)}
    found = [
        site
        for site in weights(trace, Role.PARAM)
        if site.requires_grad and site.path not in known and site.parent in passed
    ]
    depth = {site.path: site.id for site in trace.sites_of(Role.ACTIVATION)}
    trained = [depth[site.parent] for site in stepped if site.parent in depth]
    feeds = trained and all(depth.get(s.parent, max(trained)) < min(trained) for s in found)
    return found if feeds and not may_be_copies(found, stepped) else []


@rule(
    "UPD11",
    "optimizer-recreated",
    Severity.ERROR,
    explains=("LOS07", "LOS09", "LOS10", "LOS11", "LOS14", "UPD01"),
    advice="Build the optimizer once, before the loop over epochs; to change its rate use a "
    "scheduler or set `group['lr']`.",
    in_keras="Build the optimizer once, before the loop over epochs; to change its rate assign "
    "`optimizer.learning_rate`, or give it a `LearningRateSchedule`.",
)
def optimizer_recreated(
    trace: Trace,
    *,
    rebuilt: Annotated[int, "times it must have been built again for the same parameters"] = 2,
) -> Iterator[Finding | Skipped]:
    """The same line builds a new optimizer for the same parameters again and again.

    Each one starts without momentum and moments: Adam's first steps are of full size in every
    direction, whatever the gradient. Information if batches are made by hand and each optimizer
    makes 50 steps or more, unless each ends with a smaller batch, as a pass over the data does: a
    round may be meant, as of self-training or active learning. A warning if a line builds the
    optimizer of another model of the same kind before each pass over the same data, five times or
    more, with the same settings and no other seed: the model was meant to be built once.

    Not reported: plain SGD, which has no state to lose; training in phases, where an optimizer is
    built again once, each time with at most half the rate, or for several passes over the data each
    (progressive resizing); a notebook cell that is run again; and trainings in a row, each from the
    first weights (the folds of a cross-validation), where the loss is back where it began.

    Source: PyTorch's documentation of `torch.optim` (optimizers hold state).
    """
    if rebuilt_models := models_rebuilt(trace):
        yield rebuilt_models
        return
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in trace.events_of(EventKind.OPTIMIZER):
        payload = event.payload
        by_name[text(payload, "replaces") or text(payload, "name")].append(event)
    if not by_name:
        yield Skipped("no optimizer was recorded")
        return
    parts = (part for of_name in by_name.values() for part in _in_one_cell(of_name))
    for built, events in parts:
        last = events[-1]
        if built - 1 < max(1, rebuilt) or last.payload.get("stateful") is False:
            continue
        if _begins_anew(trace, [event.step for event in events[1:]]) or _in_phases(trace, events):
            continue
        rates = [number(event.payload, "lr") or 0.0 for event in events]
        falls = all(0 < rate <= before / 2 for before, rate in pairwise(rates))
        if falls and len(rates) == built:
            continue
        kind = text(last.payload, "class") or "the optimizer"
        every = (last.step - events[0].step) / (built - 1)
        often = "in every step" if every < 1.5 else f"about every {every:.0f} steps"
        yield Finding(
            f"{kind} is built again for the same parameters {often}, {built} times in "
            f"{len(trace.steps)} steps: each time it forgets its moments.",
            steps=(events[1].step if len(events) > 1 else last.step, last.step),
            severity=_severity(trace, events, rates, every),
            evidence={"built": built, "steps_between": every, "optimizer": kind},
            location=place(last.payload),
        )


def _severity(
    trace: Trace, events: Sequence[Event], rates: Sequence[float], every: float
) -> Severity:
    """Without a loader little tells whether so many steps are an epoch or a round of their own."""
    if every >= _REFILLED and not loader_passes(trace) and not _end_in_rests(trace, events):
        return Severity.INFO
    return Severity.ERROR if len(set(rates)) == 1 else Severity.WARNING


def _end_in_rests(trace: Trace, events: Sequence[Event]) -> bool:
    """Whether each optimizer made one pass: the smaller batch of what was left is its last one."""
    sizes = trace.steps.batch_size
    is_rest = sizes < median(sizes[np.isfinite(sizes)])
    before = np.isin(trace.steps.step, [event.step - 1 for event in events[1:]])
    return bool(before.any() and is_rest[before].all() and is_rest.sum() <= len(events))


def _in_phases(trace: Trace, events: Sequence[Event]) -> bool:
    """Whether each of these optimizers, but for the last, made several passes over the data."""
    ends = [one.step for one in loader_passes(trace) if one.steps]
    begins = [event.step for event in events]
    return len(begins) > 1 and all(
        sum(begin < end <= after for end in ends) > 1 for begin, after in pairwise(begins)
    )


def _begins_anew(trace: Trace, steps: Sequence[int]) -> bool:
    """Whether the loss, which had fallen, is back where it began from each of these steps on."""
    known = np.isfinite(trace.steps.loss)
    losses, numbers = trace.steps.loss[known], trace.steps.step[known]
    start = median(losses[:_FEW])
    for first in np.searchsorted(numbers, steps).tolist():
        before, after = losses[max(0, first - _FEW) : first], losses[first : first + _FEW]
        if not len(before) or not len(after):
            return False
        fallen = start - median(before)
        if fallen < _FALLEN * abs(start) or start - median(after) > _BACK * fallen:
            return False
    return bool(steps)


def _in_one_cell(events: list[Event]) -> Iterator[tuple[int, list[Event]]]:
    """Per run of a notebook cell, how many optimizers it built, with their events; a script is one.

    Not every optimizer has an event if there are many, but each event says how many came before.
    """
    before = 0
    for _, group in groupby(events, key=lambda event: event.payload.get("cell")):
        own = list(group)
        built = count(own[-1].payload, "built")
        yield built - before, own
        before = built
