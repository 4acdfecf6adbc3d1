"""The Keras adapter: finds out which backend Keras runs on and observes the training there."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo
from nntrace_keras.program.monitors import MonitorWatch
from nntrace_keras.program.vain_rates import VainRates
from nntrace_keras.trainers import TrainerObserver


def _interposed(
    recorder: Recorder, unobserved: Callable[[], AbstractContextManager[None]]
) -> list[Undo]:
    """Install the experiment of `nntrace check`; its own computations are `unobserved`."""
    if recorder.experiment is None:
        return []
    from nntrace_keras.probes import Interposer

    return Interposer(recorder, recorder.experiment, unobserved).install()


class KerasAdapter:
    """The entry point `keras` of group `nntrace.adapters`."""

    def __init__(self) -> None:
        self._backend = ""
        self._saw_gradient: Callable[[], bool] = lambda: False
        self._unseen: Callable[[], str] = str

    def install(self, recorder: Recorder) -> Undo:
        """Hook into Keras; return the function that removes all hooks."""
        self._backend = keras.backend.backend()
        # Imported here: each module needs the backend's framework.
        if self._backend == "tensorflow":
            from nntrace_keras.program.seeds import watch_seeds
            from nntrace_keras.training import Training

            training = Training(recorder)
            trainer = TrainerObserver(
                recorder, training.observer.prefix_of, training.passes, training.own_passes.kerass
            )
            training.follow_epochs(lambda: trainer.epoch)
            training.own_passes.is_kerass = lambda: trainer.is_evaluating
            self._saw_gradient = lambda: training.saw_gradient
            undos = [*_interposed(recorder, training.tapes.unobserved)]
            undos += [*training.install(), *trainer.install()]
            undos += [watch_seeds(recorder), *training.flags.install()]
            recorder.versions["tensorflow"] = sys.modules["tensorflow"].__version__
        elif self._backend == "torch":
            from nntrace_keras import on_torch
            from nntrace_keras.program.sources import Sources
            from nntrace_keras.stand_ins import watch_optimizers

            sources = Sources(recorder)
            # The PyTorch adapter observes everything else.
            undos = [*sources.install(), *on_torch.watch_models(recorder, sources)]
            undos += watch_optimizers(recorder, sources)
            undos += [*on_torch.watch_losses(recorder), *on_torch.watch_data(recorder)]
            undos += TrainerObserver(recorder).install(loaders=False)
        elif self._backend == "jax":
            from nntrace_keras.jax.held_out import HeldOutArrays
            from nntrace_keras.jax.training import JaxTraining

            followed = JaxTraining(recorder)
            trainer = TrainerObserver(recorder, entered=HeldOutArrays())
            followed.epoch = lambda: trainer.epoch
            self._unseen = lambda: followed.unseen
            undos = [*followed.install(), *trainer.install()]
            recorder.versions["jax"] = sys.modules["jax"].__version__
        else:
            reason = f"Keras on the {self._backend} backend is not observed"
            recorder.add_event(EventKind.UNSEEN, {"what": "training", "reason": reason})
            undos = []

        if undos:
            undos += [*MonitorWatch(recorder).install(), *VainRates(recorder).install()]

        def undo() -> None:
            for one in reversed(undos):
                one()

        return undo

    def nothing_recorded(self) -> str:
        """Explain why the run has no record."""
        if self._backend == "jax":
            if reason := self._unseen():
                return reason
            made = "no `fit` or `train_on_batch` made a step"
            return (
                f"{made}, and no function that the program gave to `jax.jit` after importing keras"
            )
        if self._backend not in ("tensorflow", "torch"):
            return f"keras ran on the {self._backend} backend, which is not observed"
        if self._saw_gradient():
            return "keras computed gradients, but no optimizer of keras.optimizers made a step"
        return "keras was imported, but no optimizer step happened"
