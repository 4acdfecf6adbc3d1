"""Names the optimizers that Keras steps on JAX, and records each when it first does."""

import os
import weakref
from typing import Any

import jax
from keras.src.utils.rng_utils import get_random_seed

from nntrace.adapter.devices import accelerator
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.settings import settings
from nntrace_keras.program.sources import Sources


class JaxOptimizers:
    """Keeps none of them alive."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._known: dict[int, tuple[weakref.ref[Any], str]] = {}

    def name(self, model: Any, lr: float | None) -> str:
        """The optimizer's name; announced when it first steps."""
        optimizer = model.optimizer
        known = self._known.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        kind, count = type(optimizer).__name__, len(self._known)
        name = kind if not count else f"{kind}.{count + 1}"
        self._known[id(optimizer)] = (weakref.ref(optimizer), name)
        source = self._sources.of(optimizer)
        payload = {
            "name": name,
            "class": kind,
            "parameters": len(model.trainable_variables),
            "lr": lr,
            **settings(getattr(optimizer, "inner_optimizer", optimizer)),
            "loss_scaling": hasattr(optimizer, "inner_optimizer"),
            "file": source.file,
            "line": source.line,
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)
        if not count:
            self._recorder.add_event(EventKind.DEVICE, _device(model))
        if not count and (seed := get_random_seed()) is not None:
            set_by = {"function": "keras.utils.set_random_seed", "seed": str(seed)}
            self._recorder.add_event(EventKind.SEED, set_by)
        return name


def _device(model: Any) -> dict[str, Any]:
    """The payload of a `device` event: where the parameters are, and what JAX could use."""
    kind = next(iter(model.trainable_variables[0].value.devices())).platform
    device = "cuda" if kind == "gpu" else kind
    return {
        "device": device,
        "accelerator": accelerator() if device == "cpu" else device,
        "supported": jax.default_backend() != "cpu",
        "threads": os.cpu_count(),
    }
