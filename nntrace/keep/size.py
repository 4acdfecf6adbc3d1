"""How much room a run takes."""

from pathlib import Path


def bytes_on_disk(run: Path) -> int:
    """The bytes of all files of a run; one that vanishes meanwhile counts nothing."""
    total = 0
    for file in run.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
        except OSError:
            continue
    return total
