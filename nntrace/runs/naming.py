"""Names run folders: label, time, and a few random digits to tell runs of one second apart.

All processes that one launcher started give the same name, after that launcher. The label alone
stands for the newest run that has it.
"""

import os
import re
import time
from typing import Final

from nntrace.ranks import group, job

_UNIQUE: Final = re.compile(r"-\d{8}-(\d{6}-[0-9a-f]{4}|job\..+)$")
_LONGEST: Final = 60


def unique_name(label: str) -> str:
    """A name for a new run folder that begins with the label."""
    if (its_job := job() or group()) is not None:
        return f"{_safe(label)}-{time.strftime('%Y%m%d')}-job.{_safe(its_job)}"
    return f"{_safe(label)}-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"


def label_of(name: str) -> str:
    """The label in the name of a run folder; the whole name if `unique_name` did not make it."""
    return _UNIQUE.sub("", name)


def has_label(name: str, label: str) -> bool:
    """Whether the name of a run folder was made from this label."""
    return label_of(name) == _safe(label) != name


def _safe(label: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in label).strip(".-")
    return kept[:_LONGEST] or "run"
