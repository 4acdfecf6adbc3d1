"""Names the optimizers that Keras steps on JAX, and records each when it first does."""

import os
import weakref
from collections.abc import Sequence
from typing import Any

import jax
from keras.src.utils.rng_utils import get_random_seed

from nntrace.adapter.devices import accelerator
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.schedules import ScheduleObserver
from nntrace_keras.program.settings import inner_optimizer, settings
from nntrace_keras.program.sources import Sources


class JaxOptimizers:
    """Keeps none of them alive."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._known: dict[int, tuple[weakref.ref[Any], str]] = {}
        self.schedules = ScheduleObserver(recorder, sources)

    def name(self, optimizer: Any, variables: Sequence[Any], lr: float | None) -> str:
        """The name of an optimizer of these variables; announced when it first steps."""
        known = self._known.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        inner, count = inner_optimizer(optimizer), len(self._known)
        kind = type(inner).__name__
        name = kind if not count else f"{kind}.{count + 1}"
        self._known[id(optimizer)] = (weakref.ref(optimizer), name)
        payload = {
            "name": name,
            "class": kind,
            "parameters": len(variables),
            "lr": lr,
            **settings(inner),
            **self._sources.of(optimizer).place,
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)
        self.schedules.announce(inner, name)
        if not count:
            self._recorder.add_event(EventKind.DEVICE, _device(variables))
        if not count and (seed := get_random_seed()) is not None:
            set_by = {"function": "keras.utils.set_random_seed", "seed": str(seed)}
            self._recorder.add_event(EventKind.SEED, set_by)
        return name


def _device(variables: Sequence[Any]) -> dict[str, Any]:
    """The payload of a `device` event: where the parameters are, and what JAX could use."""
    # Of the array, which may be gone by now, where it was is still known.
    kind = next(iter(variables[0].value.sharding.device_set)).platform
    device = "cuda" if kind == "gpu" else kind
    return {
        "device": device,
        "accelerator": accelerator() if device == "cpu" else device,
        "supported": jax.default_backend() != "cpu",
        "threads": os.cpu_count(),
    }
