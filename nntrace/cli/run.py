"""`nntrace run`: train under trace. Nothing heavy may be imported here: start-up counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nntrace.config import load_config, parse_budget, parse_kinds
from nntrace.schema import Role


@click.command(
    name="run",
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # a short -h would be found inside -mhello
    },
    options_metavar="[OPTIONS]",
)
@click.option("--live", is_flag=True, help="Open the monitor on the run while it trains.")
@click.option(
    "--budget",
    metavar="SHARE",
    help="The share of the run time that tracing may cost, such as 2% or 0.02.  [default: 2%]",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Sample every N-th step instead of keeping to the budget.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run folder to write.  [default: a new one in ./nntrace-runs]",
)
@click.option("--exact", is_flag=True, help="Read every element of a tensor, not a sample of it.")
@click.option(
    "--include",
    metavar="PATTERN",
    multiple=True,
    help="Sample only modules whose path matches, such as 'encoder.*'. May be repeated.",
)
@click.option(
    "--exclude", metavar="PATTERN", multiple=True, help="Leave out modules whose path matches."
)
@click.option(
    "--kinds",
    metavar="KIND,…",
    multiple=True,
    help=f"Sample only these kinds of tensors: {', '.join(role.value for role in Role)}.",
)
@click.option(
    "--no-capsules",
    is_flag=True,
    help="Do not keep the batch and weights of a step that breaks (see `nntrace replay`).",
)
@click.option(
    "--name",
    metavar="NAME",
    help="The name of the run.  [default: that of the script; with --out, of the folder]",
)
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED, required=True, metavar="CMD...")
def command(
    live: bool,
    budget: str | None,
    every: int | None,
    exact: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    kinds: tuple[str, ...],
    no_capsules: bool,
    out: Path | None,
    name: str | None,
    cmd: tuple[str, ...],
) -> int:
    """Run CMD unchanged, and trace what it trains.

    CMD is a Python script, `-m MODULE`, or any program that starts Python, in this process or
    in others: every rank is traced. Options of nntrace stand before CMD; all that follow belong to
    CMD. The exit code is CMD's.

    \b
    Examples:
      nntrace run train.py --lr 1e-3
      nntrace run -m package.train
      nntrace run --every 10 --out runs/try7 python train.py
      nntrace run torchrun --nproc-per-node 4 train.py
      srun nntrace run train.py
    """
    from nntrace.launch.command import launch

    config = load_config()
    given = {
        "budget": None if budget is None else parse_budget(budget),
        "every": every,
        "exact": exact or None,
        "include": include or None,
        "exclude": exclude or None,
        "kinds": parse_kinds(kinds) or None,
        "capsules": False if no_capsules else None,
    }
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return launch(
        cmd,
        sampling=replace(config.sampling, **chosen),
        out=out,
        name=name,
        runs_folder=config.runs_folder,
        live=live,
    )
