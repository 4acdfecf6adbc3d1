"""Passes of `evaluate` and `predict`, those within `fit` included: each becomes an event.

Callbacks, the arrays that the program passed and what enters a model are looked at; nothing is
drawn from a data set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras.src.callbacks.callback_list import CallbackList

from nntrace.recorder import Recorder, is_recorded, moments
from nntrace.schema import EventKind
from nntrace_keras.data.passes import Passes, some_of
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.describe import is_batch_norm, is_dropout
from nntrace_keras.program.losses import name_of, recorded_name
from nntrace_keras.program.sources import UNKNOWN, Source, caller


@dataclass(slots=True)
class _Pass:
    """A running pass; `loader` is the number of its data set, None until it is known."""

    source: Source = UNKNOWN
    loader: int | None = None
    data: Any = None
    calls: int = 0


class Entered(Protocol):
    """Sees what enters a model in the graphs with which Keras evaluates it."""

    def begins(self, model: Any) -> None:
        """Start anew: a pass begins."""
        ...

    def moments(self, model: Any) -> dict[str, Any]:
        """Moments of what has entered since then, as fields of an `evaluation` event."""
        ...

    def hashes(self, model: Any, values: Any = None) -> list[int]:
        """Hashes of some examples of an array, by default of those that have entered."""
        ...


class EvaluationObserver:
    """Follows the callbacks of `evaluate` and `predict`.

    Args:
        path_of: gives the name of a model in the trace; empty for the first one.
        passes: numbers the passes.
        entered: sees what enters the model in graphs; None on other backends.

    Attributes:
        trained_loader: gives the number of the data set that is trained on.
    """

    def __init__(
        self,
        recorder: Recorder,
        path_of: Callable[[Any], str],
        passes: Passes,
        entered: Entered | None = None,
    ) -> None:
        self._recorder = recorder
        self._path_of = path_of
        self._passes = passes
        self._entered = entered
        self._open: list[_Pass] = []
        self.trained_loader: Callable[[], int | None] = lambda: None

    @property
    def is_open(self) -> bool:
        """Whether a pass is running."""
        return bool(self._open)

    def install(self) -> list[Undo]:
        """Watch the callbacks."""
        guard = self._recorder.guard
        begins, called, ends = guard(self._begins), guard(self._called), guard(self._ends)
        undos = []
        for kind in ("test", "predict"):
            undos += [
                before(CallbackList, f"on_{kind}_begin", begins),
                before(CallbackList, f"on_{kind}_batch_end", called),
                after(
                    CallbackList, f"on_{kind}_end", lambda _, *args, kind=kind: ends(kind, *args)
                ),
            ]
        return undos

    def draws_from(self, loader: int, data: Any) -> bool:
        """Note the data that the running pass draws from; False if no pass is running."""
        if not self._open:
            return False
        self._open[-1].loader, self._open[-1].data = loader, data
        return True

    def _begins(self, callbacks: Any, logs: Any = None) -> None:
        self._open.append(_Pass(caller()))
        if self._entered is not None:
            self._entered.begins(callbacks.model)

    def _called(self, callbacks: Any, batch: int, logs: Any = None) -> None:
        if self._open:
            self._open[-1].calls = int(batch) + 1

    def _ends(self, kind: str, callbacks: Any, logs: Any = None) -> None:
        if not self._open:
            return
        found = self._open.pop()
        model = self._path_of(callbacks.model)
        group, number = self._passes.next(model, kind, found.loader, found.source)
        if not is_recorded(number):
            return
        layers = callbacks.model._flatten_layers()
        loss = (logs or {}).get("loss")
        payload = {
            "model": model,
            "loader": found.loader,
            "group": group,
            "number": number,
            "calls": found.calls,
            "examples": _examples(found),
            **inference_modes(layers),
            **(_moments(found.data) or self._moments(callbacks.model)),
            "loss_function": _loss_name(callbacks.model) if loss is not None else None,
            "reduction": "mean",
            "loss": None if loss is None else float(np.asarray(loss)),
            **found.source.place,
        }
        if number == 0 and self._entered is not None and self._is_held_out(callbacks.model, found):
            hashes = self._entered.hashes(callbacks.model, first_array(found.data))
            payload |= {"example_hashes": hashes, "is_held_out": True}
        self._recorder.add_event(EventKind.EVALUATION, payload)

    def _is_held_out(self, model: Any, found: _Pass) -> bool:
        """Whether a pass is over a running `fit`'s `validation_data`, meant to be other data."""
        validation = getattr(model, "_eval_epoch_iterator", None)
        is_validation = validation is not None and validation.data_adapter is found.data
        return is_validation and found.loader != self.trained_loader()

    def _moments(self, model: Any) -> dict[str, Any]:
        """Moments of what has entered a model, for passes without an array of the program's."""
        return {} if self._entered is None else self._entered.moments(model)


def inference_modes(layers: Any) -> dict[str, int | bool]:
    """The modes of the layers of a model that Keras calls with `training=False`."""
    layers = list(layers)
    return {
        "training": False,
        "dropout_active": 0,
        "dropout_inactive": sum(map(is_dropout, layers)),
        "norm_active": 0,
        "norm_inactive": sum(map(is_batch_norm, layers)),
    }


def _examples(found: _Pass) -> int:
    """The number of examples in a pass, as far as its data reveals it; 0 if unknown."""
    samples, batch = getattr(found.data, "_num_samples", None), getattr(found.data, "batch_size", 0)
    drawn = found.calls * int(batch or 0)
    return min(int(samples), drawn) if samples and drawn else int(samples or drawn)


def _moments(data: Any) -> dict[str, Any]:
    """Moments of some rows of the first input, if the program passed floating-point arrays."""
    values = first_array(data)
    found = {} if values is None else moments("input", some_of(values))
    if not found:
        return {}
    return {"input_shape": [int(data.batch_size or len(values)), *values.shape[1:]], **found}


def first_array(data: Any) -> Any:
    """The first array of a Keras data adapter; None if it holds no arrays."""
    for part in keras.tree.flatten(getattr(data, "_inputs", None)):
        values = getattr(part, "array", part)
        return values if isinstance(values, np.ndarray) else None
    return None


def _loss_name(model: Any) -> str | None:
    """The recorded name of a compiled model's loss; None unless it is one function."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if not callable(loss):
        return None
    takes_logits = bool(getattr(loss, "_fn_kwargs", {}).get("from_logits"))
    return recorded_name(name_of(loss), takes_logits)
