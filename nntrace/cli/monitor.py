"""`nntrace monitor`: opens the live terminal, a plug-in of the group `nntrace.monitors`."""

import click

from nntrace.cli.options import complete_run


@click.command(name="monitor")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "--remote-nntrace",
    metavar="CMD",
    default="nntrace",
    show_default=True,
    help="The nntrace command on the other machine.",
)
def command(run: str | None, remote_nntrace: str) -> None:
    """Watch a run in the terminal, live.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default, which waits for
    the first run where there is none yet. A run on another machine is user@host:RUN, read through
    your own ssh. The monitor only reads: leave and come back as you like, the training is not
    affected.

    \b
    Examples:
      nntrace monitor
      nntrace monitor runs/try7
      nntrace monitor me@gpu1:project/nntrace-runs/try7
      nntrace monitor me@gpu1: --remote-nntrace project/.venv/bin/nntrace
    """
    from nntrace.config import load_config
    from nntrace.runs.find import LATEST, find_run, wait_for_run
    from nntrace.watch import configured_diagnosis
    from nntrace.watch.live import has_terminal, load_monitor
    from nntrace.watch.remote import remote_spec
    from nntrace.watch.run_lists import LocalRuns

    remote = None if run is None else remote_spec(run)
    if remote is None:
        show = load_monitor()
        newest = run in (None, LATEST) and has_terminal()
        path = wait_for_run(waiting=_say_waiting) if newest else find_run(run)
        config = load_config()
        runs = LocalRuns(path.parent, configured_diagnosis(config), config.thresholds())
        show(runs.watch(str(path)))
    else:
        _watch_remote(*remote, remote_nntrace)


def _say_waiting(folder: object) -> None:
    from nntrace.notices import say

    say(f"no run in {folder} yet; waiting for the first: `nntrace run train.py`. Ctrl-C leaves.")


def _watch_remote(host: str, run: str, nntrace: str) -> None:
    import tempfile
    from pathlib import Path

    from nntrace.config import load_config
    from nntrace.watch import configured_diagnosis
    from nntrace.watch.live import load_monitor
    from nntrace.watch.remote_runs import RemoteRuns

    show, config = load_monitor(), load_config()
    diagnose, thresholds = configured_diagnosis(config), config.thresholds()
    with tempfile.TemporaryDirectory(prefix="nntrace-") as folder:
        runs = RemoteRuns(host, nntrace, Path(folder), diagnose, thresholds)
        try:
            show(runs.first(run))
        finally:
            runs.close()
