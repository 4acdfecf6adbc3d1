"""Keras on JAX: `fit` is followed from outside, by its callbacks and the state between its steps.

The jitted step is left alone. The parameters before and after a sampled step give the true update;
what only the step itself knows a second computation finds, which runs before it.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import keras
import numpy as np
from keras.src.backend.jax.trainer import JAXTrainer
from keras.src.callbacks.callback_list import CallbackList

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.jax.differentiation import Differentiation
from nntrace_keras.jax.fit_losses import Accumulation, FitLosses, Later
from nntrace_keras.jax.keys import KeyOf, VariableKeys
from nntrace_keras.jax.loops import JaxLoops
from nntrace_keras.jax.optimizers import JaxOptimizers
from nntrace_keras.jax.origins import JaxOrigins
from nntrace_keras.jax.samples import Values, elements, sample
from nntrace_keras.jax.second import JaxSecond, Looked, inputs_of
from nntrace_keras.jax.steps import LoopSteps
from nntrace_keras.jax.watch import CannotComputeError, JaxWatch, Seen
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.compiled import CompiledLosses
from nntrace_keras.program.flags import FlagWatch
from nntrace_keras.program.left_out import LeftOutLayers
from nntrace_keras.program.modes import Modes
from nntrace_keras.program.names import Names
from nntrace_keras.program.sources import Sources
from nntrace_keras.samples.sites import Sites

_UNSEEN = "activations, gradients, inputs and loss functions of Keras on JAX"


class JaxTraining:
    """Follows every `fit`.

    Attributes:
        epoch: asked for the number of the pass over the data that goes on.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sources = Sources(recorder)
        self._compiled = CompiledLosses(recorder)
        self._names = Names()
        self._flags = FlagWatch(recorder, self._names.path)
        self._left_out = LeftOutLayers(recorder, self._sources, self._names.layer)
        self._keys = VariableKeys(self._names, self._sources)
        self._differentiation = Differentiation(recorder.guard)
        self._modes = Modes(recorder)
        self._first = ""
        self._sites = Sites(recorder)
        self._optimizers = JaxOptimizers(recorder, self._sources)
        self._samples = True
        self._drawn: list[Any] = []  # batches of the call that goes on
        self._losses = FitLosses()
        self._accumulation = Accumulation()
        self._lr: float | None = None
        self._before: list[Values] = []
        self._seconds: weakref.WeakKeyDictionary[Any, JaxSecond | None] = (
            weakref.WeakKeyDictionary()
        )
        self._origins: weakref.WeakKeyDictionary[Any, JaxOrigins] = weakref.WeakKeyDictionary()
        self._turn = 0
        self._looked: Looked | None = None
        self._batch_size: int | None = None
        self.epoch: Callable[[], int | None] = lambda: None
        self._loops = JaxLoops(
            recorder,
            self._differentiation,
            self._keys,
            LoopSteps(recorder, self._sites, self._keys, self._optimizers, lambda: self.epoch()),
            self._second,
        )

    def install(self) -> list[Undo]:
        """Watch constructors and callbacks."""
        guard = self._recorder.guard
        self._observe, self._notice = guard(self._gets), guard(self._gave)
        self._recorder.hooks.on_end(guard(self._finish))
        return [
            *self._sources.install(),
            *self._left_out.install(),
            *self._flags.install(),
            self._compiled.install(),
            *self._differentiation.install(),
            *self._loops.install(),
            after(JAXTrainer, "make_train_function", guard(self._wrap_step)),
            before(JAXTrainer, "train_on_batch", guard(self._begins_by_hand)),
            after(JAXTrainer, "train_on_batch", guard(self._made_by_hand)),
            before(CallbackList, "on_epoch_begin", guard(self._epoch_begins)),
            before(CallbackList, "on_train_batch_begin", guard(self._begins)),
            before(CallbackList, "on_train_batch_end", guard(self._ends)),
            before(CallbackList, "on_epoch_end", guard(self._epoch_ends)),
            before(CallbackList, "on_train_end", guard(self._trained)),
            self._unwrap_steps,
        ]

    @property
    def unseen(self) -> str:
        """Why a training loop of the program's own is not recorded; empty if none was seen."""
        return self._loops.unseen

    def _wrap_step(self, _: None, model: Any, *args: Any, **kwargs: Any) -> None:
        """`fit` has made the function that trains: see what it is given."""
        original = model.train_function
        if hasattr(original, "_nntrace_original"):
            return
        self._seconds[model] = self._second()
        self._left_out.look(model)
        of_model = weakref.ref(model)
        self._origins[model] = JaxOrigins(
            self._recorder,
            self._sources,
            of_model,
            self._watch,
            lambda: self._key_makers(of_model()),
        )

        def train_function(state: Any, iterator: Any) -> Any:
            if not self._recorder.active:
                return original(state, iterator)
            drawn = [next(iterator)]
            self._observe(model, state, drawn)
            with self._loops.aside():
                result = original(state, _noted(iterator, drawn))
            self._notice(model, result[1])
            return result

        train_function._nntrace_original = original  # type: ignore[attr-defined]
        model.train_function = train_function

    def _unwrap_steps(self) -> None:
        for model in self._seconds:
            original = getattr(model.train_function, "_nntrace_original", None)
            if original is not None:
                model.train_function = original

    def _second(self) -> JaxSecond:
        return JaxSecond(self._recorder, self._sources, self._watch, self._modes, self._prefix_of)

    def _prefix_of(self, model: Any) -> str:
        """The name of a model in the trace: empty for the first one."""
        path = self._names.layer(model)
        self._first = self._first or path
        return "" if path == self._first else path

    def _watch(self) -> JaxWatch:
        return JaxWatch(self._names.layer, self._compiled.caller, self._differentiation)

    def _gave(self, model: Any, state: Any) -> None:
        """A step has run, or is on its way."""
        if (origins := self._origins.get(model)) is not None:
            origins.ended(state)

    def _epoch_ends(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        if (origins := self._origins.get(callbacks.model)) is not None:
            origins.look()

    def _trained(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        if (origins := self._origins.get(callbacks.model)) is not None:
            origins.finish()

    def _finish(self) -> None:
        self._optimizers.schedules.finish()
        for origins in self._origins.values():
            origins.finish()

    def _gets(self, model: Any, state: Any, drawn: list[Any]) -> None:
        """A step is about to run, or several, which draw the rest of their batches themselves."""
        if (origins := self._origins.get(model)) is not None:
            origins.begins(state, drawn)
        [batch] = self._drawn = drawn
        self._before = elements(state[0]) if self._samples else []
        shapes = [leaf.shape for leaf in jax.tree_util.tree_leaves(batch)]
        self._batch_size = next((int(shape[0]) for shape in shapes if shape), None)
        self._looked = None
        second = self._seconds.get(model)
        if second is None or not self._before:
            return
        self._turn += 1
        try:
            step = _FitStep(model, self._key_makers(model))
            self._looked = next(iter(second.look(step, (state, batch), self._turn)), None)
        except CannotComputeError as error:
            self._seconds[model] = None
            reason = f"the step of {model.name} cannot be computed a second time: {error}"
            self._recorder.add_event(EventKind.UNSEEN, {"what": _UNSEEN, "reason": reason})

    def _epoch_begins(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        self._losses.reset()
        self._recorder.training_begins()

    def _begins(self, callbacks: Any, batch: int, logs: Any = None) -> None:
        self._reads_settings(callbacks.model)

    def _reads_settings(self, model: Any) -> None:
        """What of the optimizer can be read on the host while the model has its state."""
        if model.optimizer is None or not _is_synced(model):
            return
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        rate = getattr(optimizer, "_learning_rate", None)
        self._lr = float(rate) if isinstance(rate, keras.Variable) else None
        self._accumulation.calls = int(optimizer._iterations.value) if optimizer.built else 0

    def _begins_by_hand(self, model: Any, *args: Any, **kwargs: Any) -> None:
        """`train_on_batch`, which resets the metrics."""
        self._losses.reset()
        self._recorder.training_begins()
        self._reads_settings(model)

    def _ends(self, callbacks: Any, batch: int, logs: Any = None) -> None:
        self._made(callbacks.model)

    def _made_by_hand(self, _: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        self._made(model)

    def _made(self, model: Any) -> None:
        """What `fit` or `train_on_batch` has called the step's function for is done."""
        drawn, self._drawn = self._drawn, []
        if getattr(model, "_jax_state", None) is None or model.optimizer is None or not drawn:
            return
        self._recorder.open()
        if not (trained := model.trainable_variables):
            return
        steps = len(drawn)
        optimizer = self._optimizers.name(model.optimizer, trained, self._lr)
        loss = self._loss(model)
        inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        gathers = getattr(inner, "gradient_accumulation_steps", None) or 1
        if gathers > 1:
            steps, loss, size = self._accumulation.add(steps, loss, self._batch_size, gathers)
            if not steps:  # nor is anything sampled of a call that only gathers
                self._before = []
                return
            self._batch_size = size
        for number in range(steps):
            sampled = bool(self._before) and number == steps - 1
            after = self._changed(model) if sampled and len(drawn) == 1 else []
            if skipped := bool(after) and self._is_skipped(model, after):
                sampled = False
            if sampled:
                self._sample(model, after)
            self._samples = self._recorder.add_step(
                data_wait_ns=None,
                loss=loss,
                lr=self._lr,
                grad_norm=None,
                batch_size=self._batch_size if len(drawn) == 1 else None,
                optimizer=optimizer,
                phase="train",
                sampled=sampled,
                gradients_cleared=None,
                skipped=skipped,
            )
            self._optimizers.schedules.stepped(optimizer)
        self._before = []

    def _loss(self, model: Any) -> Later | None:
        found = self._losses.since_last(model)
        if found is None:
            return None
        loss, total = found
        if (origins := self._origins.get(model)) is not None:
            origins.lost(total)
        return loss

    def _changed(self, model: Any) -> list[Values]:
        """The parameters after the step."""
        return elements(model._jax_state["trainable_variables"])

    def _is_skipped(self, model: Any, after: Sequence[Values]) -> bool:
        """Whether a loss scale was too large for this step, which then changes nothing."""
        if self._looked is None or not hasattr(model.optimizer, "dynamic_scale"):
            return False
        stays = all(map(np.array_equal, self._before, after))
        return stays and not np.isfinite(self._looked.found.values).all()

    def _sample(self, model: Any, after: Sequence[Values]) -> None:
        """Hand over what was seen of the step, the parameters as they were, and as they are now if
        one step made them.
        """
        keys = list(zip(model.trainable_variables, self._key_makers(model), strict=True))
        number, size, epoch = self._recorder.steps, self._batch_size, self.epoch()
        self._recorder.add_sample(
            sample(number, self._sites, keys, self._looked, self._before, after, size, epoch)
        )

    def _key_makers(self, model: Any) -> list[KeyOf]:
        self._keys.learn(model)

        def name() -> str:
            return self._optimizers.name(model.optimizer, model.trainable_variables, self._lr)

        return self._keys.of(model.trainable_variables, model.optimizer, name)


class _FitStep:
    """The step of `fit` as Keras compiles it."""

    def __init__(self, model: Any, keys: Sequence[KeyOf]) -> None:
        self._model = model
        self._keys = keys

    def run(self, state: Any, batch: Any) -> None:
        """Make it of the state and a batch."""
        self._model.train_step(state, batch)

    def inputs(self, seen: Seen, arguments: Sequence[Any]) -> list[tuple[str, Any]]:
        """The inputs in the batch."""
        return inputs_of(arguments[1])

    def keys(self, seen: Seen) -> Sequence[KeyOf]:
        """Of the model's variables, if it is by these."""
        gradients = jax.tree_util.tree_leaves(seen.gradients[0])
        return self._keys if len(gradients) == len(self._keys) else ()


def _noted(iterator: Iterator[Any], drawn: list[Any]) -> Iterator[Any]:
    """The batches of one call, with the rest of those that it draws."""
    yield drawn[0]
    for batch in iterator:
        drawn.append(batch)
        yield batch


def _is_synced(model: Any) -> bool:
    return bool(getattr(model, "_jax_state_synced", True)) or model._jax_state is None
