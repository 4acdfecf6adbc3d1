"""The loop over the evaluation data that steps the optimizer, as the training loop does."""

from collections import defaultdict
from typing import Any, Final

import numpy as np

from nntrace.rules.common.payloads import count, place
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_PASSES: Final = 2  # over the same data, of which sampled steps are known


def trains_on_evaluation_data(trace: Trace, modes: list[Event]) -> Finding | None:
    """The finding on a loader whose batches are stepped on in evaluation mode alone, in turn with
    those of another one in training mode alone; None without one.

    Args:
        trace: the run.
        modes: the `mode` events of the trained model.
    """
    steps = trace.steps.step[trace.steps.sampled]
    modes = sorted(modes, key=lambda event: event.step)
    current = np.searchsorted([event.step for event in modes], steps, side="right") - 1
    trains = np.array([event.payload.get("training") is True for event in modes], dtype=bool)
    seen: dict[Any, list[tuple[int, int, bool]]] = defaultdict(list)
    for event in trace.events_of(EventKind.EPOCH):
        made = count(event.payload, "steps")
        inside = (current >= 0) & (event.step - made <= steps) & (steps < event.step)
        for is_training in np.unique(trains[current[inside]]):
            seen[event.payload.get("loader")].append((event.step - made, event.step, is_training))
    wrong = [own for own in seen.values() if not any(is_training for *_, is_training in own)]
    right = [own for own in seen.values() if all(is_training for *_, is_training in own)]
    if not right or not wrong or len(wrong[0]) < _PASSES:
        return None
    begins = [begin for own in right for begin, *_ in own]
    if max(begins) < wrong[0][0][1] or min(begins) >= wrong[0][-1][0]:
        return None  # another part of the training
    loader = next(key for key, own in seen.items() if own is wrong[0])
    facts = next(
        (e.payload for e in trace.events_of(EventKind.LOADER) if e.payload.get("loader") == loader),
        {},
    )
    examples = count(facts, "dataset_size")
    extent = f" ({examples} examples)" if examples else ""
    taken = sum(end - begin for begin, end, _ in wrong[0])
    return Finding(
        f"the optimizer also steps in the loop over the evaluation data{extent}: {taken} steps, "
        "all in evaluation mode. The model trains on what it is judged by.",
        steps=(wrong[0][0][0], wrong[0][-1][1] - 1),
        explains=("DAT03", "DAT09", "DAT20"),
        evidence={"steps_in_eval_mode": taken, "passes": len(wrong[0]), "examples": examples},
        advice="Put `backward`, `zero_grad` and `step` into the training loop only, and evaluate "
        "under `torch.no_grad()`.",
        location=place(facts),
    )
