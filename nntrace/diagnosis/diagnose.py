"""Runs the rules over a trace and ranks their findings by cause.

A rule declares which others it explains. A finding with an explainer that began no later is a
symptom; what remains unexplained is a root cause, and the one with the worst consequences (of
errors, that after which nothing is learned; of warnings, that which will end the run) is the first
line a user reads. A rule that fails is reported as skipped, never as health.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nntrace.diagnosis.baseline import Baseline
from nntrace.rules import Finding, Rule, Severity, Skipped, Suppressed, select_rules
from nntrace.rules.settings import ignores
from nntrace.trace import Trace

if TYPE_CHECKING:
    from rich.console import Group


RUN_TOO_SHORT = "RUN12"
_ENDS_TRAINING = ("NUM01", "NUM02", "NUM03", "NUM04")  # nothing is learned from then on
_WILL_END = ("NUM08", "RUN08")  # results are lost already, or memory runs out


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Findings, most likely root cause first with its symptoms behind it, and what was skipped.

    `judged` holds the codes of the rules that ran, skipped nothing and had nothing suppressed: of
    these, and of no other, the absence of a finding says something.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    judged: frozenset[str] = frozenset()
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The highest severity found, or None."""
        levels = [finding.level for finding in self.findings]
        return max(levels, key=lambda level: level.weight, default=None)

    def count(self, severity: Severity) -> int:
        """The number of findings of that severity."""
        return sum(finding.level is severity for finding in self.findings)

    def __repr__(self) -> str:
        from nntrace.diagnosis.text import as_line

        return as_line(self)

    def __rich__(self) -> "Group":
        from nntrace.diagnosis.text import in_short

        return in_short(self)

    def _repr_html_(self) -> str:
        from nntrace.diagnosis.text import as_html

        return as_html(self)


def diagnose(
    trace: Trace,
    *,
    rules: Iterable[Rule] | None = None,
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: Baseline | None = None,
) -> Diagnosis:
    """All findings on a trace.

    Args:
        rules: the rules to run, by default every installed one.
        thresholds: overrides by rule code, as in `[tool.nntrace.rules.<CODE>]`.
        baseline: findings that are known, and not reported.
    """
    chosen = tuple(select_rules() if rules is None else rules)
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    suppressed: list[Suppressed] = []
    for rule in chosen:
        overrides = (thresholds or {}).get(rule.code, {})
        try:
            with np.errstate(all="ignore"):
                results = list(rule.run(trace, overrides))
        except Exception as error:  # one broken rule must not hide what the others see
            skipped.append(Skipped(f"the rule failed: {type(error).__name__}: {error}", rule.code))
            continue
        skipped.extend(result for result in results if isinstance(result, Skipped))
        for result in results:
            if not isinstance(result, Finding):
                continue
            if ignores(result, overrides):
                suppressed.append(Suppressed(result, "at a site in ignore_sites"))
            elif baseline is not None and baseline.knows(result):
                suppressed.append(Suppressed(result, f"known in {baseline.source}"))
            else:
                findings.append(result)
    findings = [_with_skipped(finding, skipped) for finding in findings]
    silent = {item.code for item in skipped} | {item.finding.code for item in suppressed}
    judged = frozenset(rule.code for rule in chosen) - silent
    return Diagnosis(rank(findings, chosen), tuple(skipped), judged, tuple(suppressed))


def _with_skipped(finding: Finding, skipped: Sequence[Skipped]) -> Finding:
    """Add to RUN12, the run that is too short, how many rules lack data for it."""
    if finding.code != RUN_TOO_SHORT:
        return finding
    codes = sorted({item.code for item in skipped if item.too_few})
    if not codes:
        return finding
    message = f"{finding.message.removesuffix('.')}: {len(codes)} could not judge for want of data."
    return replace(finding, message=message, evidence={**finding.evidence, "skipped": codes})


def rank(findings: Iterable[Finding], rules: Iterable[Rule]) -> tuple[Finding, ...]:
    """Order findings by cause and set each symptom's `explained_by` to its root's code."""
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_code[finding.code].append(finding)
    started = {code: min(f.steps[0] for f in group) for code, group in by_code.items()}
    ended = {code: max(f.steps[1] for f in group) for code, group in by_code.items()}
    causes: dict[str, set[str]] = {code: set() for code in by_code}
    for rule in rules:
        if _is_excused(rule, by_code.get(rule.code, ())):
            continue
        here = (code for finding in by_code.get(rule.code, ()) for code in finding.explains)
        for symptom in {*rule.explains, *here}:
            both = rule.code in by_code and symptom in by_code
            if both and all(rule.code in finding.not_explained_by for finding in by_code[symptom]):
                continue
            if both and symptom != rule.code and started[rule.code] <= ended[symptom]:
                causes[symptom].add(rule.code)
    root_of = {code: _root(code, causes, by_code) for code in by_code}
    families: dict[str, list[str]] = defaultdict(list)
    for code, root in root_of.items():
        families[root].append(code)

    def weight(code: str) -> int:
        return max(finding.level.weight for finding in by_code[code])

    def family_order(root: str) -> tuple[int, bool, bool, bool, int, int, str]:
        worst = max(weight(code) for code in families[root])
        goes_on = not any(
            code in _ENDS_TRAINING and weight(code) == Severity.ERROR.weight
            for code in families[root]
        )
        lasts = root not in _WILL_END
        size = len(families[root])
        no_action = all(finding.needs_no_action for finding in by_code[root])
        return (-worst, goes_on, no_action, lasts, -size, started[root], root)

    ordered: list[Finding] = []
    for root in sorted(families, key=family_order):
        symptoms = sorted(
            (code for code in families[root] if code != root),
            key=lambda code: (-weight(code), started[code], code),
        )
        for code in (root, *symptoms):
            group = sorted(by_code[code], key=_within_code)
            explained_by = None if code == root else root
            ordered.extend(replace(finding, explained_by=explained_by) for finding in group)
    return tuple(ordered)


def _is_excused(rule: Rule, findings: Sequence[Finding]) -> bool:
    """Whether a rule of higher severity only gave information: it saw no harm here."""
    return rule.severity is not Severity.INFO and all(f.level is Severity.INFO for f in findings)


def _root(code: str, causes: Mapping[str, set[str]], by_code: Mapping[str, list[Finding]]) -> str:
    """Follow causes upward to the strongest unexplained one; a cycle ends where it began."""
    seen = {code}
    frontier = {code}
    roots: set[str] = set()
    while frontier:
        above = set()
        for current in frontier:
            fresh = causes[current] - seen
            if not fresh and not causes[current]:
                roots.add(current)
            above |= fresh
        seen |= above
        frontier = above
    roots.discard(code)
    if not roots:
        return code
    return max(roots, key=lambda c: (max(f.level.weight for f in by_code[c]), c))


def _within_code(finding: Finding) -> tuple[int, int, int, str]:
    site = finding.site.id if finding.site is not None else -1
    return (-finding.level.weight, finding.steps[0], site, finding.message)
