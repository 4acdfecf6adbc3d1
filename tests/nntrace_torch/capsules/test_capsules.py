"""The step that broke is kept whole enough to be played again, and never more than is allowed."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nntrace_torch import tracer as tracer_module
from nntrace_torch.capsules import capsules as module_under_test
from processes import traced, write
from safetensors.torch import load_file
from terminals import in_a_terminal
from torch import nn
from torch.nn import functional as F
from tracing import tracing

from nntrace.cli import main
from nntrace.replay import Outcome, list_capsules
from nntrace.replay.text import outcome_content
from nntrace.trace import Trace

# `broken` is a plain attribute, `step` a name in a frame: both decide where the value breaks.
TRAIN = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.drop, self.fc2 = nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3)
        self.power = 1

    def forward(self, batch):
        h = self.drop(F.relu(self.fc1(batch["x"])))
        return self.fc2(h) ** self.power

def loss_of(out, y, step):
    kept = (y >= 0) & (step < 25)
    return (F.cross_entropy(out, y, reduction="none") * kept).sum() / kept.sum()  # origin

def main():
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(26):
        batch = {"x": torch.randn(8, 4) + (100 if step == 22 else 0)}
        y = torch.randint(0, 3, (8,))
        optimizer.zero_grad()
        loss = loss_of(model(batch), y, step)
        loss.backward()
        optimizer.step()

main()
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder with a program that jumps at step 22 and breaks at step 25, and its run."""
    folder = tmp_path_factory.mktemp("program")
    write(folder, "train.py", TRAIN)
    process = traced(folder, "--out", "run", "train.py")
    assert process.returncode == 0, process.stderr
    (folder / "nntrace-runs").mkdir()
    (folder / "nntrace-runs" / "run").symlink_to(folder / "run")
    return folder


def replay(folder, *words):
    """As from another folder than the one it ran in."""
    command = [sys.executable, "-m", "nntrace", "replay", "../run", *words]
    return subprocess.run(
        command, cwd=folder / "nntrace-runs", capture_output=True, text=True, timeout=120
    )


def test_the_step_that_broke_and_the_one_that_jumped_are_kept(program):
    kept = {capsule.reason: capsule for capsule in list_capsules(program / "run")}
    assert {reason: capsule.step for reason, capsule in kept.items()} == {
        "loss_spike": 22,
        "nonfinite": 25,
    }
    broken = kept["nonfinite"]
    tensors = load_file(broken.file.with_suffix(".safetensors"))
    assert tensors["call.0.0.x"].shape == (8, 4)
    assert tensors["module.0.fc1.weight"].shape == (6, 4)
    names = {name: value for f in broken.content["frames"] for name, value in f["names"].items()}
    assert names["step"] == {"value": 25}
    assert names["y"]["tensor"] in tensors


def test_a_broken_step_breaks_again_in_the_same_operation(program):
    process = replay(program, "--yes")
    assert process.returncode == 0, process.stderr
    line = 1 + TRAIN.splitlines().index(next(t for t in TRAIN.splitlines() if "# origin" in t))
    assert "reproduced: step 25: `div` in the loss gives the first NaN" in process.stdout
    assert f"train.py:{line} in loss_of" in process.stdout
    assert "Next:" not in process.stderr  # nothing was recorded that could be looked at


def test_a_loss_that_jumped_is_computed_again(program):
    [spike] = [c for c in list_capsules(program / "run") if c.reason == "loss_spike"]
    process = replay(program, "--yes", "--capsule", str(spike.number))
    assert "the loss was" in process.stdout
    assert "input of input.0.x" in process.stdout
    assert spike.calls[0]["random"] is not None
    assert process.returncode == 0, process.stdout


def documented() -> list[str]:
    page = Path(__file__).parents[3] / "docs" / "torch.md"
    return re.findall(r"^\$ nntrace replay (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("words", documented())
def test_every_documented_command_does_what_it_says(program, words):
    arguments = words.split()
    answers = {"Run it?": "y\n"} if not {"--list", "--"} & set(arguments) else {}
    answers |= {"(Pdb)": "q\n"} if "--pdb" in arguments else {}
    command = [sys.executable, "-m", "nntrace", "replay", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    code, shown = in_a_terminal(command, program, answers, {**os.environ, "PATH": path})
    assert code == 0, shown
    assert ("the loss jumped" if "--list" in arguments else "loss_of") in shown


def test_the_recorded_command_is_not_run_without_the_users_word(program):
    process = replay(program)
    assert process.returncode == 2
    assert "Give --yes" in process.stderr


def test_the_answer_as_json_says_what_was_recorded_and_what_came_of_it(program, tmp_path):
    capsule = copied(program, tmp_path)
    outcome = Outcome(capsule.origin, math.nan, ("a note",), tmp_path)
    content = outcome_content(tmp_path / "run", capsule, outcome, ["train.py"])
    assert (content["reproduced"], content["capsule"]["step"]) == (True, 25)
    assert content["origin"] == content["recorded"]
    assert content["origin"]["location"]["source"].endswith("# origin")
    assert (content["notes"], content["changed_files"]) == (["a note"], ["train.py"])
    elsewhere = replace(outcome, origin={**capsule.origin, "op": "log"})
    assert not outcome_content(tmp_path / "run", capsule, elsewhere, [])["reproduced"]
    assert (
        outcome_content(tmp_path / "run", capsule, replace(outcome, origin=None), [])["origin"]
        is None
    )


def copied(program, folder):
    """A copy of the run and the capsule of the step that broke in it."""
    shutil.copytree(program / "run", folder / "run", symlinks=True)
    return next(c for c in list_capsules(folder / "run") if c.reason == "nonfinite")


@pytest.fixture
def refusal(tmp_path, capsys):
    """Run the command in this process; what it says when it refuses."""

    def say(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["replay", str(tmp_path / "run"), *words])
        assert ended.value.code == 2
        return capsys.readouterr().err

    return say


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_tensors_that_were_cut_off_are_refused_before_anything_is_started(
    program, tmp_path, kept, refusal
):
    file = copied(program, tmp_path).file.with_suffix(".safetensors")
    file.write_bytes(file.read_bytes()[:kept])
    assert "is damaged or was cut off: copy it from the run again" in refusal("--yes")


@pytest.mark.parametrize("header", [b"[]", b'{"a": 1}', b'{"a": {"data_offsets": [0]}}', b"{"])
def test_tensors_that_are_none_are_refused_before_anything_is_started(
    program, tmp_path, header, refusal
):
    file = copied(program, tmp_path).file.with_suffix(".safetensors")
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert "is damaged or was cut off" in refusal("--yes")


def test_a_capsule_without_its_tensors_is_said_to_have_lost_them(program, tmp_path, refusal):
    folder = copied(program, tmp_path).file.parent
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert "has lost its tensors: capsule-000.safetensors is not beside it" in refusal()


def test_an_unknown_option_is_one_of_this_command(program, tmp_path, refusal):
    copied(program, tmp_path)
    assert "no such option: --capsul. `nntrace replay --help`" in refusal("--capsul", "1")


def train(model, losses):
    """One backward pass for each loss function of the model, a step where it is finite."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for loss_of in losses:
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        if loss.isfinite():
            optimizer.step()


def broken(model):
    x = torch.randn(8, 4)
    return F.mse_loss(model(x), torch.full((8, 3), math.nan))


def finite(model):
    x = torch.randn(8, 4)
    return F.mse_loss(model(x), torch.zeros(8, 3))


def capsules_of(folder, model, losses, **options):
    with tracing(folder / "run", every=None, **options) as recorder:
        train(model, losses)
    assert recorder.failure is None
    return list_capsules(folder / "run")


def test_no_more_than_four_broken_steps_are_kept(tmp_path):
    assert len(capsules_of(tmp_path, nn.Linear(4, 3), [broken, finite] * 6)) == 4


def test_nothing_is_kept_when_nothing_is_wanted(tmp_path):
    assert capsules_of(tmp_path, nn.Linear(4, 3), [finite, broken], capsules=False) == []


def test_a_mask_of_dropout_is_found_in_steps_too_short_to_note_the_random_state(
    tmp_path, monkeypatch
):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop, self.mask = nn.Linear(4, 200), nn.Dropout(0.01), None
            self.breaks = False

        def forward(self, x):
            h = self.drop(self.fc(x).square() + 1)
            self.mask = h[0] == 0
            return h.log().sum(1) if self.breaks else h.sum(1)  # −∞ where dropped

    monkeypatch.setattr(tracer_module, "_WORTH_HOOKS_NS", 1 << 62)  # however slow the machine
    torch.manual_seed(0)
    model = Net()
    with tracing(tmp_path / "run", every=None):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for step in range(12):
            model.breaks = step == 11
            optimizer.zero_grad()
            out = model(torch.randn(1, 4))
            out.mean().backward()
            optimizer.step()
    dropped = int(model.mask.sum())
    [origin] = [e.payload for e in Trace.open(tmp_path / "run").events_of("origin")]
    assert origin["op"] == "log"
    assert origin["what"].startswith(f"{dropped} of 200 arguments of log")
    assert origin["index"] == [0, int(model.mask.nonzero()[0])]
    [capsule] = list_capsules(tmp_path / "run")
    state = load_file(capsule.file.with_suffix(".safetensors"))["random.0"]
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        assert torch.equal(nn.functional.dropout(torch.ones(200), 0.01) == 0, model.mask)


def test_random_numbers_of_others_are_said_not_to_be_kept(tmp_path):
    class Net(nn.Linear):
        def forward(self, x):
            return super().forward(x) * random.random() / (x * 0).sum()

    with tracing(tmp_path / "run", every=None):
        train(Net(4, 3), [lambda model: model(torch.randn(8, 4)).mean()])
    [event] = Trace.open(tmp_path / "run").events_of("origin")
    assert event.payload["op"] == "div"
    assert "Python's `random`, whose state was not kept" in event.payload["notes"][0]


def test_of_a_large_model_the_module_that_broke_is_kept(tmp_path, monkeypatch):
    class Root(nn.Module):
        def forward(self, x):
            return torch.log(x - 1000)

    model = nn.Sequential(
        nn.Linear(4, 64), nn.Linear(64, 3), nn.Sequential(nn.Linear(3, 3), Root())
    )
    monkeypatch.setattr(module_under_test, "CAPSULE_BYTES", 1500)
    [capsule] = capsules_of(tmp_path, model, [finite])
    [module] = capsule.modules
    assert module["whole"] is False
    assert module["tensors"] == {}  # the logarithm has no parameters
    assert any("weights" in what for what in capsule.left_out)
    assert capsule.bytes < 50_000


def test_what_is_no_tensor_is_named_and_never_pickled(tmp_path):
    class Strange:
        pass

    class Net(nn.Linear):
        def forward(self, x, how, scale=None):
            return super().forward(x) * scale

    def loss_of(model):
        return model(torch.randn(8, 4), Strange(), scale=math.inf).mean()

    [capsule] = capsules_of(tmp_path, Net(4, 3), [loss_of])
    [call] = capsule.calls
    assert call["args"][1] == {"unsaved": "Strange"}
    assert call["kwargs"]["scale"] == {"number": "inf"}
    json.loads(capsule.file.read_text(), parse_constant=lambda name: pytest.fail(name))
