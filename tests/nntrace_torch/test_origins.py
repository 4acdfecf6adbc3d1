"""Every program's first non-finite value is traced to its operation and its line."""

import pytest
import torch
from nonfinite_programs import PROGRAMS
from tracing import tracing

from nntrace.trace import Trace

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:var\\(\\).*degrees of freedom:UserWarning"),
]


def origins_of(name, folder, monkeypatch):
    """The `origin` events of one program, run in this process."""
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    file = folder / "train.py"
    file.write_text(PROGRAMS[name].source)
    code = compile(file.read_text(), str(file), "exec")
    with tracing(folder / "run", every=None) as recorder:
        exec(code, {"__name__": "__main__", "__file__": str(file)})
    if "torch.compile" in PROGRAMS[name].source:
        torch._dynamo.reset()
    assert recorder.failure is None
    return Trace.open(folder / "run").events_of("origin"), str(file)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_origin_is_named(name, tmp_path, monkeypatch):
    expected = PROGRAMS[name]
    events, file = origins_of(name, tmp_path, monkeypatch)
    assert events, "no origin was recorded"
    origin = events[0].payload
    shown = f"{origin}"
    assert origin["where"] == expected.where, shown
    assert origin.get("op", "") == expected.op, shown
    if expected.line is not None:
        assert (origin["file"], origin["line"]) == (file, expected.line), shown
        assert "# born" in origin["source"]
    assert origin.get("step", events[0].step) == expected.step, shown
    assert origin["replay_ms"] < 5000
