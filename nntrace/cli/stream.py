"""`nntrace stream`: writes a run as bytes to stdout, for a monitor at the other end of ssh."""

import sys
from pathlib import Path

import click

from nntrace.cli.options import complete_run

_LARGEST_LINE = 1 << 24


@click.command(name="stream")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option("--no-follow", is_flag=True, help="Write what has been recorded so far, then exit.")
@click.option(
    "--resume",
    is_flag=True,
    help="First read a line of JSON from stdin: the number of bytes already read of each file.",
)
def command(run: str | None, no_follow: bool, resume: bool) -> None:
    """Write a run's streams to stdout until it ends.

    `nntrace monitor user@host:RUN` starts this command on the other machine. RUN is a path, the
    name of a run in ./nntrace-runs, or `latest`, the default. A folder of runs, or a project that
    has one, stands for its newest run.

    \b
    Examples:
      nntrace stream latest > run.nnstream
      ssh me@gpu1 nntrace stream /data/runs/try7 | wc -c
    """
    import json

    from nntrace.errors import NntraceError
    from nntrace.watch.stream import frames, write_frame

    if sys.stdout.isatty():
        raise NntraceError("the stream is binary, and stdout is a terminal: pipe it to a program.")
    already_read: dict[str, int] = {}
    if resume:
        try:
            sizes = json.loads(sys.stdin.buffer.readline(_LARGEST_LINE))
            already_read = {str(name): max(0, int(size)) for name, size in sizes.items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise NntraceError("--resume needs a line of JSON on stdin: {file: bytes}.") from error
    for frame in frames(_find(run), already_read, follow=not no_follow):
        write_frame(frame, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _find(run: str | None) -> Path:
    """The run that a remote user means, who cannot look around here first.

    A folder of runs, or a project with one, stands for its newest run.
    """
    from nntrace.runs.find import find_run
    from nntrace.schema import MANIFEST, RUNS_FOLDER

    if run is None:
        return find_run()
    path = Path(run).expanduser()
    if not (path / MANIFEST).exists():
        for folder in (path, path / RUNS_FOLDER):
            if next(folder.glob(f"*/{MANIFEST}"), None) is not None:
                return find_run(None, folder)
    return find_run(str(path))
