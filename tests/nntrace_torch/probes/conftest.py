import pytest
import torch
from tracing import tracing

from nntrace.experiment import Experiment
from nntrace.trace import Trace


@pytest.fixture
def under(tmp_path, monkeypatch):
    """Run a program under an experiment: `under(program, pinned=True) -> Trace`."""
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    state = torch.get_rng_state()
    torch.manual_seed(0)
    folders = (tmp_path / f"run-{number}" for number in range(9))

    def run(program, **changes):
        folder = next(folders)
        with tracing(folder, every=5, experiment=Experiment("try", **changes)):
            program()
        return Trace.open(folder)

    yield run
    torch.set_rng_state(state)
