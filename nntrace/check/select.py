"""Selects the rules of a check: the chosen probes, and passive rules for the unmodified script."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from nntrace.errors import NntraceError, UnknownRuleError
from nntrace.rules import Rule, select_rules

_PROBE: Final = r"(?:PRB)?(\d{1,2})"
_ONE: Final = re.compile(_PROBE, re.IGNORECASE)
_RANGE: Final = re.compile(rf"{_PROBE}-{_PROBE}", re.IGNORECASE)
_FORMS: Final = "--only and --skip take PRB01 to PRB09, written as PRB03, 3, 1,7 or 3-9"


def chosen_rules(
    only: Iterable[str], skip: Iterable[str], select: Sequence[str], ignore: Sequence[str]
) -> tuple[Rule, ...]:
    """The rules to judge by.

    Args:
        only: probes, as a user writes them (`PRB01,PRB07`, `1,7`, `3-9`); all when empty.
        skip: probes to leave out.
        select: codes of passive rules, as in the settings of the project.
        ignore: codes of rules to leave out, as in those settings.

    Raises:
        UnknownRuleError: there is no such probe or rule.
        NntraceError: no probe is left.
    """
    every = tuple(rule for rule in select_rules() if rule.experiments)
    wanted, left_out = (_codes(values, every) for values in (only, skip))
    probes = select_rules(wanted, (*left_out, *ignore))
    probes = tuple(rule for rule in probes if rule.experiments)
    if not probes:
        raise NntraceError(f"no probe is left to run: {_FORMS}.")
    passive = tuple(rule for rule in select_rules(select, ignore) if not rule.experiments)
    return (*passive, *probes)


def _codes(values: Iterable[str], probes: Sequence[Rule]) -> tuple[str, ...]:
    words = (word.strip() for value in values for word in value.split(","))
    codes = tuple(code for word in words if word for code in _meant(word))
    for code in codes:
        if not any(probe.code.startswith(code) for probe in probes):
            raise UnknownRuleError(f"there is no probe {code!r}: {_FORMS}.")
    return codes


def _meant(word: str) -> Iterator[str]:
    """The codes that one word stands for; a word in no known form stands for itself."""
    if (found := _RANGE.fullmatch(word)) and int(found[1]) <= int(found[2]):
        yield from (f"PRB{number:02}" for number in range(int(found[1]), int(found[2]) + 1))
    elif found := _ONE.fullmatch(word):
        yield f"PRB{int(found[1]):02}"
    else:
        yield word.upper()
