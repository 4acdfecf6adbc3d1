"""DAT14: inputs of the evaluation that are unlike those of training."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.input_values import first_float_input
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.passes import Evaluation, evaluations
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Batch, Site, Trace

_LEAST_EXAMPLES = 32
_LEARNT = 0.5  # of the first loss: it is the evaluation that is at chance, not the training
_HANDFUL = 16  # examples; smaller passes look at examples or act on them, and do not evaluate


@rule(
    "DAT14",
    "train-eval-input-shift",
    Severity.WARNING,
    needs=(Role.INPUT,),
    explains=("LOS13", "RUN13", "LOS22"),
    advice="Apply the same preprocessing to both: the statistics of the training set, the same "
    "scaling, the same order of channels.",
)
def train_eval_input_shift(
    trace: Trace,
    *,
    shift: Annotated[
        float, "difference of the means, in standard deviations of the training data"
    ] = 0.5,
    scale: Annotated[float, "ratio of the standard deviations"] = 2.0,
    examples: Annotated[int, "examples that are needed on either side"] = _LEAST_EXAMPLES,
) -> Iterator[Finding | Skipped]:
    """Inputs of the evaluation have another mean or scale than those of training.

    The model is judged on data it was not made for: a forgotten normalisation, one fitted on each
    set separately, or images divided by 255 in one place only. The rule compares the first
    floating-point input that the model receives, over the training before the last evaluation. For
    Keras' evaluations of pipelines and generators that input is known on TensorFlow in graphs that
    XLA does not compile.

    Left out are parts of a model that are called by themselves with tensors of another kind, passes
    of a handful of examples, and passes of one example by hand in each call, such as the states in
    which an agent acts.

    Source: "37 reasons", 25 (preprocessing of training and test data).
    """
    site = first_float_input(trace)
    known = [
        one
        for one in evaluations(trace)
        if one.mean is not None and one.std is not None
        if one.examples >= _HANDFUL and not one.is_acting
        if _is_alike(one, site)
    ]
    groups: dict[str, list[Evaluation]] = {}
    for one in known:
        groups.setdefault(one.group, []).append(one)
    enough = [g for g in groups.values() if sum(one.examples for one in g) >= examples]
    batches = _trained_on_before(trace, site, max((g[-1].step for g in enough), default=0))
    seen = sum(b.batch_size or 0 for b in batches)
    if site is None or not site.path.startswith("input.") or not enough or seen < examples:
        yield Skipped(f"needs {examples} floating-point examples of training and of evaluation")
        return
    mean, std = _pooled([(b.input_mean, b.input_std) for b in batches])
    for group in enough:
        found_mean, found_std = _pooled([(one.mean, one.std) for one in group])
        if std <= 0.0 or found_std <= 0.0:
            continue
        moved = abs(found_mean - mean) / std
        ratio = max(std / found_std, found_std / std)
        if moved <= shift and ratio <= scale:
            continue
        is_larger = np.hypot(mean, std) > scale * np.hypot(found_mean, found_std)
        yield Finding(
            f"`{site.path}` has mean {found_mean:.3g} and standard deviation {found_std:.3g} in "
            f"evaluation, {mean:.3g} and {std:.3g} in training.",
            site=site,
            steps=(batches[0].step if is_larger else group[0].step, group[-1].step),
            evidence={
                "training_mean": mean,
                "training_std": std,
                "evaluation_mean": found_mean,
                "evaluation_std": found_std,
                "shift": moved,
                "scale_ratio": ratio,
            },
            location=group[0].location,
            explains=_explained(trace, is_larger=is_larger),
        )
        return


def _explained(trace: Trace, *, is_larger: bool) -> tuple[str, ...]:
    """What else comes of it: a high first loss on larger inputs, evaluations that are at chance."""
    on_unseen = ("LOS11",) if remaining_loss(trace) <= _LEARNT else ()
    return (("LOS01",) if is_larger else ()) + on_unseen


def _trained_on_before(trace: Trace, site: Site | None, step: int) -> Sequence[Batch]:
    """The batches of known moments up to an evaluation; all if it came before any of them.

    What follows the last evaluation may be the training of another model. So is a step that has
    another input and not this one: a head that is trained on what a finished model says.
    """
    given = np.isfinite(trace.series(Role.INPUT, "mean"))
    sites = trace.sites_of(Role.INPUT)
    own = given[:, sites.index(site)] if site in sites else given.any(axis=1)
    others = set(trace.sampled_steps[given.any(axis=1) & ~own].tolist())
    known = [
        b
        for b in training_batches(trace)
        if b.input_mean is not None and b.input_std is not None and b.step not in others
    ]
    return [b for b in known if b.step < step] or known


def _pooled(parts: Sequence[tuple[float | None, float | None]]) -> tuple[float, float]:
    """Mean and standard deviation of all parts together, of which each may be a single example."""
    means, stds = np.array(parts, dtype=np.float64).T
    return float(means.mean()), float(np.sqrt((stds**2).mean() + means.var()))


def _is_alike(passed: Evaluation, site: Site | None) -> bool:
    """Whether tensors may hold the same kind of data: with as many axes, and as many features.

    What a part was given must have the shape of the data: it may come from another part.
    """
    if site is None or not passed.shape or not site.shape:
        return True
    one, other = passed.shape[1:], site.shape[1:]
    if passed.part:
        return one == other
    # Features lie on the first axis after the examples or on the last; images may differ in size.
    return len(one) == len(other) and (one[:1] == other[:1] or one[-1:] == other[-1:])
