"""The rules of a check: the chosen probes, and every passive rule on the unmodified script."""

from collections.abc import Sequence

from nntrace.errors import NntraceError
from nntrace.rules import Rule, select_rules


def chosen_rules(
    only: Sequence[str], skip: Sequence[str], select: Sequence[str], ignore: Sequence[str]
) -> tuple[Rule, ...]:
    """The rules to judge by.

    Args:
        only: codes of probes, or their beginnings; all probes when empty.
        skip: codes of probes to leave out.
        select: codes of passive rules, as in the settings of the project.
        ignore: codes of rules to leave out, as there.

    Raises:
        UnknownRuleError: there is no such rule.
        NntraceError: no probe is left.
    """
    probes = tuple(rule for rule in select_rules(only, (*skip, *ignore)) if rule.experiments)
    if not probes:
        asked = ", ".join(only) or "all"
        raise NntraceError(
            f"no probe is left of {asked}. `nntrace rules` lists them: PRB01 to PRB09."
        )
    passive = tuple(rule for rule in select_rules(select, ignore) if not rule.experiments)
    return (*passive, *probes)
