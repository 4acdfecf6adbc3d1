"""Orders findings: the most likely root cause first, followed by its symptoms.

A finding is a symptom where another one explains it and began before it ended. A root and its
symptoms form a family; families are ordered by their consequences for the run.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nntrace.rules import Finding, Rule, Severity

_ENDS_TRAINING = ("NUM01", "NUM02", "NUM03", "NUM04")  # nothing is learned afterwards
_WILL_END = ("NUM08", "RUN08")  # results are lost already, or memory runs out


def rank(findings: Iterable[Finding], rules: Iterable[Rule]) -> tuple[Finding, ...]:
    """Order findings by cause and set each symptom's `explained_by` to its root's code."""
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_code[finding.code].append(finding)
    causes = _causes(by_code, rules)
    symptoms: dict[str, list[str]] = {}
    for code in by_code:
        root = _root(code, causes, by_code)
        symptoms.setdefault(root, []).extend([code] if code != root else [])
    ordered: list[Finding] = []
    for root in sorted(symptoms, key=lambda root: _family_order(root, symptoms[root], by_code)):
        ordered += sorted(by_code[root], key=_within_code)
        for code in sorted(symptoms[root], key=lambda code: _symptom_order(code, by_code)):
            group = sorted(by_code[code], key=_within_code)
            ordered += [replace(finding, explained_by=root) for finding in group]
    return tuple(ordered)


def _causes(by_code: Mapping[str, Sequence[Finding]], rules: Iterable[Rule]) -> dict[str, set[str]]:
    """For each code found, the codes found that explain it and began before it ended.

    What a finding says of this run counts more than what its rule says in general: an explanation
    of a rule that would lead back to that finding is left out.
    """
    causes: dict[str, set[str]] = {code: set() for code in by_code}
    particular: list[tuple[str, str]] = []
    for rule in rules:
        cause, found = rule.code, by_code.get(rule.code, ())
        if not found or _is_excused(rule, found):
            continue
        explained = {*rule.explains, *(code for finding in found for code in finding.explains)}
        for symptom in explained & by_code.keys() - {cause}:
            if all(cause in finding.not_explained_by for finding in by_code[symptom]):
                continue
            if _start(found) <= max(finding.steps[1] for finding in by_code[symptom]):
                causes[symptom].add(cause)
                if any(symptom in finding.explains for finding in found):
                    particular.append((cause, symptom))
    for cause, symptom in particular:
        for above in _above(cause, causes):
            if symptom in causes[above] and (symptom, above) not in particular:
                causes[above].discard(symptom)
    return causes


def _above(code: str, causes: Mapping[str, set[str]]) -> set[str]:
    """A code and all that explains it, directly or through others."""
    found, waiting = {code}, [code]
    while waiting:
        fresh = causes[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


def _is_excused(rule: Rule, findings: Sequence[Finding]) -> bool:
    """Whether a rule found no harm: of higher severity itself, only infos. Then it is no cause."""
    is_mild = rule.severity is not Severity.INFO
    return all(not f.harms_run or (is_mild and f.level is Severity.INFO) for f in findings)


def _root(
    code: str, causes: Mapping[str, set[str]], by_code: Mapping[str, Sequence[Finding]]
) -> str:
    """The most severe unexplained cause of a code, directly or through others; itself if none.

    A cycle of causes has no unexplained one, so that each code in it stays its own root.
    """
    seen = {code}
    frontier = {code}
    roots: set[str] = set()
    while frontier:
        above = set()
        for current in frontier:
            if not causes[current]:
                roots.add(current)
            above |= causes[current] - seen
        seen |= above
        frontier = above
    roots.discard(code)
    return max(roots, key=lambda root: (_weight(by_code[root]), root), default=code)


def _family_order(
    root: str, symptoms: Sequence[str], by_code: Mapping[str, Sequence[Finding]]
) -> tuple[int, bool, bool, bool, list[int], int, str]:
    """The sort key of a family: the one with the worst consequences comes first.

    Families are compared by the severity of their worst finding; whether an error in them ends
    training; whether there is something to do about the root; whether the root will end the run;
    the severities of the other findings, the worst first; when the root began.
    """
    family = [root, *symptoms]
    ends_training = any(
        code in _ENDS_TRAINING and _weight(by_code[code]) == Severity.ERROR.weight
        for code in family
    )
    severities = sorted(-_weight(by_code[code]) for code in family)
    return (
        severities[0],
        not ends_training,
        all(finding.needs_no_action for finding in by_code[root]),
        root not in _WILL_END,
        [*severities, 1],  # one symptom more counts, however mild
        _start(by_code[root]),
        root,
    )


def _symptom_order(code: str, by_code: Mapping[str, Sequence[Finding]]) -> tuple[int, int, str]:
    return (-_weight(by_code[code]), _start(by_code[code]), code)


def _within_code(finding: Finding) -> tuple[int, int, int, str]:
    site = finding.site.id if finding.site is not None else -1
    return (-finding.level.weight, finding.steps[0], site, finding.message)


def _weight(findings: Sequence[Finding]) -> int:
    return max(finding.level.weight for finding in findings)


def _start(findings: Sequence[Finding]) -> int:
    return min(finding.steps[0] for finding in findings)
