"""Measures the space that a run takes on disk, in all and by part."""

from collections import Counter
from pathlib import Path
from typing import Final

from nntrace.schema import CAPSULES_FOLDER, STREAMS

KEPT_STEPS: Final = "kept steps"
_OTHERS: Final = "other files"


def bytes_on_disk(run: Path) -> int:
    """The bytes of all files of a run; a file that vanishes meanwhile is not counted."""
    return bytes_by_part(run).total()


def bytes_by_part(run: Path) -> Counter[str]:
    """The bytes of each stream, of all capsules, and of all other files."""
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
