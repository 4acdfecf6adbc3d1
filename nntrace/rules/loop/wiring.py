"""Rules on the wiring of loop and model: steps, backward passes, unused layers, shared norms."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.alternatives import chosen_at_times
from nntrace.rules.common.cut_graph import CUT, CUT_IN_KERAS
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import (
    by_design,
    columns,
    is_used_by_its_owner,
    named,
    of_a_library,
    sampled_span,
)
from nntrace.rules.common.payloads import count, place, text
from nntrace.rules.common.signals import finite, lasting, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loop.left_out import left_out_layers, left_out_penalties
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

# By the words in which PyTorch and Keras say so, where to look.
_WITHOUT_GRADIENT = {
    "does not require grad and does not have a grad_fn": CUT,
    "No gradients provided for any variable": CUT_IN_KERAS,
}
_CALLED = "layers with parameters are never called with gradients"
_CHOSEN = "layers of which each step chooses some were chosen in no sampled step"
_BALANCE = (
    "What gets no examples does not learn, and is not chosen for it: a loss that balances the load "
    "of experts, or noise on the router's scores, gives each a chance."
)
_STEP = "Call `optimizer.step()` after `loss.backward()`."


@rule(
    "RUN04",
    "no-optimizer-step",
    Severity.ERROR,
    min_steps=0,
    explains=("GRD03", "GRD04", "LOS07", "LOS11"),
    advice="Each step needs `optimizer.zero_grad()`, `loss.backward()` and `optimizer.step()`, in "
    "this order.",
    in_keras="Each step needs `tape.gradient` and `optimizer.apply_gradients(zip(gradients, "
    "variables))`, both on the variables of the same model.",
)
def no_optimizer_step(
    trace: Trace,
    *,
    backwards: Annotated[int, "backward passes before the first step"] = 50,
    steps: Annotated[int, "optimizer steps in a row without a backward pass"] = 20,
) -> Iterator[Finding | Skipped]:
    """Gradients are computed and no optimizer acts on them, or the optimizer acts without any.

    One of the two calls is missing, and nothing is learned; or the optimizer gathers gradients for
    a step that never comes; or gradients of micro-batches should add up, but are cleared before the
    next one. Parameters that are updated by hand count as stepped. A step after gradients set by
    hand, or that of a second optimizer after one backward pass, is not reported. Reported are
    Keras' `fit` of a model without trainable weights, an optimizer whose parameters are all frozen,
    and a run that the framework ended because the loss depends on no parameter.
    Source: "37 reasons", 17 (test intermediate results).
    """
    stopped = _without_trainable_weights(trace) or _refused(trace)
    if stopped is not None:
        yield stopped
        return
    if not len(trace.steps):
        yield _never_stepped(trace, backwards) or Skipped("no optimizer step was recorded")
        return
    if (cleared := _cleared_within_steps(trace)) is not None:
        yield cleared
    held = trace.sites_of(Role.PARAM)
    if len(trace.steps) >= steps and held and _is_frozen(trace, held):
        yield Finding(
            f"the optimizer made {len(trace.steps)} steps, and nothing changes: all "
            f"{len(held)} parameters are frozen (`requires_grad` is False).",
            site=held[0],
            steps=span(trace.steps.step),
            evidence={"parameters": [site.path for site in held]},
            advice="Set `requires_grad_(True)` again before the training forward: it may have been "
            "switched off for a pass that only needs gradients of its input, as for samples, for "
            "adversarial examples or for the other network of a GAN.",
        )
    elif (without := _without_backward(trace, steps)) is not None:
        yield without


def _never_stepped(trace: Trace, backwards: int) -> Finding | None:
    """The finding on a run without steps that computed gradients; None if these are too few."""
    idle = trace.events_of(EventKind.IDLE)
    if not idle:
        return None
    facts = idle[-1].payload
    passes, needed = count(facts, "backwards"), count(facts, "needed")
    if needed:
        return Finding(
            f"{passes} gradients were accumulated, but the optimizer steps after {needed} of "
            "them: it has made no step.",
            evidence={"backwards": passes, "needed": needed},
            advice="Accumulate fewer (`gradient_accumulation_steps` counts batches, not "
            "examples), or train for longer.",
        )
    if passes < backwards:
        return None
    return Finding(
        f"gradients were computed {passes} times and no optimizer made a step: the "
        "parameters have not changed.",
        evidence={"backwards": passes},
        location=place(facts),
        advice="" if speaks_keras(trace) else _STEP,
    )


def _cleared_within_steps(trace: Trace) -> Finding | None:
    """The finding on micro-batches of which each loses the gradients of the one before."""
    idle = [event.payload for event in trace.events_of(EventKind.IDLE)]
    cleared = [facts for facts in idle if count(facts, "cleared_within")]
    if not cleared:
        return None
    passes = int(np.median(trace.steps.backwards))
    return Finding(
        f"gradients are cleared between the backward passes of a step: of {passes} only the "
        "last counts.",
        severity=Severity.WARNING,
        steps=span(trace.steps.step),
        evidence={"backwards": passes},
        location=place(cleared[0]),
        advice="Call `zero_grad()` once per optimizer step, right after it, not for each "
        "micro-batch.",
    )


def _without_backward(trace: Trace, steps: int) -> Finding | None:
    """The finding on optimizers that go on stepping, and never did so after a backward pass."""
    without = trace.steps.backwards == 0
    since = lasting(without, steps)
    received = trace.series(Role.PARAM_GRAD, "n")
    if since is None or (received > 0).any() or not len(received):
        return None
    names = np.array(trace.steps.optimizer, dtype=object)
    if set(names[without]) & set(names[~without]):
        return None
    return Finding(
        f"the optimizer made {int(without.sum())} steps without a backward pass: there are no "
        "gradients to act on.",
        steps=(int(trace.steps.step[since]), int(trace.steps.step[-1])),
        evidence={"steps": int(without.sum())},
        advice="Call `loss.backward()` before `optimizer.step()`.",
    )


def _is_frozen(trace: Trace, held: Sequence[Site]) -> bool:
    """Whether optimizers, which changed nothing, are given parameters of which none is trained."""
    return (
        all(site.requires_grad is False for site in held)
        and not any(trace.sites_of(role) for role in (Role.PARAM_GRAD, Role.UPDATE))
        and bool((trace.steps.backwards > 0).all())
        and bool(trace.events_of(EventKind.OPTIMIZER))
    )


def _without_trainable_weights(trace: Trace) -> Finding | None:
    """The finding on epochs of Keras' `fit` of a model of which nothing can be trained."""
    epochs = trace.events_of(EventKind.EPOCH)
    still = [event for event in epochs if event.payload.get("trainable") is False]
    still = [event for event in still if not count(event.payload, "steps")]
    if not still:
        return None
    loaders = {e.payload.get("loader"): e.payload for e in trace.events_of(EventKind.LOADER)}
    return Finding(
        f"`fit` ran for {len(still)} epochs on a model without trainable weights: no optimizer "
        "made a step, and the model stays as it is.",
        steps=(still[0].step, still[-1].step),
        explains=("LOS22",),
        evidence={"epochs": len(still)},
        location=place(loaders.get(still[0].payload.get("loader"), {})),
        advice="Freeze the base alone (`base.trainable = False`, not every layer of the model), "
        "leave the new head trainable, and compile again.",
    )


def _refused(trace: Trace) -> Finding | None:
    """The finding on a run without steps that ended because nothing has a gradient."""
    error = trace.manifest.error or ""
    advice = next((advice for said, advice in _WITHOUT_GRADIENT.items() if said in error), None)
    if len(trace.steps) or advice is None:
        return None
    calls = (*trace.events_of(EventKind.LOSS_CALL), *trace.events_of(EventKind.OBJECTIVE))
    return Finding(
        "no optimizer made a step: the run ended because no parameter has a gradient. The loss "
        "does not depend on the model's parameters.",
        location=next((found for call in calls if (found := place(call.payload))), None),
        advice=advice,
    )


@rule(
    "RUN05",
    "unused-layer",
    Severity.WARNING,
    needs=(Role.ACTIVATION, Role.PARAM_GRAD),
    explains=("GRD03",),
    advice="Call the layer in `forward`, or take it out of the model; if it is called, look for a "
    "`torch.no_grad()` around it.",
    in_keras="Call the layer in the model's `call`, or take it out of the model.",
)
def unused_layer(
    trace: Trace,
    *,
    samples: Annotated[int, "sampled steps without a call of the layer that are needed"] = 5,
    choices: Annotated[int, "sampled steps after which most experts should have had a turn"] = 20,
) -> Iterator[Finding | Skipped]:
    """A layer with trainable parameters is part of the model and never called.

    Its parameters never get a gradient: a line of `forward` is missing, or the wrong layer is
    called twice. Only information if an installed library built the layers, or they are a minor
    part of a model of a library that the program built: it may hold some that this use does not
    need. Where each step calls some of several alike layers (the experts of a mixture), those that
    were never chosen are information, a warning if they are most of them.

    Not reported:

    - a layer whose weight is used without calling it: it gets gradients, or the module around it,
      which uses it, gets none either
    - a second model, or a part of the first, that is called by itself without gradients (a target
      network), or that is a copy which no optimizer holds (a former policy, of which only the actor
      acts)

    In Keras on TensorFlow also reported:

    - layers that were applied to what comes from a functional model's inputs, lead to none of its
      outputs and are part of no other model, as where the next layer was given another tensor
    - in a step of the program's own, penalties that its layers declare (`kernel_regularizer`) and
      the loss leaves out

    Source: PyTorch's `find_unused_parameters`; Karpathy's Recipe, step 2 (visualize prior to net);
    Shazeer et al. 2017 (1701.06538), 4 (balancing expert utilization).
    """
    if unpenalised := left_out_penalties(trace):
        yield unpenalised
    if left_out := left_out_layers(trace):
        yield left_out
        return
    if trace.events_of(EventKind.UNSEEN):
        yield Skipped("some layers of this model cannot be seen: its `unseen` events name them")
        return
    called = {site.path for site in trace.sites_of(Role.ACTIVATION)}
    sites = _of_trained_layers(trace)
    looked = columns(trace, Role.PARAM_GRAD, "n", sites)
    if not len(looked) or max((len(finite(column)) for column in looked.T), default=0) < samples:
        yield too_few(f"needs {samples} sampled steps with gradients")
        return
    by_layer: dict[str, list[tuple[Site, bool]]] = defaultdict(list)
    for site, column in zip(sites, looked.T, strict=True):
        seen = finite(column)
        by_layer[site.parent].append((site, len(seen) >= samples and not (seen > 0).any()))
    silent = {layer for layer, members in by_layer.items() if all(never for _, never in members)}
    unused = {
        layer: members[0][0]
        for layer, members in by_layer.items()
        if layer in silent and layer not in called
        if not is_used_by_its_owner(layer, called, silent)
    }
    if len(unused) == len(by_layer):
        return
    is_alternative = chosen_at_times(trace)
    for chosen in (False, True):
        alike = [layer for layer in by_layer if not chosen or is_alternative(layer)]
        kept = {layer: site for layer, site in unused.items() if is_alternative(layer) is chosen}
        if not kept:
            continue
        blamed = [site for layer in kept for site, _ in by_layer[layer]]
        sound = (site for layer in by_layer.keys() - silent for site, _ in by_layer[layer])
        elements = sum(site.numel for site in blamed)
        is_librarys = of_a_library(blamed) or by_design(blamed, sound)
        is_usual = chosen and (2 * len(kept) <= len(alike) or len(looked) < choices)
        yield Finding(
            f"{len(kept)} of {len(alike)} {_CHOSEN if chosen else _CALLED}: "
            f"{named(list(kept))} ({elements} parameters)"
            + (", and an installed library built them." if is_librarys else "."),
            site=next(iter(kept.values())),
            steps=sampled_span(trace),
            severity=Severity.INFO if is_librarys or is_usual else None,
            evidence={"layers": list(kept), "parameters": elements},
            advice=_BALANCE if chosen else "",
        )


def _of_trained_layers(trace: Trace) -> list[Site]:
    """Gradients of layers that should be called: of no target network, and of no former policy."""
    passes = [event.payload for event in trace.events_of(EventKind.EVALUATION)]
    others = {found.get("part") or found.get("model") for found in passes}
    evaluated = tuple(f"{path}." for path in others if isinstance(path, str) and path)
    held = {site.path for site in trace.sites_of(Role.UPDATE)}
    tails = {path.partition(".")[2] for path in held}  # without their model's name
    return [
        site
        for site in trace.sites_of(Role.PARAM_GRAD)
        if site.parent and site.module_type != "Parameter"  # whose module is known
        if not site.path.startswith(evaluated)
        if site.path in held or not (site.path in tails or site.path.partition(".")[2] in held)
    ]


@rule(
    "RUN06",
    "shared-batchnorm",
    Severity.INFO,
    advice="Give each place in the network its own batch norm, or use a norm without running "
    "statistics.",
)
def shared_batchnorm(trace: Trace) -> Iterator[Finding | Skipped]:
    """A batch norm is called several times within one forward pass.

    Its running statistics then mix those of several places, and fit none of them in evaluation
    mode. Information: for two views of the same data it does no harm.
    Source: Wu & Johnson 2021 (2105.07576), 5 (batch norm in weight-shared heads).
    """
    events = trace.events_of(EventKind.REUSED)
    if not events and not trace.events_of(EventKind.DEVICE):
        yield Skipped("how often layers are called is not recorded for this framework")
        return
    paths = list(dict.fromkeys(text(event.payload, "path") for event in events))
    if paths:
        first = trace.site(paths[0], Role.ACTIVATION)
        yield Finding(
            f"{named(paths)} {'is' if len(paths) == 1 else 'are'} called several times in one "
            "forward.",
            site=first,
            steps=(events[0].step, int(np.max(span(trace.steps.step)))),
            evidence={"layers": paths},
        )
