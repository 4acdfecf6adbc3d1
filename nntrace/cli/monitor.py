"""`nntrace monitor`: the live terminal, which is a plug-in of the group `nntrace.monitors`."""

import click


@click.command(name="monitor")
@click.argument("run", required=False, metavar="[RUN]")
def command(run: str | None) -> None:
    """Watch a run in the terminal, live.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default. It only reads
    the run folder: leave and come back as you like, training never notices.

    \b
    Examples:
      nntrace monitor
      nntrace monitor runs/try7
    """
    from nntrace.config import load_config
    from nntrace.live import load_monitor
    from nntrace.runs import find_run
    from nntrace.watch import Watch, configured_diagnosis

    path = find_run(run)
    show = load_monitor()
    diagnose = configured_diagnosis(load_config())
    show(Watch(path, diagnose, runs_folder=path.parent))
