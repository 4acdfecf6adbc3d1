"""Settings for all tests (repeatable property tests, one thread per process), shared fixtures."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from processes import TRAIN

from nntrace.trace import Trace

# Also for subprocesses: the machine is shared, and sums must not depend on the number of cores.
os.environ["OMP_NUM_THREADS"] = "1"

# Property tests repeat exactly and are not timed.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Exempt what the test modules imported from garbage collection and from `gc.get_objects`.

    With two frameworks these are 600,000 objects, which every trace in this process would search
    for models and optimizers, and every full collection would walk.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def trace_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trace]:
    """Trace a training function in this process: `trace_here(program, every=1) -> Trace`.

    An error inside nntrace fails the test. The adapter's hooks and patches are always removed.
    """
    from tracing import tracing

    monkeypatch.setenv("NNTRACE_STRICT", "1")
    runs = (tmp_path / f"run-{number}" for number in range(100))

    def trace(program: Callable[[], object], *, every: int = 1) -> Trace:
        run = next(runs)
        with tracing(run, every=every) as recorder:
            program()
        assert recorder.failure is None
        assert recorder.opened, "nothing was recorded"
        return Trace.open(run)

    return trace


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `train.py` and without runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("NNTRACE")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (folder / "train.py").write_text(TRAIN)
    return folder
