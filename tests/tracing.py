"""Traces PyTorch in this process: installs the adapter on a recorder, and always undoes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.schema import RunStatus


@contextmanager
def tracing(run: Path, *, every: int | None = 1, budget: float = 0.02) -> Iterator[Recorder]:
    """Everything inside is traced into `run`, which is complete afterwards."""
    from nntrace_torch import TorchAdapter

    recorder = Recorder(run, Manifest.begin(run.name, (), {}), Cadence(budget, every))
    recorder.on_failure(TorchAdapter().install(recorder))
    try:
        yield recorder
    finally:
        recorder.close(RunStatus.FINISHED)
