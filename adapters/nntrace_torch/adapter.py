"""The PyTorch adapter: what the entry point `torch` of group `nntrace.adapters` names."""

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo
from nntrace_torch.tracer import Tracer


class TorchAdapter:
    """The entry point `torch` of group `nntrace.adapters`."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def install(self, recorder: Recorder) -> Undo:
        """Hook into PyTorch; return what takes everything off again."""
        self._tracer = Tracer(recorder)
        return self._tracer.install()

    def nothing_recorded(self) -> str:
        """Why there is no record."""
        if self._tracer is not None and self._tracer.parts.backward.seen:
            return (
                "torch computed gradients, but no optimizer of torch.optim made a step, and no "
                "weights were changed in place (a single tensor that is replaced in each step, as "
                "by `w = w - rate * w.grad`, is not followed)"
            )
        if self._tracer is not None and self._tracer.has_left_out_functions:
            return (
                "torch.func computed gradients, but not by parameters that were given to "
                "`torch.func.functional_call`, which are the only ones that are followed"
            )
        return "torch was imported, but no optimizer step happened"
