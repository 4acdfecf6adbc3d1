"""Rules on what training costs as it goes: memory, time per step, an accelerator left alone."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.payloads import text
from nntrace.rules.rule import rule
from nntrace.rules.signals import median, span
from nntrace.schema import EventKind
from nntrace.trace import Trace

_WINDOWS = 8
_MEGABYTE = 1 << 20


@rule(
    "RUN08",
    "memory-growth",
    Severity.WARNING,
    advice="Add up numbers, not tensors: `total += loss.item()`; keep outputs as "
    "`output.detach()`, and evaluate within `torch.no_grad()`.",
)
def memory_growth(
    trace: Trace,
    *,
    least_mb: Annotated[float, "growth that matters, in megabytes"] = 100.0,
    share: Annotated[float, "growth relative to what was held at first"] = 0.1,
    steadiness: Annotated[float, "growth of the slowest eighth over the mean eighth"] = 0.3,
    samples: Annotated[int, "samples that are needed"] = 24,
) -> Iterator[Finding | Skipped]:
    """Memory grows steadily from step to step, without an end in sight.

    What a step leaves behind is kept: a loss that is added up with its graph, outputs in a
    list. Judged after the first fifth, while caches fill, and only if every eighth of the rest
    grows. Source: PyTorch FAQ, "My model reports 'cuda runtime error(2): out of memory'" (don't
    accumulate history across your training loop).
    """
    steps = trace.steps
    known = np.flatnonzero(np.isfinite(steps.memory_bytes))
    known = known[len(known) // 5 :]
    if len(known) < samples:
        yield Skipped(f"needs {samples} samples of the memory in use, has {len(known)}")
        return
    values = steps.memory_bytes[known]
    level = np.array([median(part) for part in np.array_split(values, _WINDOWS)])
    grown = float(level[-1] - level[0])
    rises = np.diff(level)
    steady = rises.min() >= steadiness * rises.mean() > 0
    if not steady or grown < least_mb * _MEGABYTE or grown < share * level[0]:
        return
    first, last = int(steps.step[known[0]]), int(steps.step[known[-1]])
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
    factor: Annotated[float, "time of a step at the end over that at the beginning"] = 2.0,
    work: Annotated[float, "part of the growth that is the program's processor time"] = 0.5,
    least_ms: Annotated[float, "growth that matters, in milliseconds"] = 2.0,
    steps: Annotated[int, "optimizer steps that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """A step takes twice as long at the end as at the beginning, and grew all the time.

    Something accumulates. Judged by medians over eighths of the run that rise one after
    the other, without the first steps, without sampled ones and what tracing took. A warning
    where the program's own processor time grows along; else a note, for then the machine or the
    data may be what slows down. Larger batches take longer by right.
    Source: PyTorch Performance Tuning Guide.
    """
    columns = trace.steps
    kept = np.flatnonzero(~columns.sampled & ~columns.skipped)
    kept = kept[kept >= len(columns) // 20]
    if len(kept) < steps:
        yield Skipped(f"needs {steps} steps that were not sampled, has {len(kept)}")
        return
    parts = np.array_split(kept, _WINDOWS)
    spent = columns.duration_ns - np.clip(columns.overhead_ns, 0, columns.duration_ns)
    wall = np.array([median(spent[part]) for part in parts])
    cpu = np.array([median(columns.cpu_ns[part]) for part in parts])
    sizes = [median(columns.batch_size[part]) for part in parts]
    grown = (wall[-1] - wall[0]) / 1e6
    rising = (np.diff(wall) > 0).sum() >= _WINDOWS - 2
    if not wall[0] > 0 or wall[-1] < factor * wall[0] or grown < least_ms or not rising:
        return
    if np.isfinite(sizes).all() and sizes[-1] > 1.25 * sizes[0]:
        return
    own = bool(np.isfinite(cpu).all() and cpu[-1] - cpu[0] > work * (wall[-1] - wall[0]))
    yield Finding(
        f"a step takes {wall[-1] / 1e6:.3g} ms at the end and took {wall[0] / 1e6:.3g} ms at the "
        f"beginning, {wall[-1] / wall[0]:.1f} times less"
        + ("." if own else "; the processor time of the program did not grow along."),
        steps=span(columns.step[kept]),
        severity=None if own else Severity.INFO,
        evidence={
            "first_ms": wall[0] / 1e6,
            "last_ms": wall[-1] / 1e6,
            "factor": wall[-1] / wall[0],
            "cpu_growth_ms": float(cpu[-1] - cpu[0]) / 1e6 if np.isfinite(cpu).all() else None,
        },
    )


@rule(
    "RUN10",
    "accelerator-idle",
    Severity.WARNING,
    advice='Move the model and each batch there: `device = "cuda"`, `model.to(device)`, '
    "`batch.to(device)`.",
)
def accelerator_idle(
    trace: Trace,
    *,
    seconds: Annotated[float, "training time from which on it is worth a warning"] = 60.0,
) -> Iterator[Finding | Skipped]:
    """The machine has an accelerator, and the model is trained on the processor.

    A note for short runs: small models are often as fast there. PyTorch only; accelerators hidden
    by `CUDA_VISIBLE_DEVICES` do not count. Source: PyTorch Performance Tuning Guide.
    """
    events = trace.events_of(EventKind.DEVICE)
    if not events:
        yield Skipped("on which device the model is was not recorded")
        return
    values = events[0].payload
    kind = text(values, "accelerator")
    if text(values, "device") != "cpu" or not kind:
        return
    spent = float(trace.steps.duration_ns.sum()) / 1e9
    unsupported = values.get("supported") is False
    yield Finding(
        f"the model is trained on the processor, for {spent:.0f} s, beside an idle {kind} device"
        + ("; this build of PyTorch cannot use it." if unsupported else "."),
        steps=span(trace.steps.step),
        severity=None if spent >= seconds else Severity.INFO,
        evidence={"device": "cpu", "accelerator": kind, "seconds": spent},
        advice="Install a build of PyTorch for it: https://pytorch.org/get-started."
        if unsupported
        else "",
    )
