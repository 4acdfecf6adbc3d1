"""Every program of the zoo under the real CLI: faults are named, health is left alone."""

import pytest
from zoo.zoo import judge, programs

EVERY = 5  # pinned: what is sampled must not depend on how busy the machine is


@pytest.mark.parametrize("program", programs("faulty"), ids=lambda program: program.stem)
def test_a_faulty_program_is_reported_under_its_code(program, tmp_path):
    assert judge(program, tmp_path, EVERY).problem == ""


@pytest.mark.parametrize("program", programs("healthy"), ids=lambda program: program.stem)
def test_a_healthy_program_is_left_alone(program, tmp_path):
    assert judge(program, tmp_path, EVERY).problem == ""


def test_every_rule_of_the_zoo_has_a_faulty_and_a_healthy_program():
    faulty, healthy = ({p.stem[:5] for p in programs(side)} for side in ("faulty", "healthy"))
    assert faulty == healthy
