import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from diagnosis.diagnoses import finding, report
from rich.console import Console
from run_folders import sites, stats, steps, write_run

from nntrace.diagnosis import Diagnosis
from nntrace.diagnosis.json import run_facts
from nntrace.diagnosis.report import Report
from nntrace.diagnosis.text import render_text, write
from nntrace.rules import Location, Severity, Skipped, Suppressed
from nntrace.schema import Role, RunStatus
from nntrace.trace import Site, Trace


def shown(*reports: Report, terminal: bool = False, width: int = 80, **options: Any) -> list[str]:
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )
    write(console, render_text(reports, **options))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("terminal", [True, False])
def test_an_empty_line_stands_between_two_causes(terminal: bool) -> None:
    lines = shown(report([finding(), finding("GRD01")]), terminal=terminal)
    assert [bool(line.strip()) for line in lines].count(False) == 2


def test_the_first_line_names_the_root_cause() -> None:
    lines = shown(report([finding(), finding("GRD01", explained_by="ACT04")]))
    assert lines[0] == "error ACT04 dead-units: half of conv1 is dead"


def test_evidence_does_not_repeat_words_of_the_message() -> None:
    evidence = {"op": "log", "kind": "inf", "zeros": 3}
    lines = shown(
        report([finding("NUM02", "`log` gives the first infinite value", evidence=evidence)])
    )
    assert lines[1] == "    steps 3–40 · kind inf · zeros 3"


def test_a_symptom_is_folded_under_its_root() -> None:
    symptom = finding("GRD01", "gradients vanish", name="vanishing-gradient", explained_by="ACT04")
    lines = shown(report([finding(), symptom]))
    assert "  └ error GRD01 vanishing-gradient: gradients vanish" in lines


def test_the_next_root_stands_after_an_empty_line() -> None:
    lines = shown(report([finding(), finding("DAT10", "classes differ", name="class-imbalance")]))
    second = lines.index("error DAT10 class-imbalance: classes differ")
    assert lines[second - 1] == ""


def test_evidence_site_and_steps_are_short() -> None:
    site = Site(0, "conv1", Role.ACTIVATION)
    evidence = {"dead_fraction": 0.123456, "units": [1, 2, 3, 4, 5], "count": 7}
    lines = shown(report([finding(site=site, evidence=evidence)]))
    where, *facts = lines[1].strip().split(" · ")
    assert where == "conv1 activation"
    assert facts == ["steps 3–40", "dead fraction 0.123", "units [1, 2, 3, 4, …]", "count 7"]


def test_a_module_that_is_a_number_does_not_read_as_a_count() -> None:
    lines = shown(report([finding(site=Site(0, "1.0", Role.ACTIVATION))]))
    assert lines[1].startswith("    module 1.0 activation · ")


def test_a_finding_of_one_step_says_that_step() -> None:
    assert shown(report([finding(steps=(7, 7))]))[1] == "    step 7"


def test_a_location_is_file_line_and_source() -> None:
    lines = shown(report([finding(location=Location("train.py", 12, "nn.ReLU(),"))]))
    assert "    train.py:12  nn.ReLU()," in lines


def test_advice_is_marked_by_an_arrow() -> None:
    assert "    → Lower it." in shown(report([finding(advice="Lower it.")]))


def test_findings_of_one_code_are_folded_after_three_sites() -> None:
    many = [
        finding(message=f"layer {n}", site=Site(n, f"conv{n}", Role.ACTIVATION)) for n in range(5)
    ]
    lines = shown(report(many))
    assert lines[0].endswith(": layer 0")
    assert [line for line in lines if "also" in line] == ["    also layer 1", "    also layer 2"]
    assert "    and 2 more sites: conv3 activation, conv4 activation" in lines


def test_a_symptom_at_many_sites_is_one_line() -> None:
    symptoms = [finding("GRD01", f"layer {n}", explained_by="ACT04") for n in range(4)]
    lines = shown(report([finding(), *symptoms]))
    assert [line for line in lines if "GRD01" in line] == [
        "  └ error GRD01 dead-units: layer 0 (3 more sites)"
    ]


def test_the_summary_counts_findings_rules_and_steps() -> None:
    warning = finding("DAT10", severity=Severity.WARNING)
    lines = shown(report([finding(), warning]))
    assert lines[-1] == "1 error, 1 warning · 20 rules checked over 50 steps (5 sampled) of 1 site"


def test_a_healthy_run_says_what_was_checked() -> None:
    assert shown(report()) == [
        "no problems found: 20 rules checked over 50 steps (5 sampled) of 1 site"
    ]


def test_a_run_of_which_a_part_was_judged_says_so_in_text_and_json(tmp_path: Path) -> None:
    run = write_run(
        tmp_path, sites=sites("fc1"), steps=steps(1000), stats=stats(1000, 0), rows_per_batch=1
    )
    part = Trace.open(run, most_rows=300, drawn=False)
    known = replace(report(), trace=part)
    judged = len(part.sampled_steps)
    assert judged < 300
    line = f"(1000 sampled, {judged} of them judged: the older ones only in part)"
    assert line in shown(known)[0]
    facts = run_facts(known)
    assert (facts["sampled_steps"], facts["judged_samples"]) == (1000, judged)


def test_notes_do_not_make_a_run_unhealthy() -> None:
    lines = shown(report([finding("RUN03", "no seed", severity=Severity.INFO, name="no-seed")]))
    assert lines[0].startswith("no problems found")
    assert "info RUN03 no-seed: no seed" in lines


def test_a_run_that_no_rule_could_judge_is_not_called_healthy() -> None:
    skipped = [Skipped("too short", f"R{n}") for n in range(20)]
    assert shown(report(skipped=skipped))[0].startswith("nothing judged: 0 rules checked")


def test_skipped_rules_are_counted_once_each() -> None:
    skipped = [Skipped("too short", "LOS07"), Skipped("no inputs", "LOS07")]
    lines = shown(report(skipped=skipped))
    assert lines[-1] == "1 rule could not judge this run; -v lists them"


def test_rules_with_one_reason_are_listed_together() -> None:
    reasons = {"DST01": "one rank", "LOS07": "short", "DST02": "one rank"}
    skipped = [Skipped(reason, code) for code, reason in reasons.items()]
    lines = shown(report(skipped=skipped), verbose=True)
    assert lines[-2:] == ["  DST01 DST02  one rank", "  LOS07  short"]


def test_hidden_findings_are_counted_by_reason_and_verbose_lists_them() -> None:
    reasons = ["known in b.json", "at a site in ignore_sites", "known in b.json"]
    hidden = [Suppressed(finding(message=f"layer {n}"), why) for n, why in enumerate(reasons)]
    assert shown(report(suppressed=hidden)) == [
        "no other problems found: 20 rules checked over 50 steps (5 sampled) of 1 site",
        "2 findings hidden, known in b.json; -v lists them",
        "1 finding hidden, at a site in ignore_sites; -v lists them",
    ]
    lines = shown(report(suppressed=hidden), verbose=True)
    assert lines[1:4] == [
        "2 findings hidden, known in b.json:",
        "  error ACT04 dead-units: layer 0",
        "  error ACT04 dead-units: layer 2",
    ]


def test_what_wraps_hangs_under_its_text() -> None:
    words = "one two three four"
    entry, symptom = finding(advice=words), finding("GRD01", words, explained_by="ACT04")
    lines = shown(report([entry, symptom]), terminal=True, width=18)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]
    arrow, branch = plain.index("    → one two"), plain.index("  └ error GRD01")
    assert plain[arrow + 1] == "      three four"
    assert plain[branch + 1 : branch + 3] == ["    dead-units:", "    one two three"]


def test_rules_that_wait_for_a_check_are_counted_unless_it_has_run() -> None:
    waiting = [Skipped("only nntrace check can tell", code) for code in ("PRB01", "PRB02")]
    unjudged = report(skipped=[*waiting, Skipped("too short", "LOS07")])
    assert shown(unjudged)[-2:] == [
        "3 rules could not judge this run; -v lists them",
        "`nntrace check` can judge 2 of them",
    ]
    checked = replace(unjudged.diagnosis, judged=frozenset({"PRB03"}))
    assert shown(replace(unjudged, diagnosis=checked))[-1].endswith("; -v lists them")


def test_verbose_lists_the_skipped_rules_with_their_reasons() -> None:
    lines = shown(report(skipped=[Skipped("too short", "LOS07")]), verbose=True)
    assert lines[-2:] == ["1 rule could not judge this run:", "  LOS07  too short"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (RunStatus.KILLED, "the run was killed before it finished"),
        (RunStatus.FAILED, "the run failed: out of memory"),
        (RunStatus.RUNNING, "the run is still going: this is the state so far"),
    ],
)
def test_a_run_that_did_not_finish_is_said_so(status: RunStatus, line: str) -> None:
    error = "out of memory" if status is RunStatus.FAILED else None
    assert line in shown(report(status=status, error=error))


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.RUNNING])
def test_a_run_that_tracing_lost_sight_of_is_not_called_healthy(status: RunStatus) -> None:
    lines = shown(report(status=status, error="tracing stopped: OSError: No space left on device"))
    assert lines[0].startswith("no problems found before tracing stopped: ")
    assert lines[1] == (
        "what the run did after step 49 was not seen: "
        "tracing stopped: OSError: No space left on device"
    )


def test_each_of_several_runs_has_a_heading() -> None:
    lines = shown(report(), report(), headings=True)
    assert [line for line in lines if line.startswith("run ")] == ["run run7", "run run7"]


def test_text_from_user_code_is_neither_markup_nor_control() -> None:
    hostile = "[red]x[/red]\x1b[2J\n\u202eevil"
    site = Site(0, hostile, Role.ACTIVATION)
    entry = finding(
        message=hostile,
        site=site,
        evidence={hostile: hostile},
        advice=hostile,
        location=Location(hostile, 3, hostile),
    )
    lines = shown(report([entry], [Skipped(hostile, "LOS07")]), verbose=True)
    text = "\n".join(lines)
    assert text.count("[red]x[/red]\\x1b[2J\\n\\u202eevil") >= 6
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_pipe_gets_each_message_on_one_line() -> None:
    assert len(shown(report([finding(message="word " * 100)]), width=40)) == 4


def test_a_terminal_wraps_within_the_indentation() -> None:
    lines = shown(report([finding(advice="word " * 30)]), terminal=True, width=40)
    start = next(number for number, line in enumerate(lines) if "→" in line)
    assert lines[start + 1].startswith("      word")


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[1;31merror" in shown(report([finding()]), terminal=True)[0]


def test_no_color_is_respected_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in shown(report([finding()]), terminal=True)[0]


@pytest.mark.parametrize(
    ("diagnosis", "said"),
    [
        (Diagnosis((), ()), "no problems found"),
        (
            Diagnosis((), (Skipped("too short", "XXX01"),), frozenset({"XXX02"})),
            "no problems found",
        ),
        (Diagnosis((), (Skipped("too short", "XXX01"),)), "nothing judged"),
    ],
)
def test_in_a_notebook_silence_is_not_mistaken_for_health(diagnosis: Diagnosis, said: str) -> None:
    assert diagnosis._repr_html_() == f"<p>{said}</p>"
    console = Console(record=True, file=io.StringIO())
    console.print(diagnosis)
    assert console.export_text().strip() == said
