"""Exports an offline run of Weights & Biases, made by its own package; nothing is sent anywhere.

This needs the package `wandb`. `wandb sync` uploads the folder when and where the user wants.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

from nntrace.export.histograms import histograms
from nntrace.export.scalars import scalars
from nntrace.extras import require
from nntrace.trace import Trace


def export(trace: Trace, folder: Path) -> int:
    """Write `FOLDER/wandb/offline-run-…` with every scalar and histogram of the trace's rank.

    Returns the number of values written.
    """
    wandb = require("wandb", "this export")
    rows: dict[int, dict[str, Any]] = defaultdict(dict)
    for scalar in scalars(trace):
        for step, value in zip(scalar.step.tolist(), scalar.value.tolist(), strict=True):
            rows[step][scalar.name] = value
    for at, name, bins in histograms(trace):
        rows[at][name] = wandb.Histogram(np_histogram=(bins.counts, bins.bounds))
    manifest = trace.manifest
    config = {
        "command": " ".join(manifest.command),
        "git_commit": manifest.git_commit,
        "versions": manifest.versions,
        **{f"optimizer_{i}": e.payload for i, e in enumerate(trace.events_of("optimizer"))},
    }
    quiet = wandb.Settings(
        silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
    )
    folder.mkdir(parents=True, exist_ok=True)
    # Never online, whatever the environment says.
    with mock.patch.dict(os.environ, {"WANDB_MODE": "offline"}):
        run = wandb.init(
            mode="offline", dir=str(folder), project="nntrace", name=manifest.name,
            config=config, settings=quiet,
        )  # fmt: skip
        for step in sorted(rows):
            run.log(rows[step], step=step)
        run.finish()
    return sum(len(row) for row in rows.values())
