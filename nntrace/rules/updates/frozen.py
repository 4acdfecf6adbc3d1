"""UPD05: layers that are frozen with the weights of a fresh initialisation, or in vain."""

from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.flags import flagged_in_vain
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import (
    any_finite,
    columns,
    models,
    named,
    own_name,
    sampled_span,
    weights,
)
from nntrace.rules.common.untrained import has_bias_of_zero, share_as_initialised, untrained_judges
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_STAND_FOR_ALL = 1 / 3  # of the frozen elements: so many fresh ones stand for all

_THAW_THE_JUDGE = (
    "Load trained weights, or let them learn. A new head on a model with adapters: name it in "
    "PEFT's `modules_to_save`. A discriminator: freeze it for the generator's step alone and set "
    "its `requires_grad` back to True before its own."
)
_THAW_THE_JUDGE_IN_KERAS = (
    "A discriminator must learn, too. Keras reads `trainable` when a model makes its first step, "
    "not when it is compiled: set it True before the discriminator's own steps and False before "
    "the generator's, or write a `train_step` that asks a tape for the gradients of each. Or load "
    "trained weights."
)


@rule(
    "UPD05",
    "frozen-layer",
    Severity.WARNING,
    needs=(Role.PARAM,),
    explains=(
        *("ACT01", "ACT02", "ACT04", "ACT07", "ACT13", "GRD04", "LOS07", "LOS11", "LOS12"),
        *("LOS14", "RUN01", "UPD02"),
    ),
    advice="Load the trained weights before you freeze the layers, or train them: "
    "`requires_grad_(True)`, `layer.trainable = True`.",
    in_keras='Load the trained weights before you freeze the layers (`weights="imagenet"`, '
    "`load_weights`), or train them: `layer.trainable = True`, and compile again.",
)
def frozen_layer(
    trace: Trace,
    *,
    share: Annotated[float, "share of the model's weights that are frozen and untrained"] = 0.5,
    tolerance: Annotated[
        float, "relative difference of a standard deviation from the initialiser's"
    ] = 0.025,
) -> Iterator[Finding | Skipped]:
    """Most of the model is frozen, and its weights are those of a fresh initialisation.

    The trained weights were never loaded, or were loaded under other names. A frozen weight counts
    as fresh if spread and shape of its values are exactly those that PyTorch's or Keras'
    initialisers draw, or if the bias beside it is exactly zero: training preserves neither. Of
    weights that stand between everything trained and the loss (a discriminator that was frozen for
    the generator's step and stayed frozen, a new head on a model with adapters) even a small part
    is reported. Not reported: layers that
    are trained later in the run, and a frozen copy of a part that is trained (a target network, a
    teacher).

    Also reported are layers that were frozen in vain: after Keras had built its training step,
    which goes on to train them, or in PyTorch by `module.requires_grad = False` or a misspelled
    `requires_grad`.

    Source: "37 reasons", 19 (frozen layers).
    """
    what = "layers that were frozen are trained all the same"
    if finding := flagged_in_vain(trace, "still_trained", what):
        yield finding
        return
    judges = untrained_judges(trace, tolerance)
    if judges and all(site.requires_grad is False for site in judges):
        yield _frozen_judge(trace, judges)
        return
    own = [site for site in weights(trace) if _is_of_trained_model(trace, site)]
    frozen = [site for site in own if site.requires_grad is False]
    stays = ~any_finite(columns(trace, Role.UPDATE, "rms", frozen), axis=0)
    frozen = list(compress(frozen, stays))
    if not any(site.requires_grad is not None for site in own):
        yield Skipped("whether parameters are trainable was not recorded")
        return
    trained = {(own_name(site), site.shape) for site in own if site.requires_grad}
    alone = [site for site in frozen if (own_name(site), site.shape) not in trained]
    told = [site for site in alone if site.fan_in or has_bias_of_zero(trace, site)]
    if not told:
        return
    fresh, part = share_as_initialised(trace, told, tolerance, by_bias=True)
    if np.isnan(part):
        yield Skipped("the values of frozen weights were not recorded, or are too few")
        return
    elements, kept = (sum(site.numel for site in some) for some in (fresh, alone))
    whole = sum(site.numel for site in own)
    # Library layers of unknown fan are taken to be like those beside them.
    if elements > _STAND_FOR_ALL * kept and part >= 0.9:
        elements, fresh = kept, alone
    if elements <= share * whole or part < 0.9:
        return
    yield Finding(
        f"{elements / whole:.0%} of the weights are frozen as they were initialised: "
        f"{named([site.path for site in fresh])}.",
        site=fresh[0],
        steps=sampled_span(trace),
        evidence={"parameters": [site.path for site in fresh], "share": elements / whole},
    )


def _frozen_judge(trace: Trace, judges: list[Site]) -> Finding:
    """The finding on frozen weights through which all that is trained reaches the loss."""
    paths = [site.path for site in judges]
    return Finding(
        "all that is trained reaches the loss through weights that are frozen as they were "
        f"initialised, so that it measures nothing: {named(paths)}.",
        site=judges[0],
        steps=sampled_span(trace),
        explains=("DAT12", "LOS15", "LOS20"),
        evidence={"parameters": paths},
        advice=_THAW_THE_JUDGE_IN_KERAS if speaks_keras(trace) else _THAW_THE_JUDGE,
    )


def _is_of_trained_model(trace: Trace, site: Site) -> bool:
    """Whether the optimizer updates any parameter of the model to which this one belongs."""
    model = models(trace)
    updated = trace.sites_of(Role.UPDATE)
    return any(model(other.path) == model(site.path) for other in updated)
