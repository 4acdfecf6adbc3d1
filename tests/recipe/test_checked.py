"""The probes of a check count on the card of an ordinary run of the same command."""

from dataclasses import asdict

import pytest

from nntrace.diagnosis import Diagnosis
from nntrace.experiment import BASELINE, Experiment
from nntrace.manifest import Manifest
from nntrace.recipe.checked import find_check, with_probes
from nntrace.rules import Finding, Skipped
from nntrace.trace import Trace


@pytest.fixture
def home(tmp_path):
    for name, command, started in [
        ("a-check", ("train.py",), 5),
        ("b-check", ("train.py",), 7),
        ("c-check", ("train.py", "--lr", "1"), 9),
    ]:
        folder = tmp_path / name / BASELINE
        folder.mkdir(parents=True)
        config = {"experiment": asdict(Experiment())}
        manifest = Manifest(name, command=command, cwd="/x", started_ns=started, config=config)
        manifest.write(folder)
    (tmp_path / "no-run").mkdir()
    return tmp_path


def run(*command, **settings):
    return Trace.from_rows(manifest=Manifest("run", command=command, cwd="/x", **settings))


def test_the_newest_check_of_the_same_command_is_found(home):
    assert find_check(run("train.py"), home) == home / "b-check" / BASELINE
    assert find_check(run("other.py"), home) is None
    assert find_check(run(), home) is None


def test_a_run_of_a_check_looks_for_no_other(home):
    own = run("train.py", config={"experiment": asdict(Experiment())})
    assert find_check(own, home) is None


def test_what_the_probes_said_takes_the_place_of_their_silence():
    passive = Finding("m", code="LOS01")
    diagnosis = Diagnosis((passive,), (Skipped("only a check", "PRB01"),), frozenset({"LOS01"}))
    probes = Diagnosis((Finding("n", code="PRB02"),), (), frozenset({"PRB01", "PRB02"}))
    merged = with_probes(diagnosis, probes)
    assert [finding.code for finding in merged.findings] == ["LOS01", "PRB02"]
    assert merged.skipped == ()
    assert {"LOS01", "PRB01"} <= merged.judged
