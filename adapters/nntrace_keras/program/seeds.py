"""Records the seeds set in TensorFlow."""

from typing import Any

from tensorflow.python.eager import context

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, before

_MANY_SEEDS = 64


def watch_seeds(recorder: Recorder) -> Undo:
    """Record the seed set before Keras was imported, and those set from now on."""
    seen = 0

    def seeded(seed: Any = None) -> None:
        nonlocal seen
        seen += 1
        if seen <= _MANY_SEEDS:
            payload = {"function": "tf.random.set_seed", "seed": str(seed)}
            recorder.add_event(EventKind.SEED, payload)

    observe = recorder.guard(seeded)
    if context.global_seed() is not None:
        observe(context.global_seed())
    return before(context, "set_global_seed", observe)
