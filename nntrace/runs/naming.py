"""The name of a run's folder: the label it was given, the moment, and a few letters that part two
runs of one second. The label alone finds the newest of its runs again.
"""

import os
import re
import time
from typing import Final

_UNIQUE: Final = re.compile(r"-\d{8}-\d{6}-[0-9a-f]{4}$")
_LONGEST: Final = 60


def unique_name(label: str) -> str:
    """The name of a folder that does not exist yet."""
    return f"{_safe(label)}-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"


def label_of(name: str) -> str:
    """The label of the run for which a folder of this name was made; the name if it has none."""
    return _UNIQUE.sub("", name)


def has_label(name: str, label: str) -> bool:
    """Whether a folder of this name was made for a run of that label."""
    return label_of(name) == _safe(label) != name


def _safe(label: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in label).strip(".-")
    return kept[:_LONGEST] or "run"
