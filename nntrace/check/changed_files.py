"""Finds what changed in the user's folders during a check without an audit event.

Native code that opens a file by itself raises no event (`containment`). File sizes and times before
and after the check show what it wrote in the working folder and beside the script.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST_ENTRIES: Final = 4000
_PASSED_OVER: Final = (".git", ".hg", ".venv", "venv", "node_modules", "__pycache__")

State = tuple[int, int, int]  # inode, size, time of the last change


def states(folders: Iterable[Path], left_out: tuple[Path, ...]) -> dict[str, State]:
    """The states of the files in folders, breadth first, up to some thousands.

    Args:
        folders: folders of the user.
        left_out: folders that the check itself writes to.
    """
    found: dict[str, State] = {}
    printed_to = _redirections()
    waiting = list(dict.fromkeys(folders))
    while waiting and len(found) < _MOST_ENTRIES:
        for entry in _entries(waiting.pop(0)):
            if entry.name in _PASSED_OVER or Path(entry.path) in left_out:
                continue
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file() and _inode(entry.stat()) not in printed_to:
                    state = entry.stat()
                    found[entry.path] = state.st_ino, state.st_size, state.st_mtime_ns
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _inode(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _redirections() -> frozenset[tuple[int, int]]:
    """The files that the check itself prints to, as in `nntrace check train.py > check.txt`."""
    found = set()
    for descriptor in (1, 2):
        with suppress(OSError):
            found.add(_inode(os.fstat(descriptor)))
    return frozenset(found)


def changed(before: Mapping[str, State], after: Mapping[str, State]) -> tuple[str, ...]:
    """The files that were made or written to between two states.

    New files are left out where `before` was cut off, because they may have existed.
    """
    if len(before) >= _MOST_ENTRIES:
        after = {path: state for path, state in after.items() if path in before}
    return tuple(sorted(path for path, state in after.items() if before.get(path) != state))


def folders_of(words: Iterable[str], folder: Path) -> tuple[Path, ...]:
    """The working folder, and the script's folder if it lies elsewhere."""
    script = next((Path(word) for word in words if word.endswith(".py")), None)
    beside = (folder / script).resolve().parent if script is not None else folder
    return (folder,) if beside.is_relative_to(folder) else (folder, beside)
