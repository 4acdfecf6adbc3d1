"""`nntrace replay`: repeats a step that broke."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nntrace.cli.options import complete_run, format_option
from nntrace.cli.output import console, note, write_text
from nntrace.errors import NntraceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nntrace.replay import Capsule
    from nntrace.replay.play import Outcome

_PYTHON_OPTIONS = ("-m", "-c")  # with which a command may begin


@click.command(name="replay", context_settings={"ignore_unknown_options": True})
@click.argument("run", required=False, shell_complete=complete_run)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
@click.option(
    "--capsule",
    "number",
    type=click.IntRange(min=0),
    metavar="N",
    help="The capsule to replay, by its number in --list.  "
    "[default: the first with a non-finite value]",
)
@click.option("--list", "lists", is_flag=True, help="List the capsules of the run and exit.")
@click.option("--pdb", "debugger", is_flag=True, help="Stop in pdb at the line of the origin.")
@click.option(
    "--cwd",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to run the program in.  [default: the one it was traced in]",
)
@format_option("text", "json")
@click.option("--yes", is_flag=True, help="Run the recorded command without asking.")
def command(
    run: str | None,
    cmd: tuple[str, ...],
    number: int | None,
    lists: bool,
    debugger: bool,
    cwd: Path | None,
    form: str,
    yes: bool,
) -> int:
    """Repeat a step that broke, and say where and why.

    `nntrace run` keeps the step at which a value is not finite, or the loss jumps: its batch,
    random state and weights. `nntrace replay` runs the program up to its first call of the model;
    then it restores weights, batch and random state of that step, and lets the program's own code
    compute loss and gradients. The program is stopped before the optimizer acts.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default. The command
    recorded in RUN is shown, and run after you agree; give another one after `--`.

    Exits with 0 when the step broke again in the same operation, or gave the same loss; with 1
    when it did not.

    \b
    Examples:
      nntrace replay
      nntrace replay latest --capsule 1 --pdb
      nntrace replay latest --yes --format json
      nntrace replay runs/try7 -- python train.py --data sample/
    """
    import os

    from nntrace.manifest import Manifest
    from nntrace.replay import changed_sources, choose, play
    from nntrace.replay.text import headline
    from nntrace.runs.find import find_run

    if cmd and cmd[0].startswith("-") and cmd[0] not in _PYTHON_OPTIONS:
        raise NntraceError(f"no such option: {cmd[0]}. `nntrace replay --help` shows the usage.")
    if debugger and form == "json":
        raise NntraceError("--pdb is interactive: leave out --format json.")
    folder = find_run(run)
    if lists:
        _list(folder, form)
        return 0
    capsule = choose(folder, number)
    manifest = Manifest.read(folder)
    words = cmd or manifest.command
    where = cwd or Path(manifest.cwd or os.curdir)
    if not words:
        raise NntraceError(
            f"{folder} does not record its command. Give one: nntrace replay RUN -- python train.py"
        )
    note(headline(folder, capsule))
    changed = changed_sources(capsule)
    for file in changed:
        note(f"{file} has changed since the run: the step may break elsewhere, or not at all.")
    if not cmd and not yes:
        _ask(words, where)
    with play(capsule, words, where, debugger=debugger) as outcome:
        if outcome is None:
            if debugger:
                return 0
            raise NntraceError(
                f"{' '.join(words)} ended before it called the model of the capsule "
                f"({_model(capsule)}): its output is above."
            )
        return int(not _tell(folder, capsule, outcome, changed, form))


def _list(folder: Path, form: str) -> None:
    """Print the capsules of the run."""
    from nntrace.replay import list_capsules
    from nntrace.replay.text import list_content, table
    from nntrace.text.json import json_text

    if form == "json":
        write_text(json_text(list_content(list_capsules(folder))))
        return
    with console() as screen:
        screen.print(table(list_capsules(folder)))


def _tell(
    folder: Path, capsule: "Capsule", outcome: "Outcome", changed: "Sequence[str]", form: str
) -> bool:
    """Print the outcome of the replay and return whether the step broke in the same way again."""
    from nntrace.replay.text import outcome_content, outcome_text
    from nntrace.replay.verdict import judge
    from nntrace.text.json import json_text

    if form == "json":
        write_text(json_text(outcome_content(folder, capsule, outcome, changed)))
        return judge(capsule, outcome).reproduced
    with console() as screen:
        return outcome_text(screen, folder, capsule, outcome)


def _model(capsule: "Capsule") -> str:
    names = [str(module.get("class")) for module in capsule.modules]
    return ", ".join(dict.fromkeys(names)) or "unknown"


def _ask(words: tuple[str, ...], where: Path) -> None:
    """Ask whether to run a run's command: the folder may come from anywhere.

    Raises:
        NntraceError: the user declines, or cannot be asked.
    """
    import shlex
    import sys

    from nntrace.text import printable

    shown = printable(shlex.join(words))
    if not sys.stdin.isatty():
        raise NntraceError(
            f"this runs the command recorded in the run, in {where}: {shown}. "
            "Give --yes to run it, or another command after `--`."
        )
    click.echo(f"This runs in {printable(str(where))}:\n  {shown}", err=True)
    if not click.confirm("Run it?", err=True):
        raise NntraceError("nothing was run.")
