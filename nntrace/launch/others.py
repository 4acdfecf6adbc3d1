"""Completes a run that other processes recorded, when the one that started them ends.

`torchrun` and `multiprocessing.spawn` stop the other ranks when one fails; Ray ends its workers by
force when they are done. Neither lets a rank say how the run has ended.
"""

import re
import sys
import time
from dataclasses import replace
from pathlib import Path

from nntrace.manifest import Manifest
from nntrace.schema import RunStatus

_LONGEST_ERROR = 2000
# The exceptions by which torchrun and torch.multiprocessing report a failed process.
_CHILD_FAILED = ("ChildFailedError", "ProcessRaisedException", "ProcessExitedException")


def others_failed(run: Path, error: str) -> None:
    """Write the error of a launcher, where the run has no end yet or a less telling one."""
    manifest = Manifest.read(run)
    of_child = type(getattr(sys, "last_value", None)).__name__ in _CHILD_FAILED
    says_less = manifest.error is None or manifest.error.startswith("SystemExit")
    if manifest.status == RunStatus.RUNNING or (of_child and says_less):
        text = " ".join(re.sub(r"[=-]{4,}", " ", error).split())[:_LONGEST_ERROR]
        _end(manifest, run, RunStatus.FAILED, text)


def others_finished(run: Path) -> bool:
    """Let a run whose processes are gone end as the command that started them: well.

    Returns:
        Whether the run had no end of its own.
    """
    manifest = Manifest.read(run)
    if manifest.current_status(run) is not RunStatus.KILLED:
        return False
    _end(manifest, run, RunStatus.FINISHED, manifest.error)
    return True


def _end(manifest: Manifest, run: Path, status: RunStatus, error: str | None) -> None:
    replace(manifest, status=status, error=error, ended_ns=time.time_ns()).write(run)
