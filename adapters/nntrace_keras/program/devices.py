"""Records on which device Keras trains, and whether the machine has a better one."""

import os
from typing import Any

import tensorflow as tf
from tensorflow.python.platform import build_info

from nntrace.adapter.devices import accelerator
from nntrace.recorder import Recorder
from nntrace.schema import EventKind


class DeviceObserver:
    """Records once on which device the variables are."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._has_recorded = False

    def look(self, variables: list[Any]) -> None:
        """Record the device of the variables with which an optimizer is called, the first time."""
        if self._has_recorded or not variables:
            return
        self._has_recorded = True
        variable = getattr(variables[0], "_value", variables[0])
        kind = (tf.DeviceSpec.from_string(variable.device).device_type or "CPU").lower()
        device = "cuda" if kind == "gpu" else kind
        payload = {
            "device": device,
            "accelerator": accelerator() if device == "cpu" else device,
            "supported": bool(build_info.build_info.get("is_cuda_build"))
            or bool(build_info.build_info.get("is_rocm_build")),
            "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        }
        self._recorder.add_event(EventKind.DEVICE, payload)
