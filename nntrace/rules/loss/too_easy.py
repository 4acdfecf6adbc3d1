"""LOS20: a loss that is too good: the model is given its targets, or the examples are few."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from nntrace.rules.common.beside_chance import comparable_function, function_loss
from nntrace.rules.common.chance import Chance, loss_location, training_batches
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.loss_course import LossSeries, steps_at_full_rate
from nntrace.rules.common.payloads import place, text
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Location, Severity, Skipped, too_few
from nntrace.rules.loss.adversaries import discriminator_has_won, generator_helps
from nntrace.rules.loss.leakage import (
    Leak,
    column_of_target,
    is_further_input,
    keeps_places,
    same_ids,
)
from nntrace.rules.loss.start import first_loss, loss_of_knowing_nothing
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Event, Tensor, Trace

_CAUSAL = (
    "Look at the attention mask (`is_causal=True`, a triangular mask that is passed on), and at "
    "bidirectional or centred layers."
)
_CAUSAL_IN_KERAS = (
    "Give `MultiHeadAttention` `use_causal_mask=True` in its call and `Conv1D` "
    '`padding="causal"`; leave out `Bidirectional` and whatever else reads the sequence backwards.'
)
_SHIFTED = (
    "Give the decoder the targets before each one, behind a start token, and compare with those "
    "after: `ids[:, :-1]` as its input, `ids[:, 1:]` as its targets."
)
_FRESH = 0.5  # of chance: a fresh model's first loss is not below it


@rule(
    "LOS20",
    "suspiciously-easy",
    Severity.WARNING,
    explains=("LOS15",),
    advice="Either the problem is that easy, or look for the target among the inputs (an id, a "
    "column computed from it, the file name), for copies of few examples, and for a loss that "
    "compares the targets with themselves.",
)
def suspiciously_easy(
    trace: Trace,
    *,
    steps: Annotated[int, "steps within which the loss fell that far"] = 40,
    share: Annotated[float, "loss relative to that of a model that knows nothing"] = 0.01,
    examples: Annotated[int, "different examples that must have been seen"] = 100,
    told: Annotated[float, "the same at the end of the run, if the targets are ids"] = 0.1,
    won: Annotated[float, "loss on each side, in nats, below which a discriminator has won"] = 0.05,
    turns: Annotated[int, "steps of a discriminator that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """Within a few dozen steps a fresh model's loss is next to nothing, and stays there.

    Few problems are that easy: the answer is among the inputs, or a few examples are repeated. Not
    judged: a single batch that is memorised on purpose (DAT02), and trained weights. Where more is
    known, the finding says it:

    - A column of the kept examples is their target: a warning, which names the place. For a column
      of rows, or the last step of windows over a series, the loss need only fall to a tenth, at
      whatever pace.
    - Targets are the very ids that the model gets, each at its own place: information, as a model
      may shift or mask them inside. A warning if the loss falls to a tenth and no layer is narrower
      than the ids. Nothing as long as a further input holds them and the loss is above a tenth.
    - Outputs depend on later inputs, which are the targets, or a decoder does not shift the targets
      it is given: an error. A replay shows it, made once the loss is small, and with PyTorch as
      soon as attention is seen to look at later positions.
    - PyTorch's fused attention adds a triangle of ones and zeros as its mask: an error.
    - A discriminator that takes turns with a generator gives every example 95 % over the last third
      of the run (or comes as near by squared error), so that the generator gets no gradient; or
      both losses are so small that the generator cannot be working against it: a warning.

    Source: Karpathy's Recipe, step 2 (be suspicious of what is too good); Kaufman et al. 2012,
    Leakage in Data Mining; Goodfellow et al. 2014 (1406.2661), 3 (saturation; a draw is ln 2).
    """
    if (told_of := generator_helps(trace) or discriminator_has_won(trace, won, turns)) is not None:
        yield told_of
        return
    batches = training_batches(trace)
    function, reason = comparable_function(trace, batches)
    added = [e for e in trace.events_of(EventKind.AXES) if text(e.payload, "what") == "mask"]
    if added:
        yield _hides_nothing(added[0])
        return
    if seen := trace.events_of(EventKind.CAUSALITY):
        yield _sees_later_inputs(trace, seen[0], loss_location(trace, function))
        return
    course = (
        Skipped(reason) if reason else _course(trace, function, batches, steps=steps, seen=examples)
    )
    if isinstance(course, Skipped):
        yield course
    elif ids := same_ids(trace, batches):
        yield from _ids_for_targets(trace, course, ids, told)
    else:
        yield from _falls_too_fast(trace, course, steps=steps, share=share, told=told)


@dataclass(frozen=True, slots=True)
class _Course:
    """How the loss of a fresh model went, beside what knowing nothing would cost.

    Attributes:
        function: the loss function.
        level: the median loss of the last fifth.
    """

    function: str
    series: LossSeries
    chance: Chance
    level: float
    location: Location | None

    def beside_chance(self, loss: float, share: str) -> str:
        """A loss with the share of chance that it is; `share` is that number's format."""
        return (
            f"{loss:.2g}, {loss / self.chance.value:{share}} of that of a model that knows nothing "
            f"({self.chance.name} = {self.chance.value:.3g})"
        )


def _course(
    trace: Trace, function: str, batches: tuple[Batch, ...], *, steps: int, seen: int
) -> _Course | Skipped:
    """What the rule judges; a reason where there are fewer losses than `steps` or fewer different
    examples than `seen`, or where the model was no fresh one.
    """
    chance = loss_of_knowing_nothing(function, batches)
    series = function_loss(trace, batches)
    if chance is None or len(series) < steps:
        return Skipped(f"needs {steps} losses of a function whose chance value is known")
    first = first_loss(batches, float(series.value[0]))
    if first is None or first < _FRESH * chance.value:
        return Skipped("the first loss is not that of an untrained model")
    level = series.end
    if level < 0.0:
        return Skipped("the loss is negative: what knowing nothing costs is no measure for it")
    if _examples_seen(batches) < seen:
        return Skipped("too few different examples were seen: the model may have memorised them")
    return _Course(function, series, chance, level, loss_location(trace, function))


def _ids_for_targets(trace: Trace, course: _Course, ids: Tensor, told: float) -> Iterator[Finding]:
    """The finding where the model is given the very ids that it is to predict."""
    is_told, is_further = course.level < told * course.chance.value, is_further_input(trace, ids)
    if is_further and not is_told:
        return  # it shifts them inside, as those of Hugging Face do
    is_copied = is_told and not is_further and keeps_places(trace, ids)
    yield Finding(
        f"at every position the target of `{course.function}` is the id in {ids.path}; the loss "
        f"is {course.beside_chance(course.level, '.0%')}.",
        steps=course.series.span,
        severity=Severity.WARNING if is_copied else Severity.INFO,
        advice="To predict the next token give `ids[:, :-1]` and compare with `ids[:, 1:]`, "
        "unless the model shifts or masks them itself.",
        evidence={"loss": course.level, "chance": course.chance.value, "input": ids.path},
        location=course.location,
    )


def _falls_too_fast(
    trace: Trace, course: _Course, *, steps: int, share: float, told: float
) -> Iterator[Finding | Skipped]:
    """A loss of next to nothing after a few steps, or after more where the target is a column."""
    series, chance = course.series, course.chance
    early = series.value[(series.step >= steps) & (series.step < 2 * steps)]
    after = series.value[series.step >= steps]
    if not len(early) or steps_at_full_rate(trace) < len(trace.steps) // 2:
        yield too_few(f"needs losses beyond step {steps} at the full learning rate")
        return
    leak = column_of_target(trace)
    if max(median(early), median(after)) <= share * chance.value:
        loss = median(early)
        message = f"after {steps} steps the loss is {course.beside_chance(loss, '.2%')}" + (
            f": the target stands in {leak.where}." if leak else "."
        )
    elif leak is not None and leak.is_plain and course.level < told * chance.value:
        loss = course.level
        message = (
            f"the target stands in {leak.where}; the loss came down to "
            f"{course.beside_chance(loss, '.2%')}."
        )
    else:
        return
    yield Finding(
        message,
        steps=series.span,
        severity=Severity.WARNING if leak else Severity.INFO,
        advice=_without(leak) if leak else "",
        evidence={"loss": loss, "chance": chance.value, "chance_is": chance.name},
        location=course.location,
    )


def _without(leak: Leak) -> str:
    """What to do about a target among the inputs."""
    if leak.is_window:
        return (
            "Let the target come after its window: with `n` steps in it, windows of `series[:-n]` "
            "have the targets `series[n:]`."
        )
    return f"Leave {leak.where} out of the inputs, and whatever was computed from it."


def _sees_later_inputs(trace: Trace, seen: Event, at_loss: Location | None) -> Finding:
    """The finding from a replay: outputs change with inputs that come after them."""
    layer, after = text(seen.payload, "layer"), seen.payload.get("depends_on_after")
    site = next((s for s in trace.sites_of(Role.ACTIVATION) if layer and s.path == layer), None)
    first = f"; `{layer}` is the first layer that looks ahead" if layer else ""
    return Finding(
        f"the model sees what it is to predict: {text(seen.payload, 'text')}{first}.",
        site=site,
        steps=(seen.step, seen.step),
        severity=Severity.ERROR,
        evidence={} if after is None else {"depends_on_after": after},
        advice=_SHIFTED
        if "given" in seen.payload
        else _CAUSAL_IN_KERAS
        if speaks_keras(trace)
        else _CAUSAL,
        location=None if site is not None and site.file else at_loss,
    )


def _hides_nothing(event: Event) -> Finding:
    return Finding(
        "the mask of attention hides nothing: a triangle of ones and zeros of a floating-point "
        "type is added to the scores, so each position sees those after it.",
        steps=(event.step, event.step),
        severity=Severity.ERROR,
        advice="Give it as booleans (`nn.MultiheadAttention` and `nn.Transformer…` hide where it "
        "is True, `scaled_dot_product_attention` where it is False), or as "
        "`nn.Transformer.generate_square_subsequent_mask(length)`, which holds -inf.",
        location=place(event.payload),
    )


def _examples_seen(batches: Sequence[Batch]) -> float:
    """How many different examples were seen, by the batches' fingerprints; 0 for a single batch."""
    different = {batch.fingerprint for batch in batches if batch.fingerprint is not None}
    size = median([batch.batch_size or 0 for batch in batches])
    return size * len(different) if len(different) > 1 else 0.0
