"""Records in which mode a model is called: layers that behave differently in training tell."""

from collections.abc import Callable, Sequence

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.tape.under_tape import Mode, RootCall


class Modes:
    """The last mode of each model; a change is recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._known: dict[str, dict[str, object]] = {}

    def note(
        self,
        model: str,
        root: RootCall,
        modes: Sequence[Mode],
        trained_norms: Callable[[], int] | None = None,
    ) -> bool:
        """Record the mode of a call if it is a new one; return whether it is training.

        Args:
            model: its name in the trace.
            root: its call.
            modes: of the dropout and batch norm layers in it.
            trained_norms: counts the batch norms that have seen earlier batches; asked once; None
                if that is not known.
        """
        said = root.training
        is_plain = isinstance(said, bool)
        training = bool(said) if is_plain else any(mode.active for mode in modes) or not modes
        payload: dict[str, object] = {"training": training, **counts(modes)}
        if self._known.get(model) != payload:
            before: dict[str, object] = {}
            if trained_norms is not None and model not in self._known:
                before["norm_trained"] = trained_norms()
            self._known[model] = payload
            self._recorder.add_event(
                EventKind.MODE, {"model": model, **payload, **before, **root.source.place}
            )
        return training


def counts(modes: Sequence[Mode]) -> dict[str, int]:
    """The numbers of dropout and batch norm layers by mode, as fields of an event."""
    return {
        "dropout_active": sum(m.is_dropout and m.active for m in modes),
        "dropout_inactive": sum(m.is_dropout and not m.active for m in modes),
        "norm_active": sum(not m.is_dropout and m.active for m in modes),
        "norm_inactive": sum(not m.is_dropout and not m.active for m in modes),
    }
