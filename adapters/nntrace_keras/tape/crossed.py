"""Pairs given to an optimizer in which gradients of some variables stand beside others."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.sources import caller
from nntrace_keras.tape.under_tape import Gradient, key

_LOOKS = 8  # calls of optimizers: in a graph each stands for all its steps
_NAMED = 8  # pairs


class CrossedPairs:
    """Looks at the first calls of optimizers, until one has such pairs.

    Args:
        path_of: gives the recorded path of a variable.
    """

    def __init__(self, recorder: Recorder, path_of: Callable[[Any], str]) -> None:
        self._recorder = recorder
        self._path_of = path_of
        self._looks = 0

    def look(self, pairs: Sequence[tuple[Any, Any]], gradients: Sequence[Gradient]) -> None:
        """Record a call's pairs if tapes have computed their gradients for others of the call.

        Gradients of a copy of the model, which is not in the call, may be meant for its original.
        """
        if self._looks == _LOOKS:
            return
        self._looks += 1
        crossed = crossed_pairs(pairs, gradients)
        if not crossed:
            return
        self._looks = _LOOKS
        named = [[self._path_of(one) for one in pair] for pair in crossed[:_NAMED]]
        payload = {
            "pairs": named,
            "crossed": len(crossed),
            "variables": len(pairs),
            **caller().place,
        }
        self._recorder.add_event(EventKind.CROSSED, payload, severity="error")


def crossed_pairs(
    pairs: Sequence[tuple[Any, Any]], gradients: Sequence[Gradient]
) -> list[tuple[Any, Any]]:
    """For each gradient beside another variable of the call: its own variable, and that one.

    One tensor may be the gradient of several variables, as of two that are added.
    """
    mine = {key(variable) for _, variable in pairs}
    owners: defaultdict[int, list[Any]] = defaultdict(list)
    for gradient in gradients:
        for source, result in zip(gradient.sources, gradient.source_gradients, strict=True):
            if result is not None:
                owners[id(result)].append(source)
    found = []
    for given, variable in pairs:
        own = owners.get(id(given), [])
        others = [source for source in own if key(source) in mine]
        if others and all(key(source) != key(variable) for source in own):
            found.append((others[0], variable))
    return found
