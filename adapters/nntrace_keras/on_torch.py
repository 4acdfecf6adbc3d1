"""Keras on PyTorch: the PyTorch adapter does the work, its hooks see layers and gradients.

What it cannot see is Keras' optimizer, which is not a `torch.optim.Optimizer`. A stand-in that is
one holds the same parameters and calls Keras' optimizer in its step.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.common.keras_tensor import any_symbolic_tensors
from keras.src.backend.torch.trainer import TorchEpochIterator, TorchTrainer
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
from nntrace_keras.program.left_out import LeftOutLayers
from nntrace_keras.program.losses import announcement, loss_facts, positions_of_one_target
from nntrace_keras.program.names import Names
from nntrace_keras.program.schedules import ScheduleObserver
from nntrace_keras.program.sources import Sources
from nntrace_keras.trainers import identity_of


class StandIn(torch.optim.Optimizer):
    """A PyTorch optimizer whose step calls another optimizer, so that PyTorch's step hooks run."""

    def __init__(self, parameters: Sequence[torch.Tensor], settings: dict[str, Any]) -> None:
        super().__init__(parameters, settings)
        self.call: Callable[[], Any] | None = None
        self.grad_scale: torch.Tensor | None = None  # as of PyTorch's fused optimizers

    def step(self, closure: Any = None) -> Any:
        """Call the Keras optimizer."""
        assert self.call is not None
        return self.call()


class _StandIns:
    """One stand-in for each Keras optimizer, made anew when the parameters that it steps change.

    Args:
        schedules: counts the steps of each optimizer that has a schedule.

    Attributes:
        scales: by what the gradients of an optimizer are scaled that it gets unscaled.
    """

    def __init__(self, schedules: ScheduleObserver) -> None:
        self._schedules = schedules
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._known: weakref.WeakKeyDictionary[Any, StandIn] = weakref.WeakKeyDictionary()
        self._inside: list[Any] = []
        self.scales: weakref.WeakKeyDictionary[Any, torch.Tensor] = weakref.WeakKeyDictionary()

    def begin(self, optimizer: Any, variables: Sequence[Any] | None) -> StandIn | None:
        """Return the stand-in for the step about to happen; None inside another step."""
        if self._inside:
            return None
        if variables is None:
            variables = optimizer._trainable_variables
        parameters = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        stand_in = self._known.get(optimizer)
        if stand_in is None or not _same(stand_in.param_groups[0]["params"], parameters):
            stand_in = _make(optimizer, parameters)
            self._known[optimizer] = stand_in
        stand_in.param_groups[0]["lr"] = float(optimizer.learning_rate)
        stand_in.grad_scale = self.scales.get(optimizer)
        self._schedules.stepped(self._name(optimizer))
        return stand_in

    def _name(self, optimizer: Any) -> str:
        name = self._names.get(optimizer)
        if name is None:
            name = self._names[optimizer] = f"{type(optimizer).__name__}.{len(self._names)}"
            self._schedules.announce(optimizer, name)
        return name

    def of_inner(self, scaling: Any) -> StandIn:
        """The stand-in of the optimizer that steps inside one that scales losses."""
        inner, variables = scaling.inner_optimizer, scaling._trainable_variables
        if inner not in self._known:
            self._known[inner] = _make(inner, [variable.value for variable in variables])
        return self._known[inner]

    def step(self, stand_in: StandIn, call: Callable[[], Any]) -> Any:
        """Make the step: run `call` inside the stand-in's step."""
        stand_in.call = call
        self._inside.append(stand_in)
        try:
            return stand_in.step()
        finally:
            self._inside.pop()
            stand_in.call = None


class Scaler:
    """What the PyTorch adapter asks of a `GradScaler`, for Keras' optimizer that scales losses."""

    def __init__(self) -> None:
        self._scale = torch.ones(())
        self._per_optimizer_states: dict[int, Any] = {}  # Keras leaves `grad` as it is: scaled

    def scales(self, optimizer: Any) -> torch.Tensor:
        """A loss was scaled by that optimizer; return the scale."""
        value = optimizer.dynamic_scale.value if optimizer.built else optimizer.initial_scale
        self._scale = torch.as_tensor(value)
        return self._scale

    def is_enabled(self) -> bool:
        """Whether losses are scaled: it is only made where they are."""
        return True


class KerasModules:
    """Describes Keras layers to the PyTorch adapter, to which they are modules without children."""

    def __init__(self, names: Names) -> None:
        self._names = names

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
    names, guard = Names(), recorder.guard
    setattr(keras.layers.Layer, DESCRIBES_ITSELF, KerasModules(names))
    left_out = LeftOutLayers(recorder, sources, names.layer)
    look = guard(lambda _, model, *args, **kwargs: left_out.look(model))
    return [
        lambda: delattr(keras.layers.Layer, DESCRIBES_ITSELF),
        *left_out.install(),
        *FlagWatch(recorder, names.path).install(),
        after(TorchTrainer, "make_train_function", look),
    ]


def watch_optimizers(recorder: Recorder, sources: Sources) -> list[Undo]:
    """Make every step of a Keras optimizer go through its stand-in."""
    schedules = ScheduleObserver(recorder, sources)
    recorder.hooks.on_end(recorder.guard(schedules.finish))
    stand_ins = _StandIns(schedules)
    begin = recorder.guard(stand_ins.begin)

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            if trainable_variables is not None:
                trainable_variables = list(trainable_variables)
            stand_in = begin(optimizer, trainable_variables) if grads else None

            def call() -> Any:
                return original(optimizer, grads, trainable_variables)

            return call() if stand_in is None else stand_ins.step(stand_in, call)

        return apply

    apply_watched = wrap(keras.optimizers.Optimizer, "apply", make)
    return [apply_watched, *_watch_scaling(recorder, stand_ins)]


def _watch_scaling(recorder: Recorder, stand_ins: _StandIns) -> list[Undo]:
    """Report losses that Keras scales, and the steps that it leaves out."""
    scalers: weakref.WeakKeyDictionary[Any, Scaler] = weakref.WeakKeyDictionary()

    def scaled(result: Any, optimizer: Any, loss: Any) -> None:
        scaler = scalers.setdefault(optimizer, Scaler())
        stand_ins.scales[optimizer.inner_optimizer] = scaler.scales(optimizer)
        recorder.hooks.loss_scaled(result, scaler, loss)

    def skips(optimizer: Any) -> None:
        recorder.hooks.step_skipped(stand_ins.of_inner(optimizer))

    kind = keras.optimizers.LossScaleOptimizer
    return [
        after(kind, "scale_loss", recorder.guard(scaled)),
        before(kind, "_stateful_handle_non_finite_grads", recorder.guard(skips)),
    ]


def watch_data(recorder: Recorder) -> list[Undo]:
    """Tell the PyTorch adapter what the loaders draw from that Keras makes, one for each pass."""
    weights: weakref.WeakKeyDictionary[Any, dict[str, float]] = weakref.WeakKeyDictionary()

    def told(_: None, iterator: Any, *args: Any, **kwargs: Any) -> None:
        weights[iterator] = weights_of_classes(kwargs)

    def made(loader: Any, iterator: Any) -> None:
        data = iterator.data_adapter
        if not isinstance(data, TorchDataLoaderAdapter):  # whose loader is the program's own
            facts: dict[str, Any] = {"class_weights": weights.get(iterator, {})}
            if hasattr(data, "_num_samples"):  # the length of Keras' data set is that of its inputs
                facts["dataset_size"] = data._num_samples
            setattr(loader, DRAWS_FROM, DataSource(*identity_of(data), facts))

    return [
        after(EpochIterator, "__init__", recorder.guard(told)),
        after(TorchEpochIterator, "_get_iterator", recorder.guard(made)),
    ]


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


def _make(optimizer: Any, parameters: list[torch.Tensor]) -> StandIn:
    """A stand-in whose class has the name of the Keras optimizer's class."""
    settings: dict[str, Any] = {"lr": 0.0}
    for name, key in (
        ("weight_decay", "weight_decay"),
        ("momentum", "momentum"),
        ("epsilon", "eps"),
    ):
        value = getattr(optimizer, name, None)
        if isinstance(value, int | float):
            settings[key] = float(value)
    kind = type(type(optimizer).__name__, (StandIn,), {})
    made: StandIn = kind(parameters, settings)
    return made


def _same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _tensor(target: Any) -> Any:
    """Targets as a tensor: `train_on_batch` gives arrays to the loss as the program made them."""
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "biuf":
        return target
    return torch.from_numpy(np.array(target))  # a copy, as PyTorch warns of read-only arrays
