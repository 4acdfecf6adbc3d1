"""`nntrace pack`: stores finished runs in less space."""

import click

from nntrace.cli.options import complete_run
from nntrace.cli.output import note, write_text


@click.command(name="pack")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_run)
@click.option("--lossless", is_flag=True, help="Keep every digit of sampled estimates, too.")
def command(runs: tuple[str, ...], lossless: bool) -> None:
    """Pack finished runs into Parquet files.

    Each stream becomes one file in place of its segments. Every command reads packed runs as
    before, and so does any reader of Parquet. Runs become three to five times smaller: statistics
    of samples are rounded by far less than their sampling error (mean, std and rms to 0.03 % of
    rms, the others to 0.4 to 1.6 %). Losses, rates, counts, batches, inputs, outputs, zeros and
    signs are kept exactly. With --lossless everything is, and runs become 1.3 to 2.7 times smaller.

    \b
    Examples:
      nntrace pack latest
      nntrace pack --lossless nntrace-runs/*
    """
    from nntrace.keep import KEPT_STEPS, pack
    from nntrace.runs.find import find_run
    from nntrace.schema import STREAMS
    from nntrace.text import printable
    from nntrace.text.values import size

    for run in runs:
        path = find_run(run)
        packed = pack(path, lossless=lossless)
        write_text(printable(str(path)))
        sizes = f"{size(packed.rows_before)} → {size(packed.rows_after)}"
        kept = packed.parts_after.get(KEPT_STEPS, 0)
        others = f"; {size(kept)} of kept steps (capsules) stay as they are" if kept else ""
        note(f"packed {path}: {sizes}, {packed.factor:.1f}× smaller{others}.")
        parts = [
            f"{part} {size(before)} → {size(packed.parts_after.get(part, 0))}"
            for part, before in sorted(packed.parts_before.items(), key=lambda part: -part[1])
            if part in STREAMS and before
        ]
        note(", ".join(parts) + ".")
