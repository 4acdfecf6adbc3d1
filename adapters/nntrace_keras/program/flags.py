"""Sees whether `fit` trains what is marked as trainable, where that was changed since the last one.

Keras builds its training step at the first `fit` after `compile`; layers that are frozen or
unfrozen later go on as they were. And a functional model hands its own mode to all its parts, also
to those that were called with `training=False`. Whether that is so is not asked of Keras but of the
values.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from keras.src.callbacks.callback_list import CallbackList
from keras.src.models.functional import Functional

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, before
from nntrace_keras.program.describe import is_batch_norm
from nntrace_keras.program.sources import Source, caller

Values = dict[int, npt.NDArray[Any]]
_READ = 8  # variables of each kind
_MOST = 1 << 20  # elements of a variable that is read


class FlagWatch:
    """Reads a few weights before and after an epoch of a model whose flags were changed.

    Args:
        name_of: gives the path of a variable in the trace.
    """

    def __init__(self, recorder: Recorder, name_of: Callable[[Any], str]) -> None:
        self._recorder = recorder
        self._name_of = name_of
        self._flags: weakref.WeakKeyDictionary[Any, set[int]] = weakref.WeakKeyDictionary()
        self._changed: _Changed | None = None

    def install(self) -> list[Undo]:
        """Watch the beginning of each `fit` and its first epoch."""
        guard = self._recorder.guard
        return [
            before(CallbackList, "on_train_begin", guard(self._begins)),
            before(CallbackList, "on_epoch_end", guard(self._epoch_ends)),
        ]

    def _begins(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        self._changed = None
        model = callbacks.model
        if model is None or not model.built:
            return
        variables = model.trainable_variables
        now = {id(variable) for variable in variables}
        earlier, self._flags[model] = self._flags.get(model, now), now
        inferring = [norm.moving_mean for norm in _norms_told_to_infer(model)]
        if earlier == now and not inferring:
            return
        unfrozen = [v for v in variables if id(v) not in earlier]
        frozen = [v for v in model.non_trainable_variables if id(v) in earlier]
        rest = [v for v in variables if id(v) in earlier]
        self._changed = _Changed(
            _some(unfrozen), _some(frozen), _some(rest), _some(inferring), caller()
        )

    def _epoch_ends(self, *args: Any, **kwargs: Any) -> None:
        changed, self._changed = self._changed, None
        if changed is None:
            return
        moved = changed.moved()
        trains = [v for v in changed.frozen if id(v) in moved]
        stays = not any(id(v) in moved for v in changed.unfrozen) and (
            trains or any(id(v) in moved for v in changed.rest)
        )
        never = changed.unfrozen if stays else ()
        overruled = [v for v in changed.inferring if id(v) in moved]
        if not trains and not never and not overruled:
            return
        payload = {
            "still_trained": [self._name_of(variable) for variable in trains],
            "never_trained": [self._name_of(variable) for variable in never],
            "overruled": [self._name_of(variable) for variable in overruled],
            **changed.source.place,
        }
        self._recorder.add_event(EventKind.TRAINABLE, payload, severity="warning")


class _Changed:
    """Variables that were unfrozen and frozen since the last `fit`, some others, their values.

    Also statistics of norms that are to stay as they are.
    """

    def __init__(
        self,
        unfrozen: Sequence[Any],
        frozen: Sequence[Any],
        rest: Sequence[Any],
        inferring: Sequence[Any],
        source: Source,
    ) -> None:
        self.unfrozen = unfrozen
        self.frozen = frozen
        self.rest = rest
        self.inferring = inferring
        self.source = source
        self._values = self._read()

    def moved(self) -> set[int]:
        """The ids of the variables whose values have changed since."""
        now = self._read()
        return {one for one, values in self._values.items() if not np.array_equal(values, now[one])}

    def _read(self) -> Values:
        variables = (*self.unfrozen, *self.frozen, *self.rest, *self.inferring)
        return {id(v): np.array(v.numpy()) for v in variables}


def _some(variables: Sequence[Any]) -> list[Any]:
    """A few of the variables, weight matrices first."""
    small = [v for v in variables if int(np.prod(v.shape)) <= _MOST]
    return sorted(small, key=lambda v: len(v.shape) < 2)[:_READ]


def _norms_told_to_infer(model: Any) -> Iterator[Any]:
    """The batch norms that can be trained in what functional models call with `training=False`."""
    for part in model._flatten_layers():
        graph = part._nodes_by_depth if isinstance(part, Functional) else {}
        for node in chain.from_iterable(graph.values()):
            if node.arguments.kwargs.get("training") is False:
                inside = node.operation._flatten_layers()
                yield from (one for one in inside if is_batch_norm(one) and one.trainable)
