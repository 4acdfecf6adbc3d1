"""`nntrace report`: writes a run as one HTML page, or one of its charts as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from nntrace.cli.options import complete_run, format_option, output_option
from nntrace.cli.output import note, output
from nntrace.files import replacing


@click.command(name="report")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@output_option("The file to write; `-` is stdout.  [default: RUN.html]")
@format_option("html", "svg", "png", what="html for the page; svg or png for one chart.")
@click.option("--chart", metavar="NAME", help="The chart to draw as svg or png; `list` lists them.")
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="The tokenizer's vocabulary: tokenizer.json, vocab.json, or one token per line.",
)
@click.option("--rank", type=int, help="The rank to show.  [default: the lowest]")
def command(
    run: str | None,
    target: Path | None,
    form: str,
    chart: str | None,
    tokens: Path | None,
    rank: int | None,
) -> None:
    """Write a run as one self-contained HTML page.

    The page shows the findings and charts, needs no network, is readable on a phone and in print,
    and executes nothing that the run contains. RUN is a path, the name of a run in ./nntrace-runs,
    or `latest`, the default.

    \b
    Examples:
      nntrace report
      nntrace report runs/try7 -o try7.html
      nntrace report --chart list
      nntrace report --format png --chart loss -o loss.png
    """
    from nntrace.config import load_config
    from nntrace.diagnosis.report import MOST_ROWS, make_report
    from nntrace.extras import require_extra
    from nntrace.runs.find import find_run
    from nntrace.trace import Trace

    require_extra("report", "`nntrace report`")
    from nntrace.report.bundle import begin_page_script

    path = find_run(run)
    config = load_config()
    is_page = form == "html" and chart is None
    script = begin_page_script() if is_page else None
    with _progress() as stage:
        stage("reading the run")
        trace = Trace.open(path, rank=rank, most_rows=MOST_ROWS, drawn=False)
        stage("diagnosing")
        report = make_report(trace, config.chosen_rules(), config.thresholds())
        if trace.samples_left_out:  # judged as by `diagnose`, but drawn whole
            report = replace(report, trace=Trace.open(path, rank=rank))
        if is_page:
            from nntrace.report import render_html
            from nntrace.report.vocabulary import read_vocabulary

            vocabulary = None if tokens is None else read_vocabulary(tokens)
            page = render_html(report, vocabulary=vocabulary, progress=stage, script=script)
            content = page.encode()
        else:
            from nntrace.report import render_chart
            from nntrace.report.page import make_figures

            figures = list(make_figures(report)[0])
            if chart == "list" or chart is None:
                stage("")
                with output() as file:
                    file.writelines(f"{figure.name}  {figure.title}\n" for figure in figures)
                return
            stage("drawing")
            form = "svg" if form == "html" else form
            content = render_chart(figures, chart, form)
    _write(content, target or Path(f"{path.name}.{form}"), asked=target is not None)


def _write(content: bytes, target: Path, *, asked: bool) -> None:
    if str(target) == "-":
        sys.stdout.buffer.write(content)
        return
    with replacing(target) as new:
        new.write_bytes(content)
    if not asked:
        with output() as file:
            file.write(f"{target}\n")
    note(f"wrote {target} ({len(content) / 1e6:.1f} MB). Open it in a browser.")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show on a terminal, in one line, what is being done; show nothing elsewhere."""
    from rich.console import Console

    screen = Console(stderr=True, markup=False)
    if not screen.is_terminal:
        yield lambda stage: None
        return
    with screen.status("") as status:
        yield status.update
