"""The rule on parameters that no optimizer holds."""

from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.flags import flagged_in_vain
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import columns, named, sampled_span, weights
from nntrace.rules.common.payloads import items, place, text
from nntrace.rules.common.signals import finite
from nntrace.rules.common.untrained import may_be_copies, share_as_initialised, untrained_judges
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.rules.updates.crossed import gradients_of_others
from nntrace.rules.updates.replaced import replaced_after_the_optimizer
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace

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
    "`parameters()` does not see; freeze what should not learn with `requires_grad_(False)`, "
    "and add what is unfrozen later by `add_param_group`.",
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
    outputs = trace.sites_of(Role.ACTIVATION_GRAD)
    # A model that is built and called once, and never trained, has sites without a gradient.
    flowed = np.isfinite(columns(trace, Role.ACTIVATION_GRAD, "n", outputs)).sum(axis=0)
    passed = {site.path for site in compress(outputs, flowed)}
    asked = [site for site in weights(trace, Role.PARAM) if site.requires_grad]
    looks = np.isfinite(columns(trace, Role.PARAM, "rms", asked)).sum(axis=0)
    found = [
        site
        for site, times in zip(asked, looks.tolist(), strict=True)
        if site.path not in known
        and site.parent in passed
        # What PyTorch has frozen, here after a first call that was no training, is looked at once.
        and (times > 1 or speaks_keras(trace))
    ]
    depth = {site.path: site.id for site in trace.sites_of(Role.ACTIVATION)}
    trained = [depth[site.parent] for site in stepped if site.parent in depth]
    feeds = trained and all(depth.get(s.parent, max(trained)) < min(trained) for s in found)
    return found if feeds and not may_be_copies(found, stepped) else []
