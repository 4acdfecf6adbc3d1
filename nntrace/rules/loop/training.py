"""Rules on the training loop itself: modes, seeds, and waiting for data."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import in_modes
from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loop.evaluation_steps import trains_on_evaluation_data
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace
from nntrace.trace.model import IntArray

_WARM_UP = 5  # steps: the first ones start workers and fill caches


@rule(
    "RUN01",
    "training-in-eval-mode",
    Severity.WARNING,
    explains=(
        *("ACT01", "ACT03", "ACT04", "ACT07", "ACT12", "GRD02", "LOS07", "LOS08", "LOS13"),
        *("PAR02", "RUN13", "UPD01", "UPD07"),
    ),
    advice="Call `model.train()` at the start of each epoch, after every evaluation. To freeze "
    "only the normalisation, put those layers in eval mode and the model in training mode.",
    in_keras="Call the model with `training=True`, also in a `train_step` of your own; `fit` "
    "does so only if the model's `call` takes `training` and hands it on. To freeze only the "
    "normalisation, set `trainable = False` of those layers.",
)
def training_in_eval_mode(
    trace: Trace,
    *,
    steps: Annotated[int, "optimizer steps in evaluation mode"] = 2,
) -> Iterator[Finding | Skipped]:
    """The optimizer steps while the whole model is in evaluation mode.

    Dropout then does nothing, and batch norm uses statistics that no longer follow the data; if it
    kept the scale of the signal, outputs and updates grow and units die. Judged only for models
    that have such layers, and only if the root is in evaluation mode: freezing the norms of a model
    in training mode is deliberate, unless they were never trained and nothing else depends on the
    mode (an untrained base that is called like a trained one).

    With PyTorch any model counts if all steps over one loader are made in evaluation mode and, in
    turn with them, all those over another in training mode: the loop over the evaluation data then
    trains, too.

    Source: "37 reasons", 21 and 26.
    """
    modes = trace.events_of(EventKind.MODE)
    if not modes:
        yield Skipped("the model's training mode was not recorded")
        return
    for model in sorted({model_of(event) for event in modes}):
        own = [event for event in modes if model_of(event) == model]
        if (evaluating := trains_on_evaluation_data(trace, own)) is not None:
            yield evaluating
            continue
        wrong = _steps_in_eval(trace, own, _optimizers(trace, _updated(trace, model, modes)))
        if len(wrong) < steps or not is_trained(trace, model, modes):
            continue
        first, last = span(wrong)
        payload = next(event.payload for event in reversed(own) if event.step <= last)
        dropouts, norms = count(payload, "dropout_inactive"), count(payload, "norm_inactive")
        which = f"`{model}`" if model else "the model"
        which = f"the layers of {which}" if payload.get("training") else which
        yield Finding(
            f"{len(wrong)} of {len(trace.steps)} optimizer steps were taken with {which} in "
            f"evaluation mode, with {in_modes(dropouts, norms)} inactive.",
            steps=(first, last),
            evidence={
                "steps_in_eval_mode": len(wrong),
                "steps": len(trace.steps),
                "dropout_inactive": dropouts,
                "norm_inactive": norms,
            },
            location=place(payload),
        )


@rule(
    "RUN03",
    "no-seed",
    Severity.INFO,
    advice="Set the framework's seed before the model is built, so that a run can be repeated.",
)
def no_seed(trace: Trace) -> Iterator[Finding | Skipped]:
    """No seed of the framework's random generator was set.

    Two runs then differ for no reason, and a change cannot be told from chance.
    Source: Karpathy's Recipe, step 2 (fix random seed).
    """
    first, last = span(trace.steps.step)
    if first > 1:
        yield Skipped("the start of the run, where seeds are set, is not in the trace")
    elif not trace.events_of(EventKind.SEED):
        yield Finding("no random seed was set.", steps=(first, last))


@rule(
    "RUN07",
    "data-bound",
    Severity.WARNING,
    advice="Give the loader workers (`num_workers`, `persistent_workers=True`; `workers` of a "
    "`PyDataset`, `num_parallel_calls` and `prefetch` of a `tf.data.Dataset`), decode and augment "
    "ahead of time, or keep a small data set in memory.",
)
def data_bound(
    trace: Trace,
    *,
    share: Annotated[float, "of the step time that is spent waiting for data"] = 0.5,
    steps: Annotated[int, "steps that are needed after the warm-up"] = 20,
    least_ms: Annotated[float, "waiting time per step that matters, in milliseconds"] = 5.0,
    least_s: Annotated[float, "total waiting time that is worth a warning, in seconds"] = 3.0,
) -> Iterator[Finding | Skipped]:
    """Training waits for its data loader most of the time.

    The device could do more than twice the work. Judged by a typical step (medians), without those
    that tracing itself made longer; a few milliseconds are the loop's own Python. Only information
    if all the waiting adds up to no more than a matter of seconds. Time in which other programs had
    the processor is subtracted from both sides. With Keras on TensorFlow waiting for `tf.data` is
    seen, which `fit` uses for everything but arrays.
    Source: PyTorch Performance Tuning Guide (asynchronous data loading).
    """
    columns = trace.steps
    if not trace.events_of(EventKind.LOADER) and not (columns.data_wait_ns > 0).any():
        yield Skipped("no data loader was seen")
        return
    known = np.isfinite(columns.data_wait_ns[_WARM_UP:])
    if len(known) >= steps and not known.any():
        yield Skipped("the framework waits for data inside its step and does not report how long")
        return
    plain = known & ~columns.sampled[_WARM_UP:]
    chosen = plain if plain.sum() >= steps else known
    wait = columns.data_wait_ns[_WARM_UP:][chosen]
    duration = columns.duration_ns[_WARM_UP:][chosen]
    if len(wait) < steps:
        yield too_few(f"needs {steps} steps after the first {_WARM_UP}, has {len(wait)}")
        return
    own = 1.0 - _starved(trace)
    typical, whole = own * median(wait), own * median(duration)
    if whole > 0 and typical > share * whole and typical > least_ms * 1e6:
        first, last = span(columns.step[_WARM_UP:])
        yield Finding(
            f"a typical step of {whole / 1e6:.3g} ms waits {typical / 1e6:.3g} ms for its data: "
            f"{typical / whole:.0%} of the time.",
            steps=(first, last),
            severity=None
            if own * np.nanmean(columns.data_wait_ns) * len(columns) >= least_s * 1e9
            else Severity.INFO,
            evidence={
                "share": typical / whole,
                "wait_ms": typical / 1e6,
                "step_ms": whole / 1e6,
                "steps": len(wait),
            },
        )


def _starved(trace: Trace) -> float:
    """The share of the run's time in which other work had the processor; 0 if unknown."""
    stops = [event.payload for event in trace.events_of(EventKind.RANK_STOP)]
    shares = [number(payload, "starved") for payload in stops]
    return max((min(max(share, 0.0), 1.0) for share in shares if share is not None), default=0.0)


def model_of(event: Event) -> str:
    """The prefix of the model whose event it is; empty for the first or only one."""
    return str(event.payload.get("model") or "")


def is_trained(trace: Trace, model: str, modes: tuple[Event, ...]) -> bool:
    """Whether the optimizer updates a model: a frozen helper is rightly in evaluation mode."""
    return bool(_updated(trace, model, modes)) or not trace.sites_of(Role.UPDATE)


def _updated(trace: Trace, model: str, modes: tuple[Event, ...]) -> list[Site]:
    """The parameters of a model that optimizers hold."""
    held = trace.sites_of(Role.UPDATE)
    if model:
        return [site for site in held if site.path.startswith((f"{model}.", f"{model}/"))]
    named = [name for event in modes if (name := model_of(event))]
    others = tuple(name + separator for name in named for separator in "./")
    return [site for site in held if not (others and site.path.startswith(others))]


def _optimizers(trace: Trace, sites: list[Site]) -> set[str]:
    """The optimizers that hold these parameters, and those built in their place."""
    names = {site.optimizer for site in sites if site.optimizer}
    built = [event.payload for event in trace.events_of(EventKind.OPTIMIZER)]
    return names | {text(one, "name") for one in built if text(one, "replaces") in names}


def _steps_in_eval(trace: Trace, modes: list[Event], optimizers: set[str]) -> IntArray:
    """The steps taken with the root and some mode-dependent layer in evaluation mode.

    Args:
        optimizers: the model's own, whose steps count; those of all, if it is empty.
    """
    modes = sorted(modes, key=lambda event: event.step)
    changes = np.array([event.step for event in modes], dtype=np.int64)
    is_fresh = modes[0].payload.get("norm_trained") == 0
    is_wrong = np.array([_is_wrong(event.payload, is_fresh=is_fresh) for event in modes])
    numbers = trace.steps.step
    current = np.searchsorted(changes, numbers, side="right") - 1
    taken = (current >= 0) & is_wrong[np.maximum(current, 0)]
    if optimizers:
        taken &= np.isin(trace.steps.optimizer, list(optimizers))
    return np.asarray(numbers[taken], dtype=np.int64)


def _is_wrong(payload: dict[str, object], *, is_fresh: bool) -> bool:
    norms = count(payload, "norm_inactive")
    if payload.get("training") is False:
        return norms + count(payload, "dropout_inactive") > 0
    active = count(payload, "norm_active") + count(payload, "dropout_active")
    return is_fresh and norms > 0 and not active
