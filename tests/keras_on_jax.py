"""Runs programs of Keras on JAX in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

from nntrace.trace import Trace

PROGRAMS = Path(__file__).parent / "nntrace_keras" / "programs"


def traced_runs(program, folder, *, strict=True):
    """What a program printed, and the folder of its runs; `strict` lets errors of ours end it."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / program), str(folder)],
        env={**os.environ, "KERAS_BACKEND": "jax", "NNTRACE_STRICT": "1" if strict else ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def traced(program, folder):
    """What a program printed, and its trace."""
    printed, _ = traced_runs(program, folder)
    return printed, Trace.open(folder)
