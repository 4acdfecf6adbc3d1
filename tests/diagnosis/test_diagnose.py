from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from run_folders import steps

from nntrace.diagnosis import Diagnosis, diagnose
from nntrace.diagnosis.baseline import Baseline
from nntrace.rules import Finding, Rule, Severity, Skipped, get_rule, rule, too_few
from nntrace.schema import Role
from nntrace.trace import Site, Trace

TRACE = Trace.from_rows(steps=steps(10))


def found(
    code: str,
    severity: Severity = Severity.WARNING,
    *,
    steps: tuple[int, int] = (0, 9),
    explains: tuple[str, ...] = (),
    says: tuple[str, ...] = (),
    sites: tuple[int, ...] = (),
    level: Severity | None = None,
) -> Rule:
    """A rule that finds one thing, or one thing at each of the sites."""

    @rule(code, code.lower(), severity, advice="", explains=explains)
    def check(trace: Trace) -> Iterator[Finding]:
        """Found."""
        for site in [Site(n, f"layer{n}", Role.ACTIVATION) for n in sites] or [None]:
            yield Finding(f"{code} found", steps=steps, site=site, severity=level, explains=says)

    return check


def causes(*rules: Rule) -> list[tuple[str, str | None]]:
    """Each finding's code and what explains it, in order."""
    return [(f.code, f.explained_by) for f in diagnose(TRACE, rules=rules).findings]


def test_a_symptom_stands_under_its_root_cause() -> None:
    root = found("DAT04", explains=("NUM01",))
    assert causes(found("NUM01", Severity.ERROR), root) == [("DAT04", None), ("NUM01", "DAT04")]


def test_a_chain_of_causes_leads_to_its_first() -> None:
    chain = [found("C"), found("B", explains=("C",)), found("A", explains=("B",))]
    assert causes(*chain) == [("A", None), ("B", "A"), ("C", "A")]


def test_a_cause_that_began_after_its_symptom_ended_explains_nothing() -> None:
    late = found("A", steps=(8, 9), explains=("B",))
    assert dict(causes(late, found("B", steps=(0, 5)))) == {"A": None, "B": None}


def test_rules_that_explain_each_other_are_each_a_root() -> None:
    pair = causes(found("A", explains=("B",)), found("B", explains=("A",)))
    assert pair == [("A", None), ("B", None)]


def test_a_code_is_as_severe_as_its_worst_finding_and_began_with_its_first() -> None:
    @rule("B", "b", Severity.INFO, advice="", explains=("C",))
    def several(trace: Trace) -> Iterator[Finding]:
        """Found."""
        yield Finding("late", steps=(8, 9))
        yield Finding("early", steps=(0, 9), severity=Severity.ERROR)

    symptom = found("C", Severity.INFO, steps=(2, 4))
    assert causes(found("A"), several, symptom) == [
        *[("B", None)] * 2,
        ("C", "B"),
        ("A", None),
    ]


def test_what_a_finding_says_of_its_run_counts_more_than_what_a_rule_says_in_general() -> None:
    general = found("A", explains=("B", "D"))
    assert dict(causes(general, found("B", says=("A",)))) == {"A": "B", "B": None}
    around = [found("B", explains=("C",)), found("C", says=("A",)), found("D", Severity.ERROR)]
    noise = found("E", Severity.INFO, explains=("D",))
    assert dict(causes(general, *around, noise))["D"] == "B"


def test_the_family_with_the_worst_consequence_comes_first() -> None:
    mild = found("B", Severity.WARNING)
    assert causes(mild, found("C", Severity.ERROR))[0] == ("C", None)
    root = found("A", Severity.INFO, explains=("C",))
    assert causes(mild, found("C", Severity.ERROR), root)[0] == ("A", None)


def test_a_warning_among_the_symptoms_outweighs_several_notes() -> None:
    notes = [found(code, Severity.INFO) for code in ("D", "E")]
    noted = [found("A", explains=("D", "E")), *notes]
    assert causes(*noted, found("B", explains=("C",)), found("C"))[0] == ("B", None)
    assert causes(*noted, found("B", explains=("C",)), found("C", Severity.INFO))[0] == ("A", None)


def test_of_errors_the_one_after_which_nothing_is_learned_comes_first() -> None:
    early = found("LOS08", Severity.ERROR, explains=("LOS07",))
    late = found("DAT06", Severity.ERROR, steps=(5, 9), explains=("NUM01",))
    both = causes(early, found("LOS07"), late, found("NUM01", Severity.ERROR, steps=(5, 9)))
    assert both[0] == ("DAT06", None)


def test_a_rule_that_only_notes_where_it_could_blame_explains_nothing() -> None:
    excused = found("A", Severity.WARNING, level=Severity.INFO, explains=("C",))
    assert causes(found("C", Severity.ERROR), excused) == [("C", None), ("A", None)]


def test_findings_of_one_code_follow_their_sites() -> None:
    findings = diagnose(TRACE, rules=[found("A", sites=(2, 0, 1))]).findings
    assert [finding.site and finding.site.id for finding in findings] == [0, 1, 2]


def test_the_order_of_the_rules_changes_nothing() -> None:
    rules = [
        found("A", explains=("C",)),
        found("B", Severity.ERROR),
        found("C", Severity.ERROR, sites=(0, 1)),
    ]
    assert causes(*rules) == causes(*reversed(rules))


def test_a_rule_that_fails_is_skipped_and_hides_nothing() -> None:
    @rule("BAD", "bad", Severity.ERROR, advice="")
    def broken(trace: Trace) -> Iterator[Finding]:
        """Broken."""
        raise ZeroDivisionError("no data")
        yield

    diagnosis = diagnose(TRACE, rules=[broken, found("A")])
    assert [finding.code for finding in diagnosis.findings] == ["A"]
    assert diagnosis.skipped == (Skipped("the rule failed: ZeroDivisionError: no data", "BAD"),)


def test_a_threshold_given_replaces_the_default() -> None:
    @rule("A", "a", Severity.WARNING, advice="")
    def check(trace: Trace, *, limit: Annotated[int, "a limit"] = 3) -> Iterator[Finding]:
        """Above a limit."""
        yield Finding(f"limit {limit}")

    diagnosis = diagnose(TRACE, rules=[check], thresholds={"A": {"limit": 8}})
    assert diagnosis.findings[0].message == "limit 8"


def test_what_a_rule_needs_and_the_run_lacks_is_a_reason_to_skip() -> None:
    @rule("A", "a", Severity.WARNING, advice="", needs=(Role.PARAM,))
    def check(trace: Trace) -> Iterator[Finding]:
        """Needs parameters."""
        yield Finding("never")

    assert diagnose(TRACE, rules=[check]).skipped == (Skipped("no param was recorded", "A"),)


def test_the_worst_severity_of_nothing_is_none() -> None:
    assert Diagnosis((), ()).worst is None
    both = diagnose(TRACE, rules=[found("A", Severity.INFO), found("B", Severity.ERROR)])
    assert both.worst is Severity.ERROR
    assert both.count(Severity.INFO) == 1


def test_no_installed_rule_fails_on_a_trace_of_nothing() -> None:
    for trace in (Trace.from_rows(), Trace.from_rows(steps=steps(1)), TRACE):
        skipped = diagnose(trace).skipped
        assert [item for item in skipped if "failed" in item.reason] == []


def test_a_severity_given_replaces_that_of_the_findings() -> None:
    thresholds = {"A": {"severity": "info"}, "B": {"severity": "error"}}
    diagnosis = diagnose(TRACE, rules=[found("A"), found("B")], thresholds=thresholds)
    levels = {finding.code: finding.level for finding in diagnosis.findings}
    assert levels == {"A": Severity.INFO, "B": Severity.ERROR}


def test_a_severity_given_leaves_what_a_rule_that_blames_only_notes() -> None:
    noted, fact = found("A", level=Severity.INFO), found("B", Severity.INFO)
    thresholds = {code: {"severity": "error"} for code in "AB"}
    diagnosis = diagnose(TRACE, rules=[noted, fact], thresholds=thresholds)
    levels = {finding.code: finding.level for finding in diagnosis.findings}
    assert levels == {"A": Severity.INFO, "B": Severity.ERROR}


@pytest.mark.parametrize(
    ("pattern", "left"), [("layer1", [0, 2]), ("layer*", []), ("lay", [0, 1, 2])]
)
def test_findings_at_ignored_sites_are_counted_apart(pattern: str, left: list[int]) -> None:
    rule_ = found("A", sites=(0, 1, 2))
    diagnosis = diagnose(TRACE, rules=[rule_], thresholds={"A": {"ignore_sites": [pattern]}})
    assert [finding.site and finding.site.id for finding in diagnosis.findings] == left
    assert len(diagnosis.suppressed) == 3 - len(left)
    assert ("A" in diagnosis.judged) is (len(left) == 3)


def test_a_finding_without_a_site_is_at_no_ignored_site() -> None:
    assert diagnose(TRACE, rules=[found("A")], thresholds={"A": {"ignore_sites": ["*"]}}).findings


def test_an_ignored_cause_explains_nothing() -> None:
    rules = [found("A", sites=(0,), explains=("B",)), found("B")]
    diagnosis = diagnose(TRACE, rules=rules, thresholds={"A": {"ignore_sites": ["layer0"]}})
    assert [(f.code, f.explained_by) for f in diagnosis.findings] == [("B", None)]


def test_a_finding_of_the_baseline_is_known_whatever_its_severity_and_steps(tmp_path: Path) -> None:
    before = diagnose(TRACE, rules=[found("A", sites=(0,)), found("B")]).findings
    baseline = Baseline.of(tmp_path / "known.json", before)
    now = [found("A", Severity.ERROR, sites=(0, 1), steps=(3, 4)), found("C")]
    diagnosis = diagnose(TRACE, rules=now, baseline=baseline)
    new = [finding.identity for finding in diagnosis.findings]
    assert new == [("A", "layer1", "activation"), ("C", "", "")]
    assert [item.finding.identity[1] for item in diagnosis.suppressed] == ["layer0"]


def test_a_finding_may_say_which_rules_are_not_its_cause() -> None:
    @rule("NUM01", "num01", Severity.ERROR, advice="")
    def singular(trace: Trace) -> Iterator[Finding]:
        """Found."""
        yield Finding("0 / 0", steps=(5, 9), not_explained_by=("UPD01",))

    rates, data = found("UPD01", explains=("NUM01",)), found("DAT04", explains=("NUM01",))
    assert causes(rates, singular) == [("NUM01", None), ("UPD01", None)]
    assert dict(causes(data, singular)) == {"DAT04": None, "NUM01": "DAT04"}


def test_a_finding_that_does_no_harm_to_the_run_explains_nothing() -> None:
    @rule("LOS02", "los02", Severity.ERROR, advice="", explains=("LOS07",))
    def right_by_luck(trace: Trace) -> Iterator[Finding]:
        """Found."""
        yield Finding("right", steps=(0, 9), severity=Severity.WARNING, harms_run=False)

    loss = found("LOS07", Severity.ERROR)
    assert causes(loss, right_by_luck) == [("LOS07", None), ("LOS02", None)]


def test_a_finding_may_say_what_else_it_explains_here() -> None:
    @rule("GRD01", "grd01", Severity.WARNING, advice="")
    def slope(trace: Trace) -> Iterator[Finding]:
        """Found."""
        yield Finding("a quarter", steps=(0, 9), explains=("ACT02",))

    assert causes(found("ACT02"), slope) == [("GRD01", None), ("ACT02", "GRD01")]


def test_a_note_on_which_nothing_has_to_be_done_comes_after_the_others() -> None:
    @rule("DAT03", "dat03", Severity.WARNING, advice="")
    def harmless(trace: Trace) -> Iterator[Finding]:
        """Found."""
        yield Finding(
            "the framework does so", steps=(0, 9), severity=Severity.INFO, needs_no_action=True
        )

    note = found("DAT07", Severity.INFO)
    assert [code for code, _ in causes(harmless, note)] == ["DAT07", "DAT03"]


def test_a_run_that_is_too_short_names_the_rules_that_it_is_too_short_for() -> None:
    [note] = [f for f in diagnose(TRACE).findings if f.code == "RUN12"]
    assert {"LOS07", "LOS15"} <= set(note.evidence["skipped"])
    assert "DAT03" not in note.evidence["skipped"]  # it needs no more steps, but a loader
    assert f"{len(note.evidence['skipped'])} rules could not judge it" in note.message


def test_what_a_longer_run_would_help_is_what_a_rule_declares_not_how_it_is_worded() -> None:
    @rule("AAA01", "short", Severity.INFO, advice="")
    def short(trace: Trace) -> Iterator[Skipped]:
        """Too short."""
        yield too_few("a longer course of the loss is needed")

    @rule("AAA02", "worded", Severity.INFO, advice="")
    def worded(trace: Trace) -> Iterator[Skipped]:
        """Of another kind."""
        yield Skipped("needs 2 layers, has 1")

    [note] = diagnose(TRACE, rules=[short, worded, get_rule("RUN12")]).findings
    assert note.evidence["skipped"] == ["AAA01"]
    [other] = diagnose(TRACE, rules=[short, found("A")]).findings
    assert "skipped" not in other.evidence
    [alone] = diagnose(TRACE, rules=[worded, get_rule("RUN12")]).findings
    assert "could not judge" not in alone.message


@pytest.mark.parametrize("code", ["NUM08", "RUN08"])
def test_of_warnings_that_which_will_end_the_run_comes_first(code: str) -> None:
    assert causes(found("DAT03"), found(code))[0] == (code, None)
