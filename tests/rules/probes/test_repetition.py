"""PRB08: whether a run repeats itself."""

import pytest
from rules.builders import run_rule
from rules.checks import checked, noisy, only_finding, run

from nntrace.rules import Severity


def test_two_equal_runs_are_reproducible_and_two_others_are_not():
    assert run_rule("PRB08", checked(repeat=run("repeat", noisy(1.0)))) == []
    other = noisy(1.0)
    other[7:] *= 1.01
    finding = only_finding("PRB08", checked(repeat=run("repeat", other)))
    assert finding.steps[0] == 7
    assert finding.level is Severity.WARNING


@pytest.mark.parametrize(("factor", "found"), [(1.0009, 0), (1.0011, 1)])
def test_a_difference_of_a_thousandth_is_of_rounding(factor, found):
    repeat = run("repeat", noisy(1.0) * factor)
    assert len(run_rule("PRB08", checked(repeat=repeat))) == found
