"""Sees `model.optimizer.lr = 1e-4`, which changes nothing: Keras 3 knows no `lr`.

Keras 2 took it for `learning_rate`, and so do many callbacks that were written for it.
"""

import sys
from typing import Any

import keras
from keras.src.callbacks.callback_list import CallbackList

from nntrace.adapter.vain_settings import VainSettings
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, before
from nntrace_keras.program.settings import inner_optimizer
from nntrace_keras.program.sources import Source, caller, is_users

_SETTING = "lr"


class VainRates:
    """Looks at the attributes of a model's optimizer after each epoch of `fit`."""

    def __init__(self, recorder: Recorder) -> None:
        self._vain = VainSettings(recorder)
        self._look = recorder.guard(self._epoch_ends)

    def install(self) -> list[Undo]:
        """Watch the ends of epochs, where on JAX, too, the variables have their values."""
        return [before(CallbackList, "on_epoch_end", self._look)]

    def _epoch_ends(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        optimizer = getattr(callbacks.model, "optimizer", None)
        written = vars(optimizer).get(_SETTING) if optimizer is not None else None
        if written is None:
            return
        inner = inner_optimizer(optimizer)
        rate = inner._learning_rate
        # One of the program's own class may read it; a schedule has no value of its own.
        if type(inner).__module__.startswith("keras.") and isinstance(rate, keras.Variable):
            in_force = [float(rate.numpy())]
            modules = [sys.modules.get(type(one).__module__) for one in callbacks.callbacks]
            files = [file for module in modules if (file := getattr(module, "__file__", None))]
            near = [caller(), *(Source(file, None) for file in files if is_users(file))]
            name = type(inner).__name__
            self._vain.look(name, {_SETTING: written}, {_SETTING: in_force}, near)
