"""Keras on JAX: `fit` is followed from outside, by its callbacks and the state between its steps.

The jitted step is left alone. What it alone knows, activations and gradients, is not seen; the
parameters before and after a sampled step are, and with them the true update.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras.src.callbacks.callback_list import CallbackList
from keras.src.utils.rng_utils import get_random_seed

from nntrace.recorder import Recorder, Sample, SiteSample
from nntrace.schema import EventKind, Role
from nntrace_keras.describe import dtype_name, fans
from nntrace_keras.elements import flat_plan
from nntrace_keras.names import Names
from nntrace_keras.patching import Undo, before
from nntrace_keras.sites import SiteKey, Sites
from nntrace_keras.sources import UNKNOWN, Sources

Values = npt.NDArray[np.float32]

_UNSEEN = "the step is one compiled function of JAX, which nntrace leaves alone"


class JaxTraining:
    """Follows every `fit`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sources = Sources(recorder)
        self._names = Names()
        self._sites = Sites(recorder)
        self._optimizers: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._samples = True
        self._began = 0
        self._lr: float | None = None
        self._before: list[Values] = []
        self._totals: tuple[Any, Any] = (0.0, 0.0)

    def install(self) -> list[Undo]:
        """Watch constructors and callbacks."""
        guard = self._recorder.guard
        return [
            *self._sources.install(),
            before(CallbackList, "on_epoch_begin", guard(self._epoch_begins)),
            before(CallbackList, "on_train_batch_begin", guard(self._begins)),
            before(CallbackList, "on_train_batch_end", guard(self._ends)),
        ]

    def _epoch_begins(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        self._totals = (0.0, 0.0)  # Keras has reset its metrics
        self._recorder.training_begins()

    def _begins(self, callbacks: Any, batch: int, logs: Any = None) -> None:
        model = callbacks.model
        self._began = batch
        if _is_synced(model):
            rate = getattr(model.optimizer, "_learning_rate", None)
            self._lr = float(rate) if isinstance(rate, keras.Variable) else None
        self._before = _elements(model) if self._samples else []

    def _ends(self, callbacks: Any, batch: int, logs: Any = None) -> None:
        model = callbacks.model
        if getattr(model, "_jax_state", None) is None or model.optimizer is None:
            return
        self._recorder.open()
        steps = batch - self._began + 1
        optimizer = self._name(model)
        loss = self._loss(model)
        for number in range(steps):
            sampled = bool(self._before) and number == steps - 1
            if sampled:
                self._sample(model, steps)
            self._samples = self._recorder.add_step(
                data_wait_ns=None,
                loss=loss,
                lr=self._lr,
                grad_norm=None,
                batch_size=None,
                optimizer=optimizer,
                phase="train",
                sampled=sampled,
                gradients_cleared=None,
            )

    def _loss(self, model: Any) -> Callable[[], float] | None:
        """The mean loss since the last step, from the sums that Keras keeps of an epoch.

        They are copied, since the next step takes them over, and fetched by the writer.
        """
        tracker = getattr(model, "_loss_tracker", None)
        kept = {
            id(variable): value
            for variable, value in zip(
                model.metrics_variables, model._jax_state["metrics_variables"], strict=False
            )
        }
        if tracker is None or id(tracker.total) not in kept:
            return None
        now = tuple(keras.ops.copy(kept[id(part)]) for part in (tracker.total, tracker.count))
        then, self._totals = self._totals, now

        def fetched() -> float:
            total, count = (float(one) - float(other) for one, other in zip(now, then, strict=True))
            return total / count if count else float("nan")

        return fetched

    def _sample(self, model: Any, steps: int) -> None:
        """Hand over the parameters as they were, and their changes if one step made them."""
        after = _elements(model) if steps == 1 else []
        keys = self._keys(model)
        values: list[Values] = []
        parts = []
        offset = 0
        changes = [new - old for new, old in zip(after, self._before, strict=False)]
        for role, arrays in ((Role.PARAM, self._before), (Role.UPDATE, changes)):
            for (variable, key_of), array in zip(keys, arrays, strict=False):
                site = self._sites.id_of(key_of(role), ())
                layout = flat_plan(tuple(variable.shape)).layout
                parts.append(SiteSample(site, offset, layout))
                values.append(array)
                offset += len(array)
        number = self._recorder.steps
        self._recorder.add_sample(Sample(number, np.concatenate(values), tuple(parts), None))

    def _keys(self, model: Any) -> list[tuple[Any, Callable[[Role], SiteKey]]]:
        self._names.learn(model)
        return [
            (variable, self._key_maker(variable, number))
            for number, variable in enumerate(model.trainable_variables)
        ]

    def _key_maker(self, variable: Any, number: int) -> Callable[[Role], SiteKey]:
        path, parent, owner = self._names.variable(variable, "variable", number)
        source = self._sources.of(owner) if owner is not None else UNKNOWN
        shape = tuple(int(size) for size in variable.shape)
        return lambda role: SiteKey(
            path,
            role,
            module_type=type(owner).__name__ if owner is not None else "Variable",
            parent=parent,
            dtype=dtype_name(variable),
            file=source.file,
            line=source.line,
            shape=shape,
            facts=tuple(fans(shape, owner).items()),
        )

    def _name(self, model: Any) -> str:
        """The optimizer's name; announced when it first steps."""
        optimizer = model.optimizer
        known = self._optimizers.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        kind, count = type(optimizer).__name__, len(self._optimizers)
        name = kind if not count else f"{kind}.{count + 1}"
        self._optimizers[id(optimizer)] = (weakref.ref(optimizer), name)
        source = self._sources.of(optimizer)
        payload = {
            "name": name,
            "class": kind,
            "parameters": len(model.trainable_variables),
            "lr": self._lr,
            "file": source.file,
            "line": source.line,
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)
        if not count:
            if (seed := get_random_seed()) is not None:
                set_by = {"function": "keras.utils.set_random_seed", "seed": str(seed)}
                self._recorder.add_event(EventKind.SEED, set_by)
            what = "activations, gradients, inputs and loss functions of Keras on JAX"
            self._recorder.add_event(EventKind.UNSEEN, {"what": what, "reason": _UNSEEN})
        return name


def _is_synced(model: Any) -> bool:
    return bool(getattr(model, "_jax_state_synced", True)) or model._jax_state is None


def _elements(model: Any) -> list[Values]:
    """The sampled elements of all trainable variables as they are between two steps."""
    if _is_synced(model):
        arrays: Sequence[Any] = [variable.value for variable in model.trainable_variables]
    else:
        arrays = model._jax_state["trainable_variables"]
    found = []
    for array in arrays:
        plan = flat_plan(tuple(array.shape))
        flat = np.asarray(array).reshape(-1)[:: plan.step][: plan.size]
        found.append(flat.astype(np.float32))
    return found
