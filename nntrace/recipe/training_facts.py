"""The facts that a trace shows about the training: loss, parameters, optimizer, schedule."""

import numpy as np

from nntrace.recipe.step import Fact, State
from nntrace.rules.common.beside_chance import BesideChance, comparable_function
from nntrace.rules.common.chance import Chance, training_batches
from nntrace.rules.common.layers import (
    columns,
    first_finite,
    first_sampled_is_start,
    update_ratios,
    weights,
)
from nntrace.rules.common.loss_course import LossSeries, loss_series
from nntrace.rules.common.passes import reported_metrics
from nntrace.rules.common.signals import finite, median, trend_z
from nntrace.rules.loss.start import first_loss, loss_of_knowing_nothing
from nntrace.rules.probes import fit
from nntrace.schema import EventKind, Role
from nntrace.text import printable
from nntrace.trace import Trace

_LEARNED = 0.8  # of the loss of chance: below it the model uses the inputs
_FITTED = 0.1  # of the loss of chance
_FEW_STEPS = 20
_SAME_BATCH = 20  # so many equal batches mean that the run trains on one batch on purpose
_LATE_FALL = 0.02


def seed(trace: Trace) -> Fact | None:
    """The first seed that was set."""
    event = next(iter(trace.events_of(EventKind.SEED)), None)
    if event is None:
        return None
    function = printable(str(event.payload.get("function", "a seed")), 60)
    value = printable(str(event.payload.get("seed", "")), 40)
    return Fact(f"{function}({value}) at step {event.step}", State.VERIFIED)


def loss_at_start(trace: Trace) -> Fact | None:
    """The first loss, compared with that of a model that knows nothing."""
    batches = training_batches(trace)
    function, reason = comparable_function(trace, batches)
    start = None if reason else loss_of_knowing_nothing(function, batches)
    value = first_loss(batches, float(trace.steps.loss[0])) if len(trace.steps) else None
    if start is None or value is None:
        return None
    return Fact(
        f"the first loss is {value:.3g}; that of a model that knows nothing is {start.value:.3g} "
        f"({start.name})"
    )


def initial_weights(trace: Trace) -> Fact | None:
    """The initial root mean square of the weight matrices, relative to He's initialisation."""
    sites = [site for site in weights(trace) if site.fan_in]
    if not sites or not first_sampled_is_start(trace):
        return None
    size = first_finite(columns(trace, Role.PARAM, "rms", sites))
    ratio = finite(size / np.sqrt([2.0 / (site.fan_in or 1) for site in sites]))
    if not len(ratio):
        return None
    low, high = f"{ratio.min():.2g}", f"{ratio.max():.2g}"
    spread = low if low == high else f"{low} to {high}"
    many = "1 weight matrix starts" if len(ratio) == 1 else f"{len(ratio)} weight matrices start"
    return Fact(f"{many} at {spread} times He's scale, sqrt(2 / fan-in)")


def beats_chance(trace: Trace) -> Fact:
    """Whether the loss fell clearly below the lowest that a constant prediction reaches."""
    words = "the loss ended at {level:.3g}; without the input it cannot go below {chance:.3g}"
    return _ended_below(trace, _LEARNED, words)


def fits_training_data(trace: Trace) -> Fact:
    """Whether the training loss came near zero, relative to a constant prediction."""
    words = "the training loss ended at {level:.3g}, {share:.0%} of chance"
    return _ended_below(trace, _FITTED, words)


def one_batch(trace: Trace) -> Fact | None:
    """The loss that `nntrace check` reached on one batch, if it was run.

    Else, for a run that itself trains on a single batch, whether it fitted that batch.
    """
    run = trace.under("overfit")
    if run is not None and (found := fit(run)) is not None:
        return Fact(f"one batch: loss {found.start:.3g} → {found.last:.2g} in {found.steps} steps")
    batches = training_batches(trace)
    kinds = {(b.fingerprint, b.target_mean, b.label_counts) for b in batches}
    known = _against_chance(trace)
    if len(batches) < _SAME_BATCH or len(kinds) != 1 or known is None:
        return None
    if batches[0].fingerprint is None:
        return None
    level, chance = known
    text = f"this run trains on a single batch; its loss ended at {level:.3g}"
    good = level < 0.1 * _FITTED * chance.value
    return Fact(text, State.VERIFIED if good else State.UNCHECKED)


def loss_course(trace: Trace) -> Fact | None:
    """The loss at the start and at the end."""
    series = loss_series(trace)
    if len(series) < 2:
        return None
    start, end = median(series.value[: _tenth(series)]), median(series.value[-_tenth(series) :])
    return Fact(f"the loss went from {start:.3g} to {end:.3g} in {len(series)} steps")


def loss_inputs(trace: Trace) -> Fact | None:
    """The range of the predictions as the loss functions received them."""
    batches = [b for b in training_batches(trace) if b.output_min is not None and b.loss_function]
    if not batches:
        return None
    names = ", ".join(sorted({printable(str(b.loss_function), 60) for b in batches}))
    low = min(b.output_min for b in batches if b.output_min is not None)
    high = max((b.output_max for b in batches if b.output_max is not None), default=low)
    return Fact(f"{names} received predictions from {low:.3g} to {high:.3g}")


def learning_parameters(trace: Trace) -> Fact | None:
    """How many parameters were changed by the optimizer, and how many are frozen."""
    sites = trace.sites_of(Role.PARAM)
    trainable = [site for site in sites if site.requires_grad is not False]
    if not trainable:
        return None
    change = columns(trace, Role.UPDATE, "rms", trainable)
    moved = int((change > 0.0).any(axis=0).sum())
    frozen = len(sites) - len(trainable)
    text = f"{moved} of {len(trainable)} trainable parameters changed"
    return Fact(f"{text}; {frozen} are frozen" if frozen else text)


def cleared_gradients(trace: Trace) -> Fact | None:
    """The number of steps with cleared gradients, among those where this was observed."""
    seen = finite(trace.steps.gradients_cleared)
    if not len(seen):
        return None
    return Fact(f"cleared before {int(seen.sum())} of {len(seen)} sampled steps")


def modes(trace: Trace) -> Fact | None:
    """The numbers of dropout and batch-norm layers in training mode when training began."""
    event = next(iter(trace.events_of(EventKind.MODE)), None)
    if event is None:
        return None
    dropouts, norms = (event.payload.get(f"{kind}_active") for kind in ("dropout", "norm"))
    return Fact(f"active in training: {dropouts} dropout and {norms} batch-norm layers")


def gradient_norm(trace: Trace) -> Fact | None:
    """The median and the largest total gradient norm."""
    norms = finite(trace.steps.grad_norm)
    if not len(norms):
        return None
    return Fact(f"total gradient norm {median(norms):.3g} usually, {norms.max():.3g} at most")


def finite_losses(trace: Trace) -> Fact | None:
    """The number of steps with a finite loss."""
    count = len(finite(trace.steps.loss))
    return Fact(f"{count} of {len(trace.steps)} steps have a finite loss") if count else None


def other_metrics(trace: Trace) -> Fact | None:
    """The values other than losses that the program logged or Keras' `fit` reported."""
    names = list(trace.scalars)
    for _, metrics in reported_metrics(trace):
        names += metrics
    others = [name for name in dict.fromkeys(names) if "loss" not in name.lower()]
    if not others:
        return None
    return Fact(f"logged: {', '.join(printable(name, 40) for name in others[:5])}", State.VERIFIED)


def signal_scale(trace: Trace) -> Fact | None:
    """The range, over layers, of the last standard deviation of their outputs."""
    last = [
        float(column[-1])
        for column in map(finite, trace.series(Role.ACTIVATION, "std").T)
        if len(column)
    ]
    if not last:
        return None
    return Fact(
        f"the outputs of {len(last)} layers end with standard deviations from {min(last):.2g} to "
        f"{max(last):.2g}"
    )


def adam(trace: Trace) -> Fact | None:
    """Whether all optimizers are of Adam's family with a usual learning rate."""
    events = trace.events_of(EventKind.OPTIMIZER)
    if not events:
        return None
    named = [
        (printable(str(event.payload.get("class") or "an optimizer"), 40), event.payload.get("lr"))
        for event in events
    ]
    text = ", ".join(
        f"{name} with learning rate {rate:.2g}" if isinstance(rate, float) else name
        for name, rate in dict.fromkeys(named[:4])
    )
    good = all(
        "adam" in name.lower() and isinstance(rate, float) and 3e-5 <= rate <= 3e-3
        for name, rate in named
    )
    return Fact(text, State.VERIFIED if good else State.ADVICE)


def update_ratio(trace: Trace) -> Fact | None:
    """The median update ratio of the weights in the second half of the run."""
    ratios = update_ratios(trace, weights(trace))
    late = median(ratios[len(ratios) // 2 :])
    return Fact(f"a step changes weights by {late:.2g} of their size") if late > 0.0 else None


def schedule(trace: Trace) -> Fact | None:
    """Whether the learning rate was constant."""
    rates = finite(trace.steps.lr)
    if len(rates) < _FEW_STEPS:
        return None
    if rates.max() == rates.min():
        return Fact(f"it stayed at {rates[0]:.3g} for {len(rates)} steps", State.VERIFIED)
    return Fact(
        f"it went from {rates[0]:.2g} to {rates[-1]:.2g} in {len(rates)} steps, {rates.max():.2g} "
        "at most",
        State.UNCHECKED,
    )


def decay(trace: Trace) -> Fact | None:
    """The weight decay of the optimizers."""
    values = [e.payload.get("weight_decay") for e in trace.events_of(EventKind.OPTIMIZER)]
    known = sorted({value for value in values if isinstance(value, int | float)})
    shown = ", ".join(f"{value:.2g}" for value in known[:4])
    return Fact(f"weight decay here: {shown}", State.ADVICE) if known else None


def dropout(trace: Trace) -> Fact | None:
    """The number of dropout layers."""
    counts = [
        count
        for event in trace.events_of(EventKind.MODE)
        for key in ("dropout_active", "dropout_inactive")
        if isinstance(count := event.payload.get(key), int)
    ]
    return Fact(f"dropout layers here: {max(counts)}", State.ADVICE) if counts else None


def batch_size(trace: Trace) -> Fact | None:
    """The median batch size."""
    usual = median(trace.steps.batch_size)
    return Fact(f"batch size here: {usual:.0f}", State.ADVICE) if usual > 0 else None


def model_size(trace: Trace) -> Fact | None:
    """The number of trainable parameters."""
    sites = trace.sites_of(Role.PARAM)
    total = sum(site.numel for site in sites if site.requires_grad is not False)
    return Fact(f"trainable parameters here: {total:,}", State.ADVICE) if total else None


def still_falling(trace: Trace) -> Fact | None:
    """Whether the loss was still falling when the training ended."""
    series = loss_series(trace)
    last = series.value[-(len(series) // 4) :] if len(series) >= 4 * _FEW_STEPS else np.array([])
    if not len(last) or series.optimizers > 1:
        return None
    half = len(last) // 2
    fall = 1.0 - float(last[half:].mean()) / float(last[:half].mean() or np.nan)
    if not (fall > _LATE_FALL and trend_z(last) < -3.0):
        return Fact("the loss no longer fell clearly in the last quarter of the run", State.ADVICE)
    return Fact(f"the loss still fell by {fall:.0%} within the last quarter", State.ADVICE)


def _ended_below(trace: Trace, most: float, words: str) -> Fact:
    """Whether the loss ended below that share of chance; `words` name both and their ratio."""
    known = _against_chance(trace)
    if known is None:
        return Fact("what a constant prediction would score is not known", State.UNCHECKED)
    level, chance = known
    text = words.format(level=level, chance=chance.value, share=level / chance.value)
    good = level < most * chance.value
    return Fact(f"{text} ({chance.name})", State.VERIFIED if good else State.UNCHECKED)


def _against_chance(trace: Trace) -> tuple[float, Chance] | None:
    """The loss at the end, and the lowest that a constant prediction reaches; None if unknown."""
    loss = BesideChance(trace, training_batches(trace))
    series = loss.series
    positive = [chance for chance in loss.chances if chance.value > 0.0 and not loss.unknown]
    if not positive or len(series) < _FEW_STEPS or series.nonfinite_from is not None:
        return None
    level = median(series.value[-_tenth(series) :])
    return level, min(positive, key=lambda chance: chance.value)


def _tenth(series: LossSeries) -> int:
    return max(1, len(series) // 10)
