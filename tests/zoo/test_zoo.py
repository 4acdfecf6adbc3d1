"""Programs of the zoo under the real CLI: faults are named, health is left alone.

The first PyTorch program of every second family on each side, one of Keras on each, and two whole
programs: all of them (`make zoo`) take long.
"""

import re
from collections import Counter
from pathlib import Path

import pytest
from zoo.calibration import Calibration, page
from zoo.zoo import CAUSES, ELSEWHERE, KERAS, NOT_IN_KERAS, code_of, judge, programs

from nntrace.rules import select_rules

CALIBRATION = Path(__file__).parents[2] / "docs" / "calibration.md"
EVERY = 5  # pinned: what is sampled must not depend on how busy the machine is


def representative(side):
    """The first program of families of rules, in each framework: other ones on the other side."""
    families, keras = {}, {}
    for program in programs(side):
        is_keras = KERAS in program.stem
        (keras if is_keras else families).setdefault(code_of(program)[:3], program)
    other = side == "healthy"
    return [*list(families.values())[other::2], list(keras.values())[other]]


@pytest.mark.parametrize("program", representative("faulty"), ids=lambda program: program.stem)
def test_a_faulty_program_is_reported_under_its_code(program, tmp_path):
    assert judge(program, tmp_path, EVERY).problem == ""


@pytest.mark.parametrize("program", representative("healthy"), ids=lambda program: program.stem)
def test_a_healthy_program_is_left_alone(program, tmp_path):
    assert judge(program, tmp_path, EVERY).problem == ""


@pytest.mark.parametrize("program", programs("whole")[::24], ids=lambda program: program.stem)
def test_a_whole_program_is_left_alone(program, tmp_path):
    assert judge(program, tmp_path, EVERY).problem == ""


def test_the_page_of_the_calibration_has_every_rule_with_its_thresholds():
    listed = CALIBRATION.read_text(encoding="utf-8")
    sections = re.split(r"^## ", listed, flags=re.MULTILINE)[1:]
    thresholds = {
        section.partition("\n")[0]: re.findall(r"^\| `(\w+)` \| (\S+) \|", section, re.MULTILINE)
        for section in sections
    }
    assert thresholds == {
        f"{rule.code} {rule.name}": [(t.name, f"{t.default:g}") for t in rule.thresholds]
        for rule in select_rules()
    }


def test_sections_of_the_calibration_that_are_not_made_anew_stay_as_they_were():
    before = CALIBRATION.read_text(encoding="utf-8")
    assert page({}, before) == before
    changed = page({"ACT02": Calibration(found=1, faulty=2, clean=3)}, before)
    kept = [line for line in before.splitlines() if line in changed.splitlines()]
    assert "found in 1 of 2 programs with its fault, 0 alarms in 3 healthy programs." in changed
    assert len(before.splitlines()) - len(kept) in (1, 2)


def test_every_rule_of_the_zoo_has_a_faulty_and_a_healthy_program():
    faulty, healthy = ({p.stem[:5] for p in programs(side)} for side in ("faulty", "healthy"))
    assert faulty == healthy


@pytest.mark.parametrize("on_keras", [False, True])
def test_every_rule_of_a_framework_has_two_faulty_programs_and_a_healthy_one(on_keras):
    faulty, healthy = (
        Counter(code_of(p) for p in programs(side) if (KERAS in p.stem) is on_keras)
        for side in ("faulty", "healthy")
    )
    assert [code for code, count in faulty.items() if count < 2] == []
    assert set(faulty) <= set(healthy)


def test_every_rule_has_programs_or_is_listed_with_the_reason():
    here = {code_of(program) for program in programs("faulty")}
    absent = {rule.code for rule in select_rules()} - here
    assert {code for code in absent if not code.startswith(tuple(ELSEWHERE))} == set()


def test_every_rule_with_programs_has_some_on_keras_or_a_reason_for_none():
    here, on_keras = (
        {code_of(program) for program in programs("faulty") if part in program.stem}
        for part in ("", KERAS)
    )
    assert here - on_keras == set(NOT_IN_KERAS.values())


def test_what_nobody_can_do_wrong_in_keras_has_no_keras_program():
    on_keras = {code_of(program) for program in programs("faulty") if KERAS in program.stem}
    assert on_keras.isdisjoint(NOT_IN_KERAS.values())


def test_a_declared_cause_is_a_rule_and_its_program_is_there():
    assert CAUSES.keys() <= {program.stem for program in programs("faulty")}
    assert set(CAUSES.values()) <= {rule.code for rule in select_rules()}
