"""Rules on the mode of evaluations: layers left in training mode, or a model worse outside it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.layers import in_modes, named
from nntrace.rules.common.loaders import trained_loaders
from nntrace.rules.common.loss_course import loss_series, unjudgeable
from nntrace.rules.common.payloads import count, items, number, place, text, whole
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loop.another_model import (
    evaluates_another_model,
    evaluates_what_lags_behind,
    evaluates_without_statistics,
)
from nntrace.rules.loop.teacher import teacher_in_train_mode
from nntrace.rules.loop.training import is_trained, model_of
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_RECENT = 20  # steps of training whose loss an evaluation is compared with
_ACTIVE = ("dropout_active", "norm_active")
_UNLEARNT = 0.9  # of the first loss: an evaluation above it shows that nothing was learned


@rule(
    "RUN02",
    "eval-in-train-mode",
    Severity.WARNING,
    explains=("LOS13", "LOS22"),
    advice="Call `model.eval()` before evaluating and `model.train()` after. If it is called: a "
    "`train` of your own model must hand its `mode` on.",
    in_keras="Call the model with `training=False` to evaluate it, also in a `test_step` of your "
    "own.",
)
def eval_in_train_mode(
    trace: Trace,
    *,
    passes: Annotated[int, "evaluations in training mode that are needed"] = 2,
    rarity: Annotated[
        float, "evaluations per optimizer step, above which they are part of training"
    ] = 0.2,
    lessons: Annotated[int, "steps in which the weights of a teacher must not have changed"] = 20,
) -> Iterator[Finding | Skipped]:
    """The model is evaluated without gradients while its dropout or batch norm is active.

    Dropout makes the results worse and random; batch norm normalises with the evaluation batch and,
    what is worse, lets the evaluation data into its running statistics. Information where several
    optimizers take turns and passes have no loss, as samples of a GAN.

    Left out:

    - a forward in nearly every step (a generator, a target network), which belongs to the training
    - a model of which only a part is in training mode
    - calls that repeat their input, to draw predictions from the dropout
    - a pass over the training data, without a loss, before an evaluation in the right mode, which
      gives averaged weights their statistics

    Also reported:

    - a dropout function that is called without the mode (`functional.dropout(x, 0.5)` never stops)
    - a teacher, which runs in nearly every step on the inputs of the trained model with fixed
      weights, whose layers are active (one that follows the training, as a mean teacher does, may
      keep its noise)
    - with PyTorch, passes with gradients on, over a loader from which training never draws, if no
      backward pass follows the calls
    - as information, a part of a functional model of Keras that is called with `training=False`:
      Keras 3 trains it in the mode of the whole model, so that unfrozen batch norms give up the
      statistics they were loaded with

    Source: "37 reasons", 21 and 26 (dropout, batch norm: train and test mode); keras-team/keras,
    issue 20285.
    """
    told = _overruled(trace)
    yield from told
    with_gradients = _with_gradients(trace, passes)
    yield from with_gradients
    events = trace.events_of(EventKind.EVALUATION)
    if not events:
        if not told + with_gradients:
            yield Skipped("no pass without gradients was recorded")
        return
    if (lasting := _lasting_dropout(events)) is not None:
        yield lasting
        return
    modes = trace.events_of(EventKind.MODE)
    drawn = trained_loaders(trace)
    evaluated = {event.step for event in events if event.payload.get("training") is False}
    groups: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        groups[model_of(event), count(event.payload, "group")].append(event)
    found = []
    for (model, _), group in groups.items():
        active = [event for event in group if _is_active(event.payload)]
        wrong = [
            event
            for event in active
            if not _draws_again(event.payload)
            if not (event.step in evaluated and _counts_statistics(event.payload, drawn))
        ]
        made = 1 + max(count(event.payload, "number") for event in group)
        rare = made <= max(1.0, rarity * max(1, len(trace.steps)))
        # A first pass before any training may be there to initialise, or to look.
        later = [event for event in wrong if event.step > 0]
        if len(later) >= passes and rare and is_trained(trace, model, modes):
            found.append((len(wrong), len(group), wrong))
    if not found:
        yield from teacher_in_train_mode(groups.values(), lessons)
        return
    number_wrong, number_all, wrong = max(found, key=lambda item: item[0])
    values = wrong[-1].payload
    dropouts, norms = count(values, "dropout_active"), count(values, "norm_active")
    draws = not any(text(event.payload, "loss_function") for event in wrong)
    yield Finding(
        f"{number_wrong} of {number_all} evaluations were made in training mode, with "
        f"{in_modes(dropouts, norms)} active.",
        steps=(wrong[0].step, wrong[-1].step),
        severity=Severity.INFO if draws and loss_series(trace).optimizers > 1 else None,
        evidence={
            "evaluations": number_all,
            "in_training_mode": number_wrong,
            "dropout_active": dropouts,
            "norm_active": norms,
            "examples": count(values, "examples"),
        },
        location=place(values),
    )


def _overruled(trace: Trace) -> tuple[Finding, ...]:
    """The finding on batch norms that were told to infer, which Keras overrules; at most one."""
    for event in trace.events_of(EventKind.TRAINABLE):
        if statistics := [str(path) for path in items(event.payload, "overruled")]:
            found = Finding(
                "batch norms that are called with `training=False` run in training mode and count "
                f"new statistics: {named(statistics)}. A functional model of Keras 3 hands its own "
                "mode to all its parts.",
                steps=(event.step, event.step),
                severity=Severity.INFO,
                evidence={"statistics": statistics},
                advice="Set `trainable = False` on these batch norms before `compile`: frozen ones "
                "always run in inference mode.",
                location=place(event.payload),
            )
            return (found,)
    return ()


def _with_gradients(trace: Trace, passes: int) -> tuple[Finding, ...]:
    """The finding on a loader that is only read in training mode, for nothing; at most one."""
    modes = [event.payload for event in trace.events_of(EventKind.MODE)]
    active = {name: max((count(mode, name) for mode in modes), default=0) for name in _ACTIVE}
    drawn = trained_loaders(trace)
    read: dict[int, list[int]] = defaultdict(list)
    for event in trace.events_of(EventKind.EPOCH):
        loader = whole(event.payload, "loader")
        is_read = event.step > 0 and event.payload.get("for_nothing") is True
        if is_read and loader is not None and loader not in drawn:
            read[loader].append(event.step)
    steps = max(read.values(), key=len, default=[])
    if not drawn or len(steps) < passes or not any(active.values()):
        return ()
    lines = {
        whole(e.payload, "loader"): place(e.payload) for e in trace.events_of(EventKind.LOADER)
    }
    found = Finding(
        f"a loader that training never draws from was read {len(steps)} times in training mode, "
        "with gradients that were not asked for, and "
        f"{in_modes(active['dropout_active'], active['norm_active'])} active.",
        steps=(steps[0], steps[-1]),
        evidence={"evaluations": len(steps), **active},
        advice="Call `model.eval()` before evaluating and `model.train()` after, and evaluate "
        "under `torch.no_grad()`.",
        location=lines.get(next(loader for loader, at in read.items() if at is steps)),
    )
    return (found,)


def _counts_statistics(values: dict[str, Any], drawn: Collection[int]) -> bool:
    """Whether a pass gave batch norms their statistics anew: training data, and no loss asked for.

    Args:
        drawn: the loaders from which training draws.
    """
    is_asked = bool(text(values, "loss_function"))
    return count(values, "norm_active") > 0 and not is_asked and whole(values, "loader") in drawn


def _lasting_dropout(events: Sequence[Event]) -> Finding | None:
    """The finding on a dropout function that ignores the mode, if an evaluation met one."""
    named = [event for event in events if text(event.payload, "dropout_function")]
    met = [event for event in named if not _draws_again(event.payload)]
    if not met:
        return None
    values = met[0].payload
    function = text(values, "dropout_function")
    is_attention = function == "scaled_dot_product_attention"
    argument = "dropout_p=p if self.training else 0.0" if is_attention else "training=self.training"
    return Finding(
        f"`{function}` drops values although the model is in evaluation mode: the call does not "
        "depend on the mode.",
        steps=(met[0].step, met[-1].step),
        evidence={"function": function, "evaluations": len(met)},
        location=place({"file": values.get("dropout_file"), "line": values.get("dropout_line")}),
        advice=f"Call it with `{argument}`"
        + (", or use an `nn.Dropout` module." if not is_attention else "."),
    )


def _draws_again(values: dict[str, Any]) -> bool:
    """Whether a model without active norms was called with each input more than once."""
    repeats = 2 * count(values, "repeated") >= count(values, "calls") > 1
    return repeats and not count(values, "norm_active")


@rule(
    "RUN13",
    "train-eval-inconsistent",
    Severity.WARNING,
    explains=("LOS13",),
    advice="Compare the running statistics with the batches': raise the momentum of the batch "
    "norms, check that both passes preprocess alike, or use a norm without running statistics.",
)
def train_eval_inconsistent(
    trace: Trace,
    *,
    learned: Annotated[float, "part of the first training loss below which training works"] = 0.6,
    ratio: Annotated[float, "evaluation loss over the first training loss"] = 1.2,
    passes: Annotated[int, "evaluations that are needed"] = 2,
) -> Iterator[Finding | Skipped]:
    """In evaluation mode a model with batch norm is worse than before it was trained.

    This must hold from the first evaluation on, while the training loss falls, which is not how
    overfitting begins. Within the first pass over the data, which is all new, nothing can be
    overfitted either: so a single evaluation after that pass which shows nothing learned is enough,
    unless a later one shows much. The running statistics are not those of the data, or the two
    passes treat the data differently. Judged by evaluations with the loss function of the training.

    Also reported are evaluations of another model than is trained:

    - with any model, three or more that all find the same loss, to the sixth digit, while the
      training loss moves: those of a copy, say
    - with PyTorch, those of a model whose batch norms still have the statistics they were built
      with, such as an average of the parameters alone, whatever they find
    - with PyTorch, those of a model that no optimizer holds, if they stay near the first training
      loss while it halves: an average with a decay for longer runs

    Source: "37 reasons", 21 and 26; Wu & Johnson 2021 (2105.07576).
    """
    odd = (
        evaluates_another_model(trace, passes)
        or evaluates_without_statistics(trace, passes)
        or evaluates_what_lags_behind(trace, passes)
    )
    if odd is not None:
        yield odd
        return
    modes = [e.payload for e in trace.events_of(EventKind.MODE) if not model_of(e)]
    if not any(count(payload, "norm_active") for payload in modes):
        yield Skipped("the model has no batch norm that was active in training")
        return
    loss = BesideChance(trace, training_batches(trace))
    function, series = loss.function, loss.series
    if skipped := Skipped(loss.unknown) if loss.unknown else unjudgeable(series, _RECENT):
        yield skipped
        return
    judged = [
        event
        for event in trace.events_of(EventKind.EVALUATION)
        if _is_like(event.payload, function) and event.step >= int(series.step[0]) + _RECENT
    ]
    if len(judged) < passes:
        yield Skipped(f"needs {passes} evaluations with `{function}` in evaluation mode")
        return
    start = median(series.value[:5])
    values = np.array([number(event.payload, "loss") for event in judged], dtype=np.float64)
    recent = np.array(
        [median(series.value[series.step <= event.step][-_RECENT:]) for event in judged]
    )
    learns = recent < learned * start
    wrong = (values > ratio * start) & learns
    above = "more than"
    if not wrong[:passes].all() or wrong.mean() < 0.75:
        epochs = trace.events_of(EventKind.EPOCH)
        first_pass = next((e.step for e in epochs if e.payload.get("steps") != 0), -1)
        unlearnt = (values > learned * start) & learns
        is_new = judged[0].step <= first_pass and learns[0] and values[0] > _UNLEARNT * start
        if not is_new or not unlearnt[:passes].all() or unlearnt.mean() < 0.75:
            return
        above = "hardly less than" if values[-1] <= start else above
    yield Finding(
        f"the loss is {recent[-1]:.3g} in training and {values[-1]:.3g} in evaluation mode, "
        f"{above} the {start:.3g} before training, and has been from the first evaluation on.",
        steps=(judged[0].step, judged[-1].step),
        evidence={
            "training_loss": float(recent[-1]),
            "evaluation_loss": float(values[-1]),
            "first_loss": start,
            "evaluations": len(judged),
        },
        location=place(judged[-1].payload),
    )


def _is_active(payload: dict[str, Any]) -> bool:
    layers = count(payload, "dropout_active") + count(payload, "norm_active")
    return payload.get("training") is True and layers > 0


def _is_like(payload: dict[str, Any], function: str) -> bool:
    """Whether an evaluation's loss can be compared with that of training."""
    return (
        payload.get("training") is False
        and not text(payload, "model")
        and text(payload, "loss_function") == function
        and number(payload, "loss") is not None
        and text(payload, "reduction") in ("", "mean")
    )
