"""Distinguishes the calls of loss functions in a step, and gives them paths; for any backend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nntrace_keras.program.losses import LossFacts, loss_facts
from nntrace_keras.tape.under_tape import LossCall

_MOST = 8  # loss calls of a step, such as those of a model's heads


@dataclass(frozen=True, slots=True)
class LossAt:
    """A loss call and the path of the sites of its targets and predictions."""

    path: str
    call: LossCall
    facts: LossFacts
    prediction: Any


def path_of(function: str, output: str) -> str:
    """The path of a loss function's sites; `output` is empty for a model with one output."""
    return f"{function}:{output}" if output else function


def told_apart(
    called: Sequence[LossCall], tensor: Callable[[Any], Any] = lambda prediction: prediction
) -> list[LossAt]:
    """Select the calls to be recorded: of each line and output the first, eight at most.

    A line may call a loss many times, for each time step, say.

    Args:
        called: the calls of a step, in order.
        tensor: turns predictions into a tensor.
    """
    found: list[LossAt] = []
    seen: set[tuple[Any, ...]] = set()
    counts: dict[str, int] = {}
    for call in called:
        prediction = tensor(call.prediction)
        facts = loss_facts(call.function, prediction)
        facts = replace(facts, head=facts.head or call.head)
        path = path_of(facts.function, call.output)
        if (path, call.source) in seen:
            continue
        seen.add((path, call.source))
        count = counts[path] = counts.get(path, 0) + 1
        path = path if count == 1 else f"{path}#{count}"
        found.append(LossAt(path, call, facts, prediction))
        if len(found) == _MOST:
            break
    return found


def name_outputs(compiled: Any, called: Sequence[LossCall]) -> None:
    """After Keras has called the loss functions of `compile`: note their outputs and weights.

    Args:
        compiled: the `CompileLoss` that called them.
        called: all calls of the step so far.
    """
    terms = compiled._flat_losses or []
    recent = called[-len(terms) :] if len(terms) > 1 else []
    for (_, function, weight, name), call in zip(terms, recent, strict=False):
        if call.function is function:
            call.output = str(name or "")
            call.weight = float(weight) if isinstance(weight, int | float) else 1.0
