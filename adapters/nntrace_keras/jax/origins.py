"""Records, once per run, where the first non-finite loss of a `fit` on JAX came from."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import unpack_x_y_sample_weight

from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.jax.kept import Again, KeptSteps
from nntrace_keras.jax.keys import KeyOf
from nntrace_keras.jax.search import Given, all_finite, search
from nntrace_keras.jax.watch import CannotComputeError, JaxWatch, Seen
from nntrace_keras.program.sources import Sources
from nntrace_keras.tape.loss_paths import told_apart

_MOST_SEARCHES = 3


class JaxOrigins:
    """Keeps the last steps of a model, and looks for the operation behind one that broke.

    Args:
        model: gives the one that trains.
        watch: makes what sees a step's calls while it is traced.
        keys: the sites of its trainable variables.
    """

    def __init__(
        self,
        recorder: Recorder,
        sources: Sources,
        model: Callable[[], Any],
        watch: Callable[[], JaxWatch],
        keys: Callable[[], Sequence[KeyOf]],
    ) -> None:
        self._recorder = recorder
        self._sources = sources
        self._model = model
        self._watch = watch
        self._keys = keys
        self._kept = KeptSteps()
        self._losses: list[Any] = []
        self._searches_left = _MOST_SEARCHES

    def begins(self, state: Any, batches: Sequence[Any]) -> None:
        """One step or several in one are about to be made; `batches` may still grow."""
        if not self._searches_left:
            return
        self.look(wait=self._kept.is_full)
        if self._kept.is_full and not all_finite(state[0]):
            self._look_back()  # the last step broke its gradients: the next loss will show it
        self._kept.begins(self._recorder.steps, state, batches)

    def ended(self, state: Any) -> None:
        """They were made, and gave back this."""
        if self._searches_left:
            self._kept.ended(state)

    def lost(self, total: Any) -> None:
        """The sum of all losses of the epoch, so far."""
        if self._searches_left:
            self._losses.append(total)

    def finish(self) -> None:
        """The training is over, for now."""
        self.look()
        self._kept.forget()

    def look(self, *, wait: bool = True) -> None:
        """See whether a loss is not finite; those that are still computed only with `wait`."""
        while self._losses and (wait or self._losses[0].is_ready()):
            if not np.isfinite(np.asarray(self._losses.pop(0))).all():
                self._look_back()
                return

    def _look_back(self) -> None:
        self._losses.clear()
        self._searches_left -= 1
        with self._recorder.setting_up():
            self._search()
        self._kept.forget()

    def _search(self) -> None:
        """Make the kept steps again, up to the first after which the weights are not finite."""
        started = time.perf_counter()
        step = jax.jit(self._model().train_step)
        for again in self._kept.again(lambda state, batch: step(state, batch)[1]):
            if not all_finite(again.state[0]) or not all_finite(again.result[0]):
                found = self._found(again)
                # Weights that were broken when the first kept step began are no origin.
                if found is not None and (found["where"] != "weights" or again.number == 0):
                    self._searches_left = 0
                    cost = round(1000 * (time.perf_counter() - started), 1)
                    payload = {**found, "step": again.number, "notes": [], "replay_ms": cost}
                    self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")
                return

    def _found(self, again: Again) -> dict[str, Any] | None:
        keys = self._keys()
        parameters = [key_of(Role.PARAM).path for key_of in keys]
        arguments = (again.state, again.batch)

        def named(seen: Seen) -> Given:
            first = len(jax.tree_util.tree_leaves(again.state))
            return Given(_data(again.batch, seen, first), dict(enumerate(parameters)))

        run = self._model().train_step
        try:
            found = search(self._watch(), run, arguments, named, parameters, self._sources)
        except CannotComputeError:
            return None
        if found is not None and found["where"] == "update":
            what = f"in its `{found['op']}` {found['what']}"
            return {**found, "op": type(self._model().optimizer).__name__, "what": what}
        return found


def _data(batch: Any, seen: Seen, first: int) -> dict[int, str]:
    """What the parts of a batch are called, by their place among a step's arguments."""
    inputs, targets, weights = unpack_x_y_sample_weight(batch)
    names = input_names(inputs)
    paths = [at.path for at in told_apart([c for c in seen.losses if c.prediction.ndim])]
    count = len(jax.tree_util.tree_leaves(targets))
    names += [paths[n] if n < len(paths) else "target" for n in range(count)]
    names += ["sample_weight"] * len(jax.tree_util.tree_leaves(weights))
    return {first + number: name for number, name in enumerate(names)}


def input_names(inputs: Any) -> list[str]:
    """As the model's call names them."""
    if isinstance(inputs, dict):
        return [f"input.{name}" for name in sorted(inputs)]
    return [f"input.{number}" for number in range(len(jax.tree_util.tree_leaves(inputs)))]
