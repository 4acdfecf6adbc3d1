"""Keras' optimizers on PyTorch, which are no PyTorch optimizers: stand-ins that are take the steps.

A stand-in holds the same parameters, with the settings that act on each, and calls Keras' optimizer
in its step.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from nntrace.adapter import DESCRIBES_ITSELF
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, after, before, wrap
from nntrace_keras.program.schedules import ScheduleObserver
from nntrace_keras.program.settings import accumulation_steps, settings, weight_decay
from nntrace_keras.program.sources import Sources


class StandIn(torch.optim.Optimizer):
    """A PyTorch optimizer whose step calls another optimizer, so that PyTorch's step hooks run.

    Attributes:
        parameters: in the order in which Keras has them; groups are by their settings.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], facts: dict[str, Any]) -> None:
        super().__init__(groups, {"lr": 0.0})
        setattr(self, DESCRIBES_ITSELF, facts)
        self.parameters: list[torch.Tensor] = []
        self.call: Callable[[], Any] | None = None
        self.grad_scale: torch.Tensor | None = None  # as of PyTorch's fused optimizers

    def step(self, closure: Any = None) -> Any:
        """Call the Keras optimizer."""
        assert self.call is not None
        return self.call()


class _State(defaultdict[torch.Tensor, Any]):
    """The state of an optimizer of Keras for each parameter, looked up when it is asked for."""

    def __init__(self, of: Callable[[], Any]) -> None:
        super().__init__(dict)
        self._of = of

    def get(self, parameter: Any, default: Any = None) -> Any:
        """The tensors for a parameter, by the names of the lists in which Keras keeps them."""
        optimizer = self._of()
        variables = getattr(optimizer, "_trainable_variables", ())
        place = next((n for n, v in enumerate(variables) if v.value is parameter), None)
        if place is None:
            return default
        lists = {k: held for k, held in vars(optimizer).items() if isinstance(held, list)}
        return {
            name: held[place].value
            for name, held in lists.items()
            if len(held) == len(variables) and held[place] is not variables[place]
            if isinstance(held[place], keras.Variable)
        }


class _StandIns:
    """One stand-in for each Keras optimizer, made anew when the parameters that it steps change.

    Args:
        schedules: counts the steps of each optimizer that has a schedule.
        sources: where each was built.
        gathered: called where gradients are kept for a later step.

    Attributes:
        scales: by what the gradients of an optimizer are scaled that it gets unscaled.
    """

    def __init__(
        self,
        schedules: ScheduleObserver,
        sources: Sources,
        gathered: Callable[[], object],
    ) -> None:
        self._schedules = schedules
        self._gathered = gathered
        self._sources = sources
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._known: weakref.WeakKeyDictionary[Any, StandIn] = weakref.WeakKeyDictionary()
        self._inside: list[Any] = []
        self.scales: weakref.WeakKeyDictionary[Any, torch.Tensor] = weakref.WeakKeyDictionary()

    def begin(self, optimizer: Any, variables: Sequence[Any] | None) -> StandIn | None:
        """Return the stand-in for the step about to happen; None if it is none of its own.

        So it is inside another step, and where gradients are gathered for a later one.
        """
        if self._inside:
            return None
        gathers = accumulation_steps(optimizer)
        if gathers > 1 and (int(optimizer._iterations.value) + 1) % gathers:
            self._gathered()
            return None
        if variables is None:
            variables = optimizer._trainable_variables
        parameters = [_parameter(variable) for variable in variables]
        stand_in = self._known.get(optimizer)
        if stand_in is None or not _same(stand_in.parameters, parameters):
            stand_in = self._make(optimizer, variables)
        rate = float(optimizer.learning_rate)
        for group in stand_in.param_groups:
            group["lr"] = rate
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
        inner = scaling.inner_optimizer
        return self._known.get(inner) or self._make(inner, scaling._trainable_variables)

    def _make(self, optimizer: Any, variables: Sequence[Any]) -> StandIn:
        """A stand-in whose class is named like the optimizer's, with a group for each decay."""
        groups: dict[float, dict[str, Any]] = {}
        of_all = {
            key: float(value)
            for name, key in (("momentum", "momentum"), ("epsilon", "eps"))
            if isinstance(value := getattr(optimizer, name, None), int | float)
        }
        for variable in variables:
            decay = weight_decay(optimizer, variable)
            group = groups.setdefault(decay, {"params": [], "weight_decay": decay, **of_all})
            group["params"].append(_parameter(variable))
        facts = {
            **settings(optimizer),
            "groups": 1,
            **self._sources.of(optimizer).place,
        }
        kind = type(type(optimizer).__name__, (StandIn,), {})
        made: StandIn = kind(list(groups.values()), facts)
        made.parameters = [_parameter(variable) for variable in variables]
        made.state = _State(weakref.ref(optimizer))
        self._known[optimizer] = made
        return made

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


def watch_optimizers(recorder: Recorder, sources: Sources) -> list[Undo]:
    """Make every step of a Keras optimizer go through its stand-in."""
    schedules = ScheduleObserver(recorder, sources)
    recorder.hooks.on_end(recorder.guard(schedules.finish))
    stand_ins = _StandIns(schedules, sources, recorder.hooks.gathered)
    begin = recorder.guard(stand_ins.begin)

    def built(*args: Any, **kwargs: Any) -> None:
        recorder.hooks.has_foreign_optimizer = True

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
    built_watched = before(keras.optimizers.Optimizer, "__init__", built)

    def clipped(left: Any, optimizer: Any, given: Any) -> None:
        if left is not given:
            recorder.hooks.clipped(given, left)

    clipping = after(keras.optimizers.Optimizer, "_clip_gradients", recorder.guard(clipped))
    return [built_watched, apply_watched, clipping, *_watch_scaling(recorder, stand_ins)]


def _watch_scaling(recorder: Recorder, stand_ins: _StandIns) -> list[Undo]:
    """Report losses that Keras scales, and the steps that it leaves out."""
    scalers: weakref.WeakKeyDictionary[Any, Scaler] = weakref.WeakKeyDictionary()

    def scaled(result: Any, optimizer: Any, loss: Any) -> None:
        scaler = scalers.setdefault(optimizer, Scaler())
        stand_ins.scales[optimizer.inner_optimizer] = scaler.scales(optimizer)
        recorder.hooks.loss_scaled(result, scaler, loss)

    def skips(optimizer: Any) -> None:
        if accumulation_steps(optimizer) > 1:  # as on TensorFlow, a call and no step
            recorder.hooks.gathered()
        else:
            recorder.hooks.step_skipped(stand_ins.of_inner(optimizer))

    kind = keras.optimizers.LossScaleOptimizer
    return [
        after(kind, "scale_loss", recorder.guard(scaled)),
        before(kind, "_stateful_handle_non_finite_grads", recorder.guard(skips)),
    ]


def _parameter(variable: Any) -> torch.Tensor:
    """The tensor of a variable, which may be PyTorch's own."""
    parameter: torch.Tensor = variable.value if isinstance(variable, keras.Variable) else variable
    return parameter


def _same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
