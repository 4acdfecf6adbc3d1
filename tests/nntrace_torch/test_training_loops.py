"""Every kind of training loop as a program of its own, in `training_loops/`.

Each is run bare and traced in this process: bit for bit the same, no error of nntrace's, and
nothing but information in the diagnosis, for they are all healthy.
"""

import runpy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch_versions import IS_2_4, IS_2_5
from tracing import tracing

from nntrace.diagnosis import diagnose
from nntrace.trace import Trace

PROGRAMS = sorted((Path(__file__).parent / "training_loops").glob("*.py"))


def outcome(names):
    """Everything a program trained, as bits, and the state of the random generator."""
    trained = {
        name: value.state_dict()
        for name, value in sorted(names.items())
        if isinstance(value, (nn.Module, torch.optim.Optimizer))
    }
    return bits(trained), bits(torch.get_rng_state())


def bits(value):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        value = torch.view_as_real(value) if value.is_complex() else value
        whole = value.contiguous().reshape(-1)
        return str(value.dtype), tuple(value.shape), whole.view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {str(key): bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return repr(value)


@pytest.mark.filterwarnings("ignore:.*prototype.*:UserWarning")  # nested tensors
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # PyTorch 2.12's own
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_real_program_is_traced_unchanged_and_found_healthy(tmp_path, monkeypatch, program):
    if program.stem == "ragged" and IS_2_4:
        pytest.skip("PyTorch 2.4 has no derivative of what this program does to nested tensors")
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    bare = outcome(runpy.run_path(str(program)))
    with tracing(tmp_path / "run") as recorder:
        traced = runpy.run_path(str(program))
    assert outcome(traced) == bare
    assert recorder.failure is None
    trace = Trace.open(tmp_path / "run")
    assert len(trace.steps) >= 12
    assert len(trace.table("stats")) > 0
    diagnosis = diagnose(trace)
    blamed = [f for f in diagnosis.findings if f.level.weight]
    # Linear layers give their biases no gradient from nested tensors there.
    known = ["GRD03"] if program.stem == "ragged" and IS_2_5 else []
    assert [f.code for f in blamed] == known, [f.message for f in blamed]
