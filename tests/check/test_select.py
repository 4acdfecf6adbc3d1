"""Which probes `--only` and `--skip` name."""

import pytest

from nntrace.check.select import chosen_rules
from nntrace.errors import NntraceError


def probes(only=(), skip=()):
    return [rule.code[-1] for rule in chosen_rules(only, skip, (), ()) if rule.experiments]


@pytest.mark.parametrize(
    ("only", "skip", "left"),
    [
        ((), (), "123456789"),
        (("PRB01,PRB07",), (), "17"),
        (("1, 7",), (), "17"),
        (("3-5", "9"), (), "3459"),
        ((), ("3-9",), "12"),
        ((), ("prb03-PRB09",), "12"),
        (("prb",), ("8",), "12345679"),
    ],
)
def test_probes_are_named_by_code_number_or_range(only, skip, left):
    assert probes(only, skip) == list(left)


@pytest.mark.parametrize("word", ["PRB77", "9-3", "3-12", "LOS01", "three"])
def test_another_word_is_told_what_is_taken(word):
    with pytest.raises(NntraceError, match=r"PRB03, 3, 1,7 or 3-9"):
        probes(skip=(word,))


def test_no_probe_left_is_told():
    with pytest.raises(NntraceError, match="no probe is left"):
        probes(skip=("1-9",))
