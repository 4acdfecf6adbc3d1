"""Train and eval mode of a model and of its mode-dependent layers during training forwards."""

from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.modules import Model


class ModeObserver:
    """Records the modes whenever they differ from the last sampled step's."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._last: dict[str, dict[str, int | bool]] = {}

    def observe(self, model: Model, module: nn.Module) -> None:
        """Look at the modes at the start of a training forward."""
        modes = modes_of(model, module)
        if self._last.get(model.prefix) != modes:
            self._last[model.prefix] = modes
            self._recorder.add_event(EventKind.MODE, {"model": model.prefix, **modes})


def modes_of(model: Model, module: nn.Module) -> dict[str, int | bool]:
    """The mode of a called module, and the numbers of its model's layers by mode."""
    return {
        "training": module.training,
        "dropout_active": sum(layer.training for layer in model.dropouts),
        "dropout_inactive": sum(not layer.training for layer in model.dropouts),
        "norm_active": sum(layer.training for layer in model.norms),
        "norm_inactive": sum(not layer.training for layer in model.norms),
    }
