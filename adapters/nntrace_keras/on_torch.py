"""Keras on PyTorch: the PyTorch adapter does the work, its hooks see layers and gradients.

Here it is told what they do not see; of Keras' optimizers in `stand_ins`.
"""

import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.common.keras_tensor import any_symbolic_tensors
from keras.src.backend.torch.trainer import TorchEpochIterator, TorchTrainer
from keras.src.callbacks.callback_list import CallbackList
from keras.src.trainers.compile_utils import CompileLoss
from keras.src.trainers.data_adapters.torch_data_loader_adapter import TorchDataLoaderAdapter
from keras.src.trainers.epoch_iterator import EpochIterator

from nntrace.adapter import DESCRIBES_ITSELF, DRAWS_FROM, DataSource
from nntrace.recorder import ForeignLoss, Recorder
from nntrace_keras.data.weights import weights_of_classes
from nntrace_keras.patching import Undo, after, before, wrap
from nntrace_keras.program.compiled import CompiledLosses
from nntrace_keras.program.describe import (
    activation_name,
    dropout_rate,
    fans,
    unit_axis,
    value_range,
)
from nntrace_keras.program.flags import FlagWatch
from nntrace_keras.program.last_modes import LastModes
from nntrace_keras.program.left_out import LeftOutLayers
from nntrace_keras.program.losses import announcement, loss_facts, positions_of_one_target
from nntrace_keras.program.names import Names
from nntrace_keras.program.sources import Sources
from nntrace_keras.trainers import identity_of


class KerasModules:
    """Describes Keras layers to the PyTorch adapter, to which they are modules without children."""

    def __init__(self, names: Names, modes: LastModes) -> None:
        self._names = names
        self.modes = modes.of
        self.statistics, self.trained_norms = modes.statistics, modes.trained_norms

    def children(self, module: Any) -> list[Any]:
        """The layers directly inside a layer, and its modules that are PyTorch's own."""
        inside = list(module._flatten_layers(include_self=False, recursive=False))
        return [*inside, *module.__dict__.get("_modules", {}).values()]

    def parts(self, root: Any) -> Iterator[tuple[str, Any, list[tuple[str, Any]]]]:
        """Yield path (as Keras shows it), layer and named parameters of a layer and all inside."""
        self._names.learn(root)
        seen: set[int] = set()
        waiting = [(root, None)]
        while waiting:
            layer, enclosing = waiting.pop(0)
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            path = self._names.layer(layer, enclosing)
            own = []
            for number, variable in enumerate(layer._trainable_variables):
                name, _, _ = self._names.variable(variable, path, number)
                own.append((name, variable.value))
            yield path, layer, own
            inside = layer._flatten_layers(include_self=False, recursive=False)
            waiting += [(one, layer) for one in inside]

    is_symbolic = staticmethod(any_symbolic_tensors)

    # As on TensorFlow.
    unit_axis = staticmethod(unit_axis)
    activation = staticmethod(activation_name)
    dropout_rate = staticmethod(dropout_rate)
    value_range = staticmethod(value_range)
    fans = staticmethod(fans)


def watch_models(recorder: Recorder, sources: Sources) -> list[Undo]:
    """Make the PyTorch adapter ask Keras about its layers, and record what Keras alone knows."""
    names, modes, guard = Names(), LastModes(), recorder.guard
    setattr(keras.layers.Layer, DESCRIBES_ITSELF, KerasModules(names, modes))
    left_out = LeftOutLayers(recorder, sources, names.layer)
    look = guard(lambda _, model, *args, **kwargs: left_out.look(model))
    return [
        lambda: delattr(keras.layers.Layer, DESCRIBES_ITSELF),
        *modes.install(recorder),
        *left_out.install(),
        *FlagWatch(recorder, names.path).install(),
        after(TorchTrainer, "make_train_function", look),
    ]


def watch_data(recorder: Recorder) -> list[Undo]:
    """Tell the PyTorch adapter what the loaders draw from that Keras makes, one for each pass."""
    data, guard = _DataOfKeras(), recorder.guard
    return [
        after(EpochIterator, "__init__", guard(data.told)),
        before(CallbackList, "on_train_begin", guard(data.trains)),
        before(CallbackList, "on_test_begin", guard(data.evaluates)),
        after(TorchEpochIterator, "_get_iterator", guard(data.made)),
    ]


class _DataOfKeras:
    """What Keras says of the data for which it makes loaders."""

    def __init__(self) -> None:
        self._weights: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._last: Callable[[], Any] = lambda: None  # the iterator that was made last
        self._validation: Callable[[], Any] = lambda: None
        self._trained: Hashable = None

    def told(self, _: None, iterator: Any, *args: Any, **kwargs: Any) -> None:
        """An iterator is made over arrays, or over what makes batches."""
        self._weights[iterator] = weights_of_classes(kwargs)
        self._last = weakref.ref(iterator)

    def trains(self, callbacks: Any, logs: Any = None) -> None:
        """`fit` begins, which has just made its iterator."""
        if (iterator := self._last()) is not None:
            self._trained = identity_of(iterator.data_adapter)[1]

    def evaluates(self, callbacks: Any, logs: Any = None) -> None:
        """An evaluation begins, perhaps that of a running `fit` over its `validation_data`."""
        validation = getattr(callbacks.model, "_eval_epoch_iterator", None)
        self._validation = (lambda: None) if validation is None else weakref.ref(validation)

    def made(self, loader: Any, iterator: Any) -> None:
        """Keras has made a loader for a pass."""
        data = iterator.data_adapter
        if isinstance(data, TorchDataLoaderAdapter):  # whose loader is the program's own
            return
        facts: dict[str, Any] = {"class_weights": self._weights.get(iterator, {})}
        if hasattr(data, "_num_samples"):  # the length of Keras' data set is that of its inputs
            facts["dataset_size"] = data._num_samples
        if hasattr(data, "py_dataset"):  # which is a stream to PyTorch
            facts |= {"batches": data.num_batches, "sampler": type(data).__name__}
        owner, key = identity_of(data)
        if self._validation() is iterator and key != self._trained:
            facts["held_out"] = True
        setattr(loader, DRAWS_FROM, DataSource(owner, key, facts))


def watch_losses(recorder: Recorder) -> list[Undo]:
    """Report calls of Keras' loss functions, which are not PyTorch's, to the PyTorch adapter."""
    hooks, compiled = recorder.hooks, CompiledLosses(recorder)

    def observe(loss: Any, target: Any, prediction: Any, value: Any, weights: Any) -> None:
        if isinstance(loss, CompileLoss) or not torch.is_tensor(prediction):
            return
        facts = loss_facts(loss, prediction)
        classes = int(prediction.shape[-1]) if prediction.dim() > 1 else 1
        payload = announcement(
            facts, facts.function, classes, compiled.caller(), is_weighted=weights is not None
        )
        if hasattr(target, "shape"):
            payload["positions"] = positions_of_one_target(facts, target, prediction)
        hooks.loss_called(
            ForeignLoss(facts.function, value, prediction, _tensor(target), facts.by_class, payload)
        )

    guarded = recorder.guard(observe)

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(loss: Any, y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
            is_inside = hooks.in_foreign_loss
            hooks.in_foreign_loss = not isinstance(loss, CompileLoss)
            try:
                value = original(loss, y_true, y_pred, *args, **kwargs)
            finally:
                hooks.in_foreign_loss = is_inside
            if not is_inside:
                weights = args[0] if args else kwargs.get("sample_weight")
                guarded(loss, y_true, y_pred, value, weights)
            return value

        return __call__

    return [compiled.install(), wrap(keras.losses.Loss, "__call__", make)]


def _tensor(target: Any) -> Any:
    """Targets as a tensor: `train_on_batch` gives arrays to the loss as the program made them."""
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "biuf":
        return target
    return torch.from_numpy(np.array(target))  # a copy, as PyTorch warns of read-only arrays
