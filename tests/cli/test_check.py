"""`nntrace check` as a user calls it: real children, real scripts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from cli.commands import Command

from nntrace.trace import Trace

SCRIPT = """
import os, sys, torch
from torch.nn import functional

torch.manual_seed(0)
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
x = torch.randn(60, 4)
y = x[:, :3].argmax(1)
open("elsewhere.txt", "w").write("x")
open(os.environ["OUTSIDE"], "w").write("x")
torch.save(x, os.environ["OUTSIDE"] + ".pt")
for number in range(3):
    open(f"{os.environ['OUTSIDE']}.{number}", "w").write("x")
print("noise of the script")
for step in range(int(os.environ.get("STEPS", 10_000))):
    chosen = torch.randint(0, 60, (6,))
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(x[chosen]), y[chosen])
    loss.backward()
    optimizer.step()
    torch.save(model.state_dict(), "model.pt") if step % 50 == 0 else None
print("last loss", loss.item().hex())
"""


def trained(folder, copy):
    """What the script prints, and the files it leaves, without nntrace; in a copy of its folder."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checked"))
    env = {**os.environ, "OUTSIDE": str(copy / "outside.txt"), "STEPS": "60"}
    words = [sys.executable, "train.py"]
    done = subprocess.run(words, cwd=copy, env=env, capture_output=True, text=True, check=True)
    assert "last loss 0x" in done.stdout
    return done.stdout, {path.name: path.read_bytes() for path in copy.iterdir()}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The folder, the process of one check of one script, and what the script did before it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "model.pt").write_bytes(b"precious")
    outside = folder.parent / "outside.txt"
    before = trained(folder, folder.parent / "before")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nntrace", "check", "--only", "1,3", "--steps", "60"),
            *("--format", "json", "--out", "checked", "train.py"),
        ],
        cwd=folder,
        env={**os.environ, "NNTRACE_STRICT": "1", "OUTSIDE": str(outside)},
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, done, before


def test_the_script_does_afterwards_what_it_did_before(checked, tmp_path):
    folder, _, before = checked
    assert trained(folder, tmp_path / "after") == before


def test_a_healthy_script_passes(checked):
    _, done, _ = checked
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    outcomes = {probe["code"]: probe["outcome"] for probe in report["probes"]}
    assert outcomes == {"PRB01": "passed", "PRB03": "passed"}
    assert report["schema"] == 1
    assert report["run"]["name"] == "baseline"


def test_what_the_script_wrote_is_gone_and_what_was_there_is_not(checked):
    folder, *_ = checked
    assert sorted(path.name for path in folder.iterdir()) == ["checked", "model.pt", "train.py"]
    assert (folder / "model.pt").read_bytes() == b"precious"


def test_what_cannot_be_contained_is_said(checked):
    folder, done, _ = checked
    outside = str(folder.parent / "outside.txt")
    by_native_code = f"{outside}.pt"
    shown = f"{outside}, {by_native_code}, {outside}.0 and 2 more"
    assert f"the script wrote outside the sandbox: {shown}" in done.stderr
    report = json.loads(done.stdout)
    others = [f"{outside}.{number}" for number in range(3)]
    assert report["written_outside"] == [outside, by_native_code, *others]
    assert report["changed_meanwhile"] == []


def test_the_scripts_own_output_is_kept_apart(checked):
    folder, done, _ = checked
    assert "noise" not in done.stdout + done.stderr
    assert "noise" in (folder / "checked" / "baseline.log").read_text()


def test_each_experiment_is_a_run_of_its_own(checked):
    folder, *_ = checked
    runs = {path.parent.name for path in (folder / "checked").glob("*/manifest.json")}
    assert runs == {"baseline", "overfit", "repeat"}
    baseline = Trace.open(folder / "checked" / "baseline")
    assert len(baseline.steps) == 60
    assert baseline.manifest.cwd == str(folder)
    assert {site.file for site in baseline.sites} <= {str(folder / "train.py"), None}
    batch = Trace.open(folder / "checked" / "overfit")
    assert batch.experiment.interferes
    assert batch.steps.loss[-1] < 0.1 * batch.steps.loss[0]


def test_a_diagnosis_of_the_baseline_says_the_same(checked, nntrace: Command):
    folder, done, _ = checked
    again = nntrace("diagnose", folder / "checked" / "baseline", "--format", "json")
    found = json.loads(again.out)["findings"]
    assert [f["code"] for f in found] == [f["code"] for f in json.loads(done.stdout)["findings"]]


def test_a_script_that_does_not_train_is_bad_input(nntrace: Command, tmp_path):
    (tmp_path / "broken.py").write_text("raise SystemExit('no data here')")
    result = nntrace("check", "broken.py")
    assert result.code == 2
    assert "no data here" in result.err
    assert "baseline.log" in result.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_check_leaves_no_process_behind(tmp_path, number, code):
    told = tmp_path / "told"
    script = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(script)
    words = [sys.executable, "-m", "nntrace", "check", "train.py"]
    process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True)
    while not (told.exists() and told.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_wrong_probes_are_bad_input(nntrace: Command, tmp_path):
    (tmp_path / "train.py").write_text("")
    assert nntrace("check", "--only", "PRB77", "train.py").code == 2
    assert nntrace("check", "--only", "LOS01", "train.py").code == 2
    assert nntrace("check", "missing.py").code == 2


def test_the_card_of_a_run_of_the_same_command_counts_the_probes(checked, nntrace: Command):
    folder, *_ = checked
    card = json.loads(nntrace("recipe", folder / "checked" / "baseline", "--format", "json").out)
    steps = {step["number"]: step for step in card["steps"]}
    assert "→" in steps["2.10"]["evidence"]
    assert steps["2.10"]["state"] == "verified"
    assert steps["2.17"]["state"] == "verified"
