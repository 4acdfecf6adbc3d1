"""Traces training in this process: installs an adapter on a recorder, and always undoes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nntrace.experiment import Experiment
from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.sampling import Sampling
from nntrace.schema import RunStatus


@contextmanager
def tracing(
    run: Path,
    *,
    every: int | None = 1,
    framework: str = "torch",
    experiment: Experiment | None = None,
    **sampling: Any,
) -> Iterator[Recorder]:
    """Everything inside is traced into `run`, which is complete afterwards.

    With an experiment of `nntrace check` the program inside is interfered with; it is not ended.
    """
    if framework == "torch":
        from nntrace_torch import TorchAdapter as Adapter
    else:
        from nntrace_keras import KerasAdapter as Adapter

    chosen = Sampling(every=every, **sampling)
    cadence = Cadence(chosen.budget, every)
    config = {} if experiment is None else {"experiment": asdict(experiment)}
    recorder = Recorder(
        run, Manifest.begin(run.name, (), config), cadence, sampling=chosen, experiment=experiment
    )
    recorder.on_failure(Adapter().install(recorder))
    try:
        yield recorder
    finally:
        recorder.close(RunStatus.FINISHED)
