"""`nntrace check` on unmodified programs of Lightning and Hugging Face Trainer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"


@pytest.mark.parametrize(
    ("name", "arguments"), [("lightning_trainer", ["1"]), ("hf_trainer", ["out"])]
)
def test_a_healthy_program_of_a_trainer_passes(name, arguments, tmp_path):
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("NNTRACE")},
        "NNTRACE_STRICT": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.run(
        [
            *(sys.executable, "-m", "nntrace", "check", "--only", "1,2", "--format", "json"),
            *(sys.executable, str(PROGRAMS / f"{name}.py"), *arguments),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode in (0, 1), process.stderr
    report = json.loads(process.stdout)
    outcomes = {probe["code"]: probe["outcome"] for probe in report["probes"]}
    assert outcomes == {"PRB01": "passed", "PRB02": "passed"}, report["probes"]
    assert [made["failure"] for made in report["experiments"]] == [None] * 3
