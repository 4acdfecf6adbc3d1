"""Traces training in this process: installs an adapter on a recorder, and always undoes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.sampling import Sampling
from nntrace.schema import RunStatus


@contextmanager
def tracing(
    run: Path, *, every: int | None = 1, framework: str = "torch", **sampling: Any
) -> Iterator[Recorder]:
    """Everything inside is traced into `run`, which is complete afterwards."""
    if framework == "torch":
        from nntrace_torch import TorchAdapter as Adapter
    else:
        from nntrace_keras import KerasAdapter as Adapter

    chosen = Sampling(every=every, **sampling)
    cadence = Cadence(chosen.budget, every)
    recorder = Recorder(run, Manifest.begin(run.name, (), {}), cadence, sampling=chosen)
    recorder.on_failure(Adapter().install(recorder))
    try:
        yield recorder
    finally:
        recorder.close(RunStatus.FINISHED)
