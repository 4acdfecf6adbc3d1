from diagnosis.diagnoses import finding, report

from nntrace.diagnosis.markdown import render_markdown
from nntrace.diagnosis.report import Report
from nntrace.rules import Location, Severity, Skipped, Suppressed
from nntrace.schema import Role, RunStatus
from nntrace.trace import Site


def lines(*reports: Report) -> list[str]:
    return render_markdown(reports).splitlines()


def test_the_heading_names_the_run_and_counts_its_findings() -> None:
    warning = finding("DAT10", severity=Severity.WARNING)
    assert lines(report([finding(), warning]))[0] == "### `run7`: 1 error, 1 warning"


def test_a_healthy_run_says_so_and_what_was_checked() -> None:
    shown = lines(report())
    assert shown[0] == "### `run7`: no problems found"
    assert "20 rules checked over 50 steps (5 sampled) of 1 site." in shown


def test_a_run_that_tracing_lost_sight_of_is_not_called_healthy() -> None:
    shown = lines(report(error="tracing stopped: OSError: No space left on device"))
    assert shown[0] == "### `run7`: no problems found before tracing stopped"
    assert "**what the run did after step 49 was not seen: tracing" in shown[2]


def test_a_finding_has_its_numbers_its_line_and_what_to_try() -> None:
    entry = finding(
        site=Site(0, "conv1", Role.ACTIVATION),
        evidence={"dead_fraction": 0.5},
        location=Location("train.py", 12, "nn.ReLU(),"),
        advice="Call `zero_grad`.",
    )
    assert lines(report([entry]))[2:7] == [
        "**error ACT04 dead-units**: half of conv1 is dead",
        "",
        "- conv1 activation · steps 3–40 · dead fraction 0.5",
        "- `train.py:12` `nn.ReLU(),`",
        "- **What to try.** Call `zero_grad`.",
    ]


def test_symptoms_are_a_list_under_their_cause() -> None:
    symptoms = [finding("GRD01", f"layer {n}", explained_by="ACT04") for n in range(3)]
    shown = lines(report([finding(), *symptoms]))
    where = shown.index("- **Likely symptoms of it.**")
    assert shown[where + 1] == "  - **error GRD01 dead-units**: layer 0 (2 more sites)"


def test_what_could_not_be_judged_is_folded_with_the_reasons() -> None:
    skipped = [
        Skipped("one rank", "DST01"),
        Skipped("too short", "LOS07"),
        Skipped("one rank", "D"),
    ]
    shown = lines(report(skipped=skipped))
    assert "<details><summary>3 rules could not judge this run</summary>" in shown
    assert "- DST01 D: one rank" in shown


def test_hidden_findings_are_folded() -> None:
    shown = lines(report(suppressed=[Suppressed(finding(), "known in b.json")]))
    assert shown[0] == "### `run7`: no other problems found"
    where = shown.index("<details><summary>1 finding hidden, known in b.json</summary>")
    assert shown[where + 2] == "- **error ACT04 dead-units**: half of conv1 is dead"


def test_a_run_that_failed_is_said_so() -> None:
    failed = report(status=RunStatus.FAILED, error="out of memory")
    assert any("**the run failed: out of memory**" in line for line in lines(failed))


def test_text_from_user_code_opens_nothing() -> None:
    hostile = "</details><img src=x>\n# head\n[a](http://b) @all *x*"
    entry = finding(
        message=hostile,
        site=Site(0, hostile, Role.ACTIVATION),
        evidence={hostile: hostile},
        advice=hostile,
        location=Location(hostile, 3, hostile),
    )
    shown = lines(report([entry, entry, entry, entry], [Skipped(hostile, "LOS07")]))
    outside = [line for line in shown if not line.startswith("- `")]
    assert not any("<img" in line or "[a](" in line or "@all" in line for line in outside)
    assert [line for line in shown if line.startswith("#")] == [shown[0]]
