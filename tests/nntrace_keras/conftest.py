"""Traces a Keras training in this process, with TensorFlow's log messages turned off."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tracing import tracing

from nntrace.trace import Trace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"


@pytest.fixture
def trace_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trace]:
    """`trace_keras(program, every=1) -> Trace`; an error inside nntrace fails the test."""
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    runs = (tmp_path / f"keras-{number}" for number in range(100))

    def trace(program: Callable[[], object], *, every: int = 1) -> Trace:
        run = next(runs)
        with tracing(run, every=every, framework="keras") as recorder:
            program()
        assert recorder.failure is None
        assert recorder.opened, "nothing was recorded"
        return Trace.open(run)

    return trace
