"""`nntrace diff`: where two runs first differ."""

from __future__ import annotations

from pathlib import Path

import click

from nntrace.cli.options import complete_run, format_option, output_option
from nntrace.cli.output import console, note, output, write_text


@click.command(name="diff")
@click.argument("a", metavar="A", shell_complete=complete_run)
@click.argument("b", metavar="B", shell_complete=complete_run)
@click.option(
    "--noise",
    multiple=True,
    metavar="RUN",
    help="A run that differs from A only in its seed: differences as large as between these two "
    "do not count.  [default: all such runs beside A, if A and B have different seeds]",
)
@click.option(
    "--no-noise", is_flag=True, help="Do not look for runs that differ from A only in their seed."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, min_open=False),
    default=1e-3,
    show_default=True,
    metavar="SHARE",
    help="The largest relative difference that counts as rounding.",
)
@format_option("text", "json", "html")
@output_option()
@click.option("--fail-on-divergence", is_flag=True, help="Exit with 1 if the runs diverge.")
def command(
    a: str,
    b: str,
    noise: tuple[str, ...],
    no_noise: bool,
    tolerance: float,
    form: str,
    target: Path | None,
    fail_on_divergence: bool,
) -> int:
    """Find the first place where two runs differ.

    Differences in settings are shown first. A and B are paths or names of runs. Layers are matched
    by path, then by order and shape, so that a model can be compared with its port. Record both
    with `--every 1` and the same seed to compare them step by step. Across seeds, a difference that
    also occurs between runs like A with other seeds is no divergence; such runs are found beside A,
    or given by --noise.

    \b
    Examples:
      nntrace diff before after
      nntrace diff torch-run keras-run --tolerance 0.01
      nntrace diff good bad --noise good-seed2 --noise good-seed3 --fail-on-divergence
      nntrace diff before after --format html -o diff.html
    """
    from nntrace.diff import compare
    from nntrace.diff.noise import like_runs
    from nntrace.diff.text import as_json, render_text
    from nntrace.runs.find import find_run
    from nntrace.trace import Trace

    ours, theirs, *others = [Trace.open(find_run(run)) for run in (a, b, *noise)]
    if not others and not no_noise:
        others = like_runs(ours, theirs)
        if others:
            names = ", ".join(other.manifest.name for other in others)
            note(f"the noise of seeds is measured on {names}; --no-noise leaves them out.")
    comparison = compare(ours, theirs, others, tolerance=tolerance)
    if form == "html":
        from nntrace.extras import require_extra

        require_extra("report", "`nntrace diff --format html`")
        from nntrace.report.difference import render_difference

        with output(target) as file:
            file.write(render_difference(comparison))
    elif form == "json":
        write_text(as_json(comparison), target)
    else:
        from nntrace.diagnosis.text import write

        with console(target) as screen:
            write(screen, render_text(comparison))
    if target is not None:
        note(f"wrote {target}.")
    return int(fail_on_divergence and comparison.first is not None)
