import subprocess
import sys
import textwrap
from importlib.metadata import version

import numpy as np
import pytest

import nntrace
from nntrace.errors import ConfigError, NntraceError
from nntrace.schema import RunStatus

TRAINING = """
    import torch
    from torch import nn
    import nntrace

    def train(steps, log=None):
        for step in range(steps):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(torch.randn(8, 4)), torch.zeros(8, 2))
            loss.backward()
            optimizer.step()
            if log:
                log(loss)

    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""


# One process, as in a notebook: runs one after the other, training between them, the last one
# never stopped.
SEVERAL_RUNS = """
    train(3)
    tracing = nntrace.start(out="between", every=2)
    train(6)
    tracing.stop()
    train(3)

    with nntrace.start(out="block"):
        nntrace.log(start=7)
        train(3, lambda loss: nntrace.log(loss=loss, double=2 * loss.item()))
    try:
        with nntrace.start(out="failed block"):
            train(2)
            raise ValueError("oh")
    except ValueError:
        pass
    with nntrace.start(out="no numbers"):
        train(3, lambda loss: nntrace.log(name="cnn", vector=torch.zeros(2), fine=1))

    nntrace.start(out="not stopped")
    train(3)
    raise ValueError("at last")
"""


def run_program(folder, code, *prefix):
    script = folder / "train.py"
    script.write_text(textwrap.dedent(TRAINING) + textwrap.dedent(code))
    return subprocess.run(
        [*prefix, sys.executable, str(script)], cwd=folder, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def several_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    result = run_program(folder, SEVERAL_RUNS)
    return result, lambda name: nntrace.open(folder / name)


def test_a_run_started_after_the_framework_was_imported_holds_what_trained_in_between(several_runs):
    result, opened = several_runs
    trace = opened("between")
    assert len(trace.steps) == 6
    assert trace.sampled_steps.tolist() == [0, 2, 4]
    assert trace.status is RunStatus.FINISHED
    # The build (+cpu, +cu132) is not in the metadata of every wheel.
    assert trace.manifest.versions["torch"].split("+")[0] == version("torch").split("+")[0]
    assert "between: 6 steps, 3 sampled" in result.stderr


def test_what_was_not_stopped_ends_with_the_process(several_runs):
    result, opened = several_runs
    assert result.returncode == 1
    trace = opened("not stopped")
    assert (len(trace.steps), trace.status) == (3, RunStatus.FAILED)
    assert trace.manifest.error == "ValueError: at last"


def test_a_block_is_a_run_and_a_failed_block_a_failed_run(several_runs):
    _, opened = several_runs
    first, second = opened("block"), opened("failed block")
    assert (len(first.steps), first.status) == (3, RunStatus.FINISHED)
    assert (len(second.steps), second.status) == (2, RunStatus.FAILED)


def test_under_nntrace_run_there_is_one_run(tmp_path):
    result = run_program(
        tmp_path,
        """
        tracing = nntrace.start(out="mine")
        train(2, lambda loss: nntrace.log(mine=loss))
        tracing.stop()
        train(2)
        """,
        *(sys.executable, "-m", "nntrace", "run", "--out", "theirs"),
    )
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "mine").exists()
    trace = nntrace.open(tmp_path / "theirs")
    assert len(trace.steps) == 4
    assert list(trace.scalars) == ["mine"]


def test_logged_numbers_stand_at_the_step_they_were_logged_in(several_runs):
    _, opened = several_runs
    trace = opened("block")
    steps, values = trace.scalars["loss"]
    assert steps.tolist() == [1, 2, 3]
    assert np.allclose(values, trace.steps.loss)
    assert trace.scalars["start"][0].tolist() == [0]
    assert np.array_equal(trace.scalars["double"][1], 2 * values)


def test_what_is_no_number_is_said_once_and_never_raises(several_runs):
    result, opened = several_runs
    assert result.stderr.count("log(name=…) is not a number but str: not recorded.") == 1
    assert result.stderr.count("log(vector=…) is not a number but Tensor: not recorded.") == 1
    assert list(opened("no numbers").scalars) == ["fine"]


def test_log_does_nothing_without_a_run():
    nntrace.log(loss=1.0, name="cnn")


@pytest.mark.parametrize(
    "options", [{"budget": "lots"}, {"every": 0}, {"kinds": ["activations"]}, {"kinds": "weights"}]
)
def test_an_option_that_is_none_is_refused(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        nntrace.start(**options)


def test_a_folder_of_other_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("")
    with pytest.raises(NntraceError, match="holds other files"):
        nntrace.start(out=tmp_path)
