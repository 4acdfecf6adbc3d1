"""Rules on the basis for a judgement: evaluations, the examples in them, optimizer steps."""

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

from nntrace.rules.common.loaders import data_set_sizes, loader_passes, trained_loaders
from nntrace.rules.common.passes import are_close, evaluations
from nntrace.rules.common.payloads import count
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, RunStatus
from nntrace.text import plural
from nntrace.trace import Event, Trace


@rule(
    "RUN11",
    "never-evaluated",
    Severity.INFO,
    advice="Evaluate on held-out data after each epoch, in evaluation mode and without gradients.",
)
def never_evaluated(
    trace: Trace,
    *,
    steps: Annotated[int, "optimizer steps that make a run long"] = 1000,
    examples: Annotated[int, "examples below which an evaluation says little"] = 32,
) -> Iterator[Finding | Skipped]:
    """A long run was never evaluated, or only ever on a handful of examples.

    The training loss alone does not tell learning from memorising. Information, because nntrace
    sees only PyTorch's passes without gradients over a model that it traces, and Keras' validation.
    A loader that is read without optimizer steps, once training has begun, is taken for an
    evaluation with gradients.
    Source: Karpathy's Recipe, step 2 (evaluate over the whole test set).
    """
    total = len(trace.steps)
    if total < steps:
        yield too_few(f"needs {steps} optimizer steps, has {total}")
        return
    if not trace.events_of(EventKind.DEVICE) and not trace.events_of(EventKind.EVALUATION):
        yield Skipped("evaluations are not recorded for this framework")
        return
    first, last = span(trace.steps.step)
    found = evaluations(trace)
    sizes = [count(e.payload, "examples") for e in trace.events_of(EventKind.EVALUATION)]
    read = [event for event in trace.events_of(EventKind.EPOCH) if _is_read_alone(event)]
    if read and not found and not sizes:
        yield Finding(
            f"the evaluations of {len(read)} passes over a loader of their own keep gradients, "
            "which takes memory and time.",
            steps=(read[0].step, read[-1].step),
            evidence={"passes": len(read), "examples": count(read[-1].payload, "examples")},
            advice="Evaluate under `torch.no_grad()` or `torch.inference_mode()`.",
        )
    elif not found and not sizes:
        yield Finding(
            f"in {total} steps the model was never evaluated without gradients.",
            steps=(first, last),
            evidence={"steps": total},
        )
    elif sizes and 0 < max(sizes) < examples:
        yield Finding(
            f"the largest evaluation in {total} steps had {max(sizes)} examples.",
            steps=(first, last),
            evidence={"steps": total, "examples": max(sizes)},
        )


@rule(
    "RUN12",
    "run-too-short",
    Severity.INFO,
    advice="Train for some hundred steps before you trust a diagnosis without findings.",
)
def run_too_short(
    trace: Trace,
    *,
    steps: Annotated[int, "optimizer steps that most rules need"] = 100,
) -> Iterator[Finding | Skipped]:
    """The run has too few steps for rules on the course of the loss and on what lasts.

    Reported so that silence is not mistaken for health; `nntrace diagnose -v` shows what each rule
    lacks. A run that is still going on, or that tracing lost sight of, is not judged.
    Source: Karpathy's Recipe (a network often fails silently).
    """
    total = len(trace.steps)
    if trace.status is RunStatus.RUNNING:
        yield Skipped("the run is still going on")
        return
    if trace.status is RunStatus.FINISHED and trace.manifest.error:
        yield Skipped("tracing stopped before the run did")
        return
    if total < steps:
        yield Finding(
            f"the run has {plural(total, 'optimizer step')}; rules that follow the loss, or look "
            f"for what lasts, need about {steps}.",
            steps=span(trace.steps.step),
            evidence={"steps": total, "sampled_steps": len(trace.sampled_steps)},
        )


@rule(
    "LOS23",
    "eval-on-one-batch",
    Severity.INFO,
    advice="Evaluate on the whole set: no `break`, no `next(iter(loader))`; if that is too slow, "
    "less often.",
)
def eval_on_one_batch(
    trace: Trace,
    *,
    share: Annotated[float, "share of the data set below which a pass is short"] = 0.2,
    passes: Annotated[int, "short evaluation passes that are needed"] = 2,
) -> Iterator[Finding | Skipped]:
    """Evaluations look at a sliver of their data set.

    Their results are noise of a few examples and differ between runs for no reason. Seen for passes
    over a loader without an optimizer step, and for Keras' evaluations of arrays.
    Source: Karpathy's Recipe, step 2 (evaluate on the whole test set).
    """
    sizes, training = data_set_sizes(trace), trained_loaders(trace)
    seen = sorted(
        (one.loader, one.step, one.examples, sizes[one.loader])
        for one in loader_passes(trace)
        if one.loader not in training  # a batch taken from it may be looked at for its shape
        and one.examples is not None
        and one.loader in sizes
    )
    # Keras reports the extent of `evaluate` and of validation in `fit`, but no pass over a loader.
    told = {one[0] for one in seen}
    passes_at: dict[str, set[int]] = {}
    for one in evaluations(trace):
        passes_at.setdefault(one.group, set()).add(one.step)
    # A frozen part that makes the inputs of a step is given its batch.
    serving = {group for group, steps in passes_at.items() if are_close(steps)}
    seen += sorted(
        (one.loader, one.step, one.examples, sizes[one.loader])
        for one in evaluations(trace)
        if one.loader is not None
        and one.loader in sizes
        and one.loader not in told
        # features cached before they are trained on, or made for each step
        and not (one.loader in training and (one.training or one.group in serving))
        and one.examples > 0
    )
    if len(seen) < passes:
        yield too_few(f"needs {passes} evaluation passes over a loader, has {len(seen)}")
        return
    for loader, group in groupby(seen, key=lambda one: one[0]):
        own = list(group)
        largest, size = max(one[2] for one in own), own[0][3]
        if len(own) >= passes and largest < share * size:
            yield Finding(
                f"{len(own)} evaluations looked at no more than {largest} of {size} examples.",
                steps=(own[0][1], own[-1][1]),
                evidence={"loader": loader, "most_examples": largest, "dataset_size": size},
            )
            return


def _is_read_alone(event: Event) -> bool:
    """Whether a pass over a loader, once training had begun, made no optimizer step."""
    payload = event.payload
    return event.step > 0 and payload.get("steps") == 0 and count(payload, "batches") > 0
