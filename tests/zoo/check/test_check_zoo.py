"""One program of the zoo of probes in every test run; `make zoo` checks them all."""

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent


def test_a_view_for_a_transpose_fails_its_probe():
    spec = importlib.util.spec_from_file_location("check_zoo", HERE / "check_zoo.py")
    zoo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(zoo)
    (program,) = (p for p in zoo.programs("faulty") if p.stem == "PRB03_view_for_a_transpose")
    judged = zoo.judge(program, "--only", "PRB03", "--steps", "20")
    assert judged.problem == ""
