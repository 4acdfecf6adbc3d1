"""Finds dropout that a model in evaluation mode still applies, by functions that ignore the mode.

`functional.dropout(x, 0.5)` is in training mode unless it is given `training=self.training`, and
`scaled_dot_product_attention` has no mode at all. The functions are patched only while single
calls in evaluation mode are watched.
"""

from collections.abc import Callable
from typing import Any

from torch.nn import functional

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, after
from nntrace_torch.program.sources import Source, caller

_OF_A_MODE = ("dropout", "dropout1d", "dropout2d", "dropout3d")
_ATTENTION = "scaled_dot_product_attention"
_MODE_AT = 2  # place of `training` among their arguments
_RATE_AT = 4  # place of `dropout_p` among those of attention


class LastingDropout:
    """Watches the calls of a model in evaluation mode, one at a time.

    Attributes:
        name: the first function that dropped values in the last watched call; "" for none.
        source: the line that called that function.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._guard = recorder.guard
        self.name = ""
        self.source = Source("", 0)

    def watch(self) -> Undo:
        """Watch from now until the undo is called."""
        self.name = ""
        undos = [after(functional, name, self._guard(self._observer(name))) for name in _OF_A_MODE]
        undos.append(after(functional, _ATTENTION, self._guard(self._attended)))

        def undo() -> None:
            for one in reversed(undos):
                one()

        return undo

    def _observer(self, name: str) -> Callable[..., None]:
        def observe(result: Any, *args: Any, **kwargs: Any) -> None:
            # An explicit mode is intended: dropout that estimates how certain a model is.
            is_explicit = len(args) > _MODE_AT or "training" in kwargs
            rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            if not is_explicit and rate > 0:
                self._note(name)

        return observe

    def _attended(self, result: Any, *args: Any, **kwargs: Any) -> None:
        rate = args[_RATE_AT] if len(args) > _RATE_AT else kwargs.get("dropout_p", 0.0)
        if rate > 0:
            self._note(_ATTENTION)

    def _note(self, name: str) -> None:
        if not self.name:
            self.name, self.source = name, caller()
