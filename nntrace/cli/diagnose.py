"""`nntrace diagnose`: the findings on one run or several, as text, JSON, SARIF or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nntrace.cli import BAD_INPUT
from nntrace.cli.options import complete_run, format_option, output_option
from nntrace.cli.output import console, note, write_text
from nntrace.config import FAIL_ON, load_config
from nntrace.errors import NntraceError
from nntrace.text import plural

if TYPE_CHECKING:
    from nntrace.diagnosis.baseline import Baseline
    from nntrace.diagnosis.report import Report
    from nntrace.rules import Rule


def _codes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Split codes at commas: `--select ACT,DAT04 --select GRD` gives three."""
    return tuple(code for value in values for code in value.split(",") if code.strip())


@click.command(name="diagnose")
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_run)
@format_option(
    "text",
    "json",
    "sarif",
    "markdown",
    what="The output format: text for people, json for programs, sarif for code hosts and "
    "editors, markdown for a pull request.",
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    help="Exit with 1 if a finding has this severity or a higher one.  [default: error]",
)
@click.option(
    "--select",
    multiple=True,
    callback=_codes,
    metavar="CODES",
    help="Apply only these rules: ACT,DAT04.",
)
@click.option(
    "--ignore", multiple=True, callback=_codes, metavar="CODES", help="Leave out these rules."
)
@output_option()
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Hide the known findings listed in this file (see --write-baseline).",
)
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the findings to this file, by code and site, for --baseline; exit with 0.",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also list rules that could not judge, and hidden findings, with the reasons.",
)
def command(
    runs: tuple[str, ...],
    form: str,
    fail_on: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    target: Path | None,
    baseline: Path | None,
    write_baseline: Path | None,
    verbose: bool,
) -> int:
    """Say what is wrong with a run, the most likely root cause first.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default; several runs are
    diagnosed one after the other. Codes may be prefixes: ACT is every rule on activations.

    Exits with 1 when a finding is at or above --fail-on, with 2 when a run cannot be read. Findings
    that the baseline lists, or at sites that the configuration ignores, are counted but not
    reported.

    \b
    Examples:
      nntrace diagnose
      nntrace diagnose runs/a runs/b --fail-on warning
      nntrace diagnose latest --select GRD,NUM --format json -o findings.json
      nntrace diagnose latest --format sarif -o findings.sarif
      nntrace diagnose latest --write-baseline known.json
      nntrace diagnose latest --baseline known.json
    """
    from nntrace.diagnosis.baseline import Baseline
    from nntrace.rules import Severity

    config = load_config()
    rules = config.chosen_rules(select, ignore)
    if not rules:
        raise NntraceError("no rule is left: --ignore leaves out all that --select names.")
    known = None if baseline is None else Baseline.read(baseline)
    reports, unreadable = _reports(runs or ("latest",), rules, config.thresholds(), known)
    if reports and form == "text":
        _write_text(reports, target, verbose=verbose, headings=len(runs) > 1)
    elif reports:
        write_text(_rendered(reports, form), target)
    if unreadable:
        return BAD_INPUT
    if write_baseline is not None:
        _write_baseline(reports, known, write_baseline)
        return 0
    limit = fail_on or config.fail_on
    worst = max((r.diagnosis.worst.weight for r in reports if r.diagnosis.worst), default=-1)
    return int(limit != "never" and worst >= Severity(limit).weight)


def _reports(
    runs: tuple[str, ...],
    rules: tuple[Rule, ...],
    thresholds: Mapping[str, Mapping[str, Any]],
    known: Baseline | None,
) -> tuple[list[Report], int]:
    """The reports of readable runs, and the number of unreadable ones, each noted on stderr."""
    from nntrace.diagnosis.report import make_report
    from nntrace.runs.find import find_run

    reports: list[Report] = []
    unreadable = 0
    for run in runs:
        try:
            report = make_report(find_run(run), rules, thresholds, known)
        except NntraceError as error:
            unreadable += 1
            note(str(error))
            continue
        if report.torn:
            note(
                f"{report.trace.path}: the last record of {', '.join(report.torn)} is cut off; "
                "the diagnosis is of everything before it."
            )
        reports.append(report)
    return reports, unreadable


def _write_baseline(reports: Sequence[Report], known: Baseline | None, target: Path) -> None:
    """Write a baseline of all findings, those hidden by the former one (`known`) included.

    Findings at ignored sites are left out.
    """
    from nntrace.diagnosis.baseline import Baseline

    found = [finding for report in reports for finding in report.diagnosis.findings]
    hidden = [item.finding for report in reports for item in report.diagnosis.suppressed]
    found += [finding for finding in hidden if known is not None and known.knows(finding)]
    listed = Baseline.of(target, found)
    listed.write()
    note(
        f"{plural(len(listed.identities), 'finding')} written to {target}. With `--baseline "
        f"{target}` only others are reported."
    )


def _rendered(reports: Sequence[Report], form: str) -> str:
    if form == "sarif":
        from nntrace.diagnosis.sarif import render_sarif

        return render_sarif(reports)
    if form == "markdown":
        from nntrace.diagnosis.markdown import render_markdown

        return render_markdown(reports)
    from nntrace.diagnosis.json import render_json

    return render_json(reports)


def _write_text(
    reports: Sequence[Report], target: Path | None, *, verbose: bool, headings: bool
) -> None:
    from nntrace.diagnosis.text import render_text, write

    with console(target) as screen:
        write(screen, render_text(reports, verbose=verbose, headings=headings))
