"""`nntrace check`: the recipe's experiments on the user's own script, with a verdict for each."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import click

from nntrace.cli.options import format_option, output_option
from nntrace.cli.output import console, note, write_text
from nntrace.text import printable

_ESCAPES = {
    "written": "the script wrote outside the sandbox",
    "asked": "the script tried to reach a machine on the network",
    "started": "the script started a program that can write outside the sandbox",
}
_CHANGED = "changed during the check, by native code of the script or by another program"
_SHOWN = 3  # names of each kind


@click.command(
    name="check",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--only",
    multiple=True,
    metavar="PROBES",
    help="Run only these probes, written as PRB03, 3, 1,7 or 3-9.",
)
@click.option("--skip", multiple=True, metavar="PROBES", help="Leave out these probes.")
@click.option(
    "--steps",
    type=click.IntRange(min=20),
    default=200,
    show_default=True,
    metavar="N",
    help="Optimizer steps in each experiment.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of the whole check, in seconds.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Experiments to run at the same time.  [default: 2; 1 with a GPU or a single core]",
)
@format_option("text", "json", "sarif", "markdown")
@output_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to write the experiments' runs to.",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Show the script's output, and which rules could not judge, and why.",
)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED, required=True, metavar="CMD...")
def command(
    only: tuple[str, ...],
    skip: tuple[str, ...],
    steps: int,
    time_limit: float,
    jobs: int | None,
    form: str,
    target: Path | None,
    out: Path | None,
    verbose: bool,
    cmd: tuple[str, ...],
) -> int:
    """Run the recipe's experiments on a script.

    CMD is the same as for `nntrace run`. It runs unmodified, about seven times for a few hundred
    steps each: on one batch, with inputs zeroed, with targets shuffled, over all learning rates,
    twice with the same seed. Its files are written to a temporary folder where that is possible; a
    note names what was written elsewhere.

    Exits with 1 when a probe fails or a rule finds an error in the script, with 2 when the script
    does not train.

    \b
    Examples:
      nntrace check train.py --lr 1e-3
      nntrace check --only PRB01,PRB07 -m package.train
      nntrace check --skip 3-5 train.py
      nntrace check --steps 500 --time-limit 900 --format json train.py > check.json
      nntrace check --format sarif -o check.sarif train.py
    """
    from nntrace.check.check import Check, cores_each
    from nntrace.check.children import Command
    from nntrace.check.output import render, render_text
    from nntrace.check.progress import progress
    from nntrace.check.select import chosen_rules
    from nntrace.config import load_config
    from nntrace.diagnosis.text import write
    from nntrace.launch.command import prepare_run, resolve, script_name, warn_if_disabled

    config = load_config()
    rules = chosen_rules(only, skip, config.select, config.ignore)
    words = resolve(cmd)
    warn_if_disabled(words)
    folder = prepare_run(out, None, config.runs_folder, otherwise=f"{script_name(words)}-check")
    jobs = jobs or _default_jobs()
    task = Command(
        given=cmd,
        words=tuple(words),
        folder=Path.cwd(),
        left_out=(config.runs_folder.absolute(), folder),
        threads=cores_each(jobs),
        shown=verbose,
        stdin=_stdin(),
    )
    before = signal.signal(signal.SIGTERM, _exit_on)
    try:
        with progress(shown=not verbose) as watch:
            check = Check(
                command=task,
                folder=folder,
                rules=rules,
                thresholds=config.thresholds(),
                steps=steps,
                time_limit=time_limit,
                jobs=jobs,
                watch=watch,
            )
            checked = check.run()
    except KeyboardInterrupt:
        note(f"interrupted; the runs made so far are in {folder}.")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    for kind, what in _ESCAPES.items():
        _note_all(what, checked.escapes(kind), verbose=verbose)
    _note_all(_CHANGED, checked.changed, verbose=verbose)
    if form == "text":
        with console(target) as screen:
            write(screen, render_text(checked, verbose=verbose))
    else:
        write_text(render(checked, form), target)
    return int(checked.has_failed)


def _note_all(what: str, names: Sequence[str], *, verbose: bool) -> None:
    """Print one note for all names of a kind; with `verbose`, one note for each."""
    if verbose:
        for name in names:
            note(f"{what}: {printable(name)}")
    elif names:
        more = len(names) - _SHOWN
        rest = f" and {more} more (-v and --format json name all)" if more > 0 else ""
        note(f"{what}: {', '.join(map(printable, names[:_SHOWN]))}{rest}")


def _exit_on(signal_number: int, frame: object) -> None:
    """Turn a signal into an exit, so that no experiment is left running."""
    raise SystemExit(128 + signal_number)


def _stdin() -> str:
    """The file that stdin comes from (`< answers.txt`), for every experiment to read.

    Else the null device, because a pipe or a terminal can be read only once.
    """
    own = "/proc/self/fd/0"
    try:
        return own if stat.S_ISREG(os.fstat(0).st_mode) and os.path.exists(own) else os.devnull
    except OSError:
        return os.devnull


def _default_jobs() -> int:
    """The experiments to run at a time: two, unless they would share a GPU or a single core."""
    has_gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    return 1 if has_gpu or (os.cpu_count() or 1) < 2 else 2
