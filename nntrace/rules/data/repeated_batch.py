"""The rule on one batch that is drawn again and again although there is more data."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.loaders import drawn_at
from nntrace.rules.common.payloads import count
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_BY_INDEX = "PyDatasetAdapter"  # each batch has a number, so equal batches are a fault
_MORE = 2  # times a batch's examples: what a run is evaluated on that has no more to train on


@rule(
    "DAT02",
    "repeated-batch",
    Severity.ERROR,
    explains=("DAT03", "DAT08", "DAT09", "DAT10", "DAT20", "LOS13"),
    advice="Keep one iterator over the loader (`for batch in loader:`); `next(iter(loader))` "
    "starts again at the first batch. If this is your overfit-one-batch test, all is well.",
    in_keras="Draw a new batch in each step: a generator must yield other examples, "
    "`__getitem__(index)` those of `index`; `next(iter(dataset))` starts again at the first "
    "batch, and `dataset.take(1)` holds no other. If this is your overfit-one-batch test, all is "
    "well.",
)
def repeated_batch(
    trace: Trace,
    *,
    repeats: Annotated[int, "sampled steps in a row on the same batch"] = 5,
) -> Iterator[Finding | Skipped]:
    """The same batch is used step after step although the loader holds more.

    The model memorises one batch and sees nothing of the rest. Training on the whole set at each
    step is legitimate, so this is judged only if a data loader shows that there is more data, and
    if sampled steps lie such that a loader in fixed order would have given different batches. For a
    loader of unknown size, it is judged if epochs have several steps and evaluations more than
    twice as many examples as the batch. Not reported if training went on with other batches
    afterwards: a model is rightly made to overfit one batch first.
    Source: "37 reasons", 1 (the same batch over and over).
    """
    sampled = [b for b in training_batches(trace) if b.fingerprint is not None]
    if _distinct_steps(sampled) < repeats:
        yield too_few(f"needs the batches of {repeats} steps, has {_distinct_steps(sampled)}")
        return
    longest = _longest_repeat(sampled)
    if _distinct_steps(longest) < repeats or _is_over(sampled, longest, repeats):
        return
    loaders = [event.payload for event in trace.events_of(EventKind.LOADER)]
    if not loaders:
        yield Skipped("no data loader was seen: whether there is more data is not known")
        return
    size = longest[0].batch_size
    held = {n: examples for loader in loaders for n, examples in _epoch(loader, size)}
    evaluated = 0 if held else _evaluated_beside(trace)
    is_more = any(size is None or examples > size for examples in held.values())
    if not is_more and (size is None or evaluated <= _MORE * size):
        return
    gaps = [later.step - earlier.step for earlier, later in pairwise(longest)]
    telling = [gap for gap in gaps if gap and all(gap % n for n in held if n > 1)]
    if len(telling) + 1 < repeats:
        yield Skipped("the sampled steps are whole epochs apart")
        return
    most = max(held.values(), default=None)
    yield Finding(
        f"{_distinct_steps(longest)} sampled steps in a row used the same batch of {size or '?'} "
        f"examples, while "
        + (f"it is evaluated on {evaluated}." if evaluated else f"the data set holds {most}."),
        site=next(iter(trace.sites_of(Role.INPUT)), None),
        steps=(longest[0].step, longest[-1].step),
        evidence={
            "repeats": _distinct_steps(longest),
            "batch_size": size,
            "dataset_size": most,
            "fingerprint": longest[0].fingerprint,
        },
        location=drawn_at(trace),
    )


def _longest_repeat(batches: list[Batch]) -> list[Batch]:
    """The longest run of sampled batches with one fingerprint."""
    best = (0, 0)
    start = 0
    for end, batch in enumerate(batches):
        if batch.fingerprint != batches[max(0, end - 1)].fingerprint:
            start = end
        best = max(best, (end + 1 - start, start))
    length, start = best
    return batches[start : start + length]


def _is_over(batches: list[Batch], repeated: list[Batch], least: int) -> bool:
    """Whether most of the batches after the repeated one differ from those before them."""
    later = [batch for batch in batches if batch.step > repeated[-1].step]
    changes = [one.fingerprint != other.fingerprint for one, other in pairwise(later)]
    return sum(changes) >= least and 2 * sum(changes) > len(changes)


def _distinct_steps(batches: list[Batch]) -> int:
    return len({batch.step for batch in batches})


def _epoch(loader: dict[str, object], batch_size: int | None) -> Iterator[tuple[int, int]]:
    """Batches and examples of a loader that batches of that size can come from."""
    size, own, batches = (loader.get(key) for key in ("dataset_size", "batch_size", "batches"))
    fits = own is None or batch_size is None or own == batch_size
    if isinstance(size, int) and fits:
        yield (batches if isinstance(batches, int) else -(-size // (batch_size or 1)), size)
    elif loader.get("sampler") == _BY_INDEX and isinstance(batches, int):
        yield batches, batches * (batch_size or 1)


def _evaluated_beside(trace: Trace) -> int:
    """The examples of the largest evaluation of a run whose epochs have several steps; else 0."""
    steps = [count(event.payload, "steps") for event in trace.events_of(EventKind.EPOCH)]
    if max(steps, default=0) < 2:
        return 0
    passes = trace.events_of(EventKind.EVALUATION)
    return max((count(event.payload, "examples") for event in passes), default=0)
