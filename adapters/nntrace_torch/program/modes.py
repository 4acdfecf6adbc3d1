"""The modes (train or eval) of a model and of its mode-dependent layers in training forwards."""

from collections.abc import Callable
from functools import partial

from torch import nn

from nntrace.adapter import described
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.samples.modules import Model

_OF_BUILT = 0.5  # weight of the values that running statistics were built with


class ModeObserver:
    """Records the modes whenever they differ from the last sampled step's."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._last: dict[str, dict[str, int | bool]] = {}
        self._seen: dict[str, Callable[[], dict[str, int | bool]]] = {}
        self._trained: dict[str, int] = {}

    def observe(self, model: Model, module: nn.Module) -> None:
        """Look at the modes at the start of a training forward."""
        description = described(module)
        if description is None:
            modes = modes_of(model, module)
            self._seen[model.prefix] = lambda: modes
        else:  # of Keras: known when its layers have been called
            self._seen[model.prefix] = partial(description.modes, module, training=True)
        if model.prefix not in self._trained:
            self._trained[model.prefix] = (
                _trained_norms(model) if description is None else description.trained_norms(module)
            )

    def forget(self) -> None:
        """Drop what was observed: it belongs to an evaluation."""
        self._seen.clear()

    def record(self) -> None:
        """Record the observed modes as those of the step that has been made."""
        for prefix, found in self._seen.items():
            modes = found()
            last = self._last.get(prefix)
            if last != modes:
                self._last[prefix] = modes
                before = {"norm_trained": self._trained[prefix]} if last is None else {}
                self._recorder.add_event(EventKind.MODE, {"model": prefix, **modes, **before})
        self._seen.clear()


def modes_of(model: Model, module: nn.Module) -> dict[str, int | bool]:
    """The mode of a called module, and the numbers of its model's layers by mode."""
    return {
        "training": module.training,
        "dropout_active": sum(layer.training for layer in model.dropouts),
        "dropout_inactive": sum(not layer.training for layer in model.dropouts),
        "norm_active": sum(layer.training for layer in model.norms),
        "norm_inactive": sum(not layer.training for layer in model.norms),
    }


def _trained_norms(model: Model) -> int:
    """The number of normalisation layers whose running statistics are those of earlier batches."""
    return sum(_has_settled(layer) for layer in model.norms)


def _has_settled(layer: nn.Module) -> bool:
    """Whether batches, and not the values they were built with, make most of its statistics."""
    batches = getattr(layer, "num_batches_tracked", None)
    if batches is None:
        return False
    momentum = getattr(layer, "momentum", None)  # None: the mean of all batches
    return bool(batches > 0 and (momentum is None or (1.0 - momentum) ** int(batches) < _OF_BUILT))
