"""`nntrace recipe`: compares a run with the recipe for training neural networks."""

import click

from nntrace.cli.options import complete_run, format_option
from nntrace.cli.output import console, note, write_text


@click.command(name="recipe")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@format_option("text", "json", "markdown")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show all stages in full, those not due yet included."
)
@click.option("--steps", "list_steps", is_flag=True, help="List the recipe's steps; needs no run.")
def command(run: str | None, form: str, verbose: bool, list_steps: bool) -> None:
    """Compare a run with the recipe for training neural networks.

    Each step of Karpathy's "A Recipe for Training Neural Networks", and of the list of 37 reasons
    why a network does not work, is verified (with the evidence), failed (with the finding), not
    checked yet (with what to do), or advice.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default. The probes of the
    newest `nntrace check` of the same command count as well.

    \b
    Examples:
      nntrace recipe
      nntrace recipe runs/try7 --format markdown
      nntrace recipe --steps
    """
    from nntrace.recipe import STEPS
    from nntrace.recipe.output import as_json, as_markdown, catalogue, render_text

    if list_steps and (run or form != "text"):
        raise click.UsageError(
            "--steps lists the steps themselves: leave out RUN and --format.",
            click.get_current_context(),
        )
    if list_steps:
        write_text("\n".join(catalogue(STEPS)))
        return

    from nntrace.config import load_config
    from nntrace.diagnosis.json import run_facts
    from nntrace.diagnosis.report import make_report
    from nntrace.diagnosis.text import write
    from nntrace.recipe import read
    from nntrace.recipe.checked import find_check, with_probes
    from nntrace.runs.find import find_run

    path = find_run(run)
    config = load_config()
    rules = config.chosen_rules()
    report = make_report(path, rules, config.thresholds())
    if report.torn:
        note(f"{report.trace.path}: the last record of {', '.join(report.torn)} is cut off.")
    diagnosis = report.diagnosis
    check = find_check(report.trace, config.runs_folder)
    if check is not None:
        probes = [rule for rule in rules if rule.experiments]
        found = make_report(check, probes, config.thresholds()).diagnosis
        diagnosis = with_probes(diagnosis, found)
        note(f"the results of probes are those of the check in {check.parent}.")
    card = read(report.trace, diagnosis)
    name = path.name if run in (None, "latest") else str(run)
    if form == "text":
        with console() as screen:
            write(screen, render_text(card, name, verbose=verbose))
    elif form == "json":
        write_text(as_json(card, name, run_facts(report)))
    else:
        write_text("\n".join(as_markdown(card, name)))
