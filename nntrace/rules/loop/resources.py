"""Rules on the costs of training: memory, time per step, an accelerator left idle."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.payloads import count, place, text
from nntrace.rules.common.signals import median, span
from nntrace.rules.common.trials import trial_and_error
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Trace
from nntrace.trace.model import FloatArray

_WINDOWS = 8
_MEGABYTE = 1 << 20
_RISING_PAIRS = 0.88  # which chance gives to one in five hundred orders of eight windows
_OWN_PART = 0.2  # of a step that must be the program's, not tracing
_OWN_PART_OF_A_SAMPLE = 0.7
_LARGEST_RISE = 0.75  # of the growth, from one window to the next
_BEFORE_THE_END = 0.85  # of the growth that counts, one window earlier
_LARGEST_FALL = 0.4  # of the growth, below the highest level so far: what accumulates stays


@rule(
    "RUN08",
    "memory-growth",
    Severity.WARNING,
    advice="Add up numbers, not tensors: `total += loss.item()`; keep outputs as "
    "`output.detach()`, and evaluate within `torch.no_grad()`.",
    in_keras="Add up numbers, not tensors: `total += float(loss)`, or a `keras.metrics.Mean`; do "
    "not create layers, `tf.function`s or datasets inside a loop.",
)
def memory_growth(
    trace: Trace,
    *,
    least_mb: Annotated[float, "growth that matters, in megabytes"] = 100.0,
    share: Annotated[float, "growth relative to the memory in use at first"] = 0.1,
    steadiness: Annotated[
        float, "growth in the slowest eighth of the run relative to the mean of all"
    ] = 0.3,
    samples: Annotated[int, "samples that are needed"] = 24,
) -> Iterator[Finding | Skipped]:
    """Memory grows steadily from step to step, or a variable keeps the graphs of earlier losses.

    Something that a step leaves behind is kept: a loss that is added up with its graph, outputs
    collected in a list. Judged after the first fifth of the run, in which caches fill, and only if
    every eighth of the rest grows. A variable of the program that keeps the graphs of eight earlier
    steps alive is named, however little they hold.
    Source: PyTorch FAQ, "My model reports 'cuda runtime error(2): out of memory'" (don't accumulate
    history across your training loop).
    """
    if kept := trace.events_of(EventKind.KEPT_GRAPHS):
        yield _kept_graphs(kept[0])
        return
    steps = trace.steps
    known = np.flatnonzero(np.isfinite(steps.memory_bytes))
    known = known[len(known) // 5 :]
    if len(known) < samples:
        yield too_few(f"needs {samples} samples of the memory in use, has {len(known)}")
        return
    first, last = int(steps.step[known[0]]), int(steps.step[known[-1]])
    # Eighths of the steps, not of the samples, which become rarer as a run goes on.
    ends = np.searchsorted(steps.step[known], np.linspace(first, last + 1, _WINDOWS + 1)[1:-1])
    parts = [part for part in np.split(known, ends) if len(part)]
    level = np.array([median(steps.memory_bytes[part]) for part in parts])
    grown = float(level[-1] - level[0])
    rates = np.diff(level) / np.diff([median(steps.step[part]) for part in parts])
    steady = rates.min(initial=np.inf) >= steadiness * rates.mean() > 0
    if not steady or grown < least_mb * _MEGABYTE or grown < share * level[0]:
        return
    per_step = grown / max(1, last - first)
    yield Finding(
        f"memory grows by {per_step / 1024:.3g} KB a step: from {level[0] / _MEGABYTE:.0f} MB to "
        f"{level[-1] / _MEGABYTE:.0f} MB between steps {first} and {last}.",
        steps=(first, last),
        evidence={
            "from_mb": float(level[0]) / _MEGABYTE,
            "to_mb": float(level[-1]) / _MEGABYTE,
            "kb_per_step": per_step / 1024,
        },
    )


def _kept_graphs(event: Event) -> Finding:
    """The finding on a variable that keeps the graphs of earlier losses alive."""
    name, steps = text(event.payload, "name"), count(event.payload, "steps")
    return Finding(
        f"`{name}` keeps losses together with their graphs: those of {steps} earlier steps are "
        "still alive, and memory grows with every step.",
        steps=(max(0, event.step - steps), event.step),
        evidence={"name": name, "graphs": steps},
        location=place(event.payload),
        advice=f"Add a number to `{name}`, not the tensor: `loss.item()`, or `loss.detach()`.",
    )


@rule(
    "RUN09",
    "step-time-drift",
    Severity.WARNING,
    advice="Look for what grows with the steps: a list that is searched, a graph that is kept, "
    "hooks or metrics that are registered again, an ever longer history.",
)
def step_time_drift(
    trace: Trace,
    *,
    factor: Annotated[float, "time of a step at the end relative to the beginning"] = 2.0,
    work: Annotated[float, "share of the growth that is the program's processor time"] = 0.5,
    least_ms: Annotated[float, "growth that matters, in milliseconds"] = 2.0,
    steps: Annotated[int, "optimizer steps that are needed"] = 100,
    seconds: Annotated[float, "time that these steps must take together"] = 2.0,
) -> Iterator[Finding | Skipped]:
    """A step takes twice as long at the end as at the beginning, and grew all the time.

    Something accumulates. Judged by medians over eighths of the run, which must rise, and not all
    at once; without the first steps and without the time that tracing took; among unsampled steps,
    unless most were sampled. A warning if the program's own processor time doubles or accounts for
    the growth; otherwise information, because then the machine or the data may have slowed down.
    Larger batches, longer sequences and longer episodes may rightly take longer; and within a
    second or two a busy machine may look the same, as work beside it fills the processor's caches.
    Source: PyTorch Performance Tuning Guide.
    """
    if trial_and_error(trace):
        yield Skipped("the episodes that are played between the steps become longer")
        return
    columns = trace.steps
    duration = np.maximum(columns.duration_ns, 1)
    own_part = 1.0 - np.clip(columns.overhead_ns, 0, duration) / duration
    late = np.arange(len(columns)) >= len(columns) // 20
    # A sample also slows down parts of a step that do not count as tracing: like is compared with
    # like, and only steps that are not mostly tracing.
    known = own_part > np.where(columns.sampled, _OWN_PART_OF_A_SAMPLE, _OWN_PART)
    judged = late & ~columns.skipped & known
    kinds = [np.flatnonzero(judged & kind) for kind in (~columns.sampled, columns.sampled)]
    kept = max(kinds, key=len)  # those of the other kind lie in one part of the run
    if len(kept) < steps:
        yield too_few(f"needs {steps} steps of which tracing took little, has {len(kept)}")
        return
    taken = float((own_part * duration)[kept].sum()) / 1e9
    if taken < seconds:
        yield too_few(f"needs steps of {seconds:g} s together, has {taken:.1f} s")
        return
    parts = np.array_split(kept, _WINDOWS)
    wall = np.array([median((own_part * duration)[part]) for part in parts]) / 1e6
    cpu = np.array([median((own_part * columns.cpu_ns)[part]) for part in parts]) / 1e6
    sizes = [median(columns.batch_size[part]) for part in parts]
    if _outgrown(sizes) or _outgrown(_input_sizes(trace)):
        return
    # A busy machine makes the time of single steps jump; the processor time hardly does.
    own = _drifts(cpu, factor, least_ms)
    if not own and not _drifts(wall, factor, least_ms):
        return
    shown = cpu if own else wall
    own = own or bool(cpu[-1] - cpu[0] > work * (wall[-1] - wall[0]))
    clock = " of processor time" if shown is cpu else ""
    yield Finding(
        f"a step takes {shown[-1]:.3g} ms{clock} at the end and took {shown[0]:.3g} ms at the "
        f"beginning, a factor of {shown[-1] / shown[0]:.1f}"
        + ("." if own else "; the program's own processor time did not grow with it."),
        steps=span(columns.step[kept]),
        severity=None if own else Severity.INFO,
        evidence={
            "first_ms": float(shown[0]),
            "last_ms": float(shown[-1]),
            "factor": float(shown[-1] / shown[0]),
            "cpu_growth_ms": float(cpu[-1] - cpu[0]) if np.isfinite(cpu).all() else None,
        },
    )


def _drifts(level: FloatArray, factor: float, least_ms: float) -> bool:
    """Whether the times [windows] grow steadily, to `factor` times the first or more.

    A load of the machine that comes and goes may set back single windows, so all pairs of windows
    count, not only neighbours; a single jump is another phase of the program.
    """
    first, second = np.triu_indices(_WINDOWS, 1)
    grown = level[-1] - level[0]
    return bool(
        np.mean(level[second] > level[first]) >= _RISING_PAIRS
        and np.diff(level).max() <= _LARGEST_RISE * grown
        and (np.maximum.accumulate(level) - level).max() <= _LARGEST_FALL * grown
        and level[0] > 0
        and level[-1] >= factor * level[0]
        and level[-2] >= _BEFORE_THE_END * factor * level[0]
        and grown >= least_ms
    )


def _outgrown(sizes: Sequence[float] | FloatArray) -> bool:
    """Whether the sizes of what a step works on became clearly larger."""
    return len(sizes) > 1 and bool(np.isfinite(sizes).all() and sizes[-1] > 1.25 * sizes[0])


def _input_sizes(trace: Trace) -> FloatArray:
    """The number of sampled input elements, in the first and in the last eighth; [] if unknown."""
    counts = trace.series(Role.INPUT, "n")
    total = np.nansum(counts, axis=1)[np.isfinite(counts).any(axis=1)] if counts.size else counts
    parts = np.array_split(total, _WINDOWS) if len(total) >= _WINDOWS else []
    return np.array([median(part) for part in (parts[0], parts[-1])]) if parts else np.array([])


@rule(
    "RUN10",
    "accelerator-idle",
    Severity.WARNING,
    advice='Move the model and each batch to it: `device = "cuda"`, `model.to(device)`, '
    "`batch.to(device)`.",
    in_keras="Install TensorFlow, PyTorch or JAX with support for it, and let Keras place the "
    "model: see `keras.distribution` and `tf.config.list_physical_devices`.",
)
def accelerator_idle(
    trace: Trace,
    *,
    seconds: Annotated[float, "training time from which on it is worth a warning"] = 60.0,
) -> Iterator[Finding | Skipped]:
    """The machine has an accelerator, and the model is trained on the processor.

    Information for short runs, because small models are often as fast there. Accelerators hidden by
    `CUDA_VISIBLE_DEVICES` do not count, and Keras on JAX does not reveal where it trains.
    Source: PyTorch Performance Tuning Guide.
    """
    events = trace.events_of(EventKind.DEVICE)
    if not events:
        yield Skipped("the device of the model was not recorded")
        return
    values = events[0].payload
    kind = text(values, "accelerator")
    if text(values, "device") != "cpu" or not kind:
        return
    spent = float(trace.steps.duration_ns.sum()) / 1e9
    unsupported = values.get("supported") is False
    yield Finding(
        f"the model is trained on the processor, for {spent:.0f} s, beside an idle {kind} device"
        + ("; this build of the framework cannot use it." if unsupported else "."),
        steps=span(trace.steps.step),
        severity=None if spent >= seconds else Severity.INFO,
        evidence={"device": "cpu", "accelerator": kind, "seconds": spent},
        advice="Install a build for it: https://pytorch.org/get-started, or "
        "https://www.tensorflow.org/install."
        if unsupported
        else "",
    )
