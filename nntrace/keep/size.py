"""How much room a run takes, and which part of it."""

from collections import Counter
from pathlib import Path
from typing import Final

from nntrace.schema import CAPSULES_FOLDER, STREAMS

KEPT_STEPS: Final = "kept steps"
_OTHERS: Final = "other files"


def bytes_on_disk(run: Path) -> int:
    """The bytes of all files of a run; a file that vanishes meanwhile counts as empty."""
    return bytes_by_part(run).total()


def bytes_by_part(run: Path) -> Counter[str]:
    """The bytes by stream, of the capsules, and of all other files together."""
    parts: Counter[str] = Counter()
    for file in run.rglob("*"):
        try:
            if file.is_file() and not file.is_symlink():
                parts[_part(file)] += file.stat().st_size
        except OSError:
            continue
    return parts


def _part(file: Path) -> str:
    if file.parent.name == CAPSULES_FOLDER:
        return KEPT_STEPS
    stream = file.name.partition(".")[0].partition("-")[0]
    return stream if stream in STREAMS else _OTHERS
