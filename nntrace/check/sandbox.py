"""Makes a working folder that stands in for the user's: with all its files, but hardly any copies.

Folders are made anew and files are links, so that what a program writes stays in the sandbox; a
link that is about to be written to is replaced by a copy first (`containment`). Model files are
copied at once, because native code writes to them without an audit event. So are the program's
sources, so that `Path(__file__).resolve()` leads into the sandbox. Folders beyond the limit are
linked as a whole, and so is what lies beside and above the folder: `../data` is the user's.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

_LEVELS: Final = 3  # above the user's folder
_MOST_ENTRIES: Final = 4000
_MOST_COPIED_BYTES: Final = 1 << 30
_COPIED: Final = (
    ".py",
    ".pyw",
    ".sh",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".safetensors",
    ".h5",
    ".hdf5",
    ".keras",
    ".onnx",
    ".db",
    ".sqlite",
    ".sqlite3",
)
_PATH: Final = re.compile(r"(?P<name>([^/]*=)?)(?P<path>/.*)", re.DOTALL)
_AS_A_WHOLE: Final = (".git", ".hg", ".venv", "venv", "node_modules", "site-packages")


def make_surroundings(folder: Path, place: Path) -> Path:
    """Make an empty folder below `place` for the sandbox of `folder`, and return it.

    Beside it and above it are links to what lies beside and above `folder`.
    """
    above = list(folder.parents)[:_LEVELS]
    current = place
    current.mkdir()
    for parent, child in zip(reversed(above), reversed([folder, *above[:-1]]), strict=True):
        try:
            beside = [Path(entry.path) for entry in os.scandir(parent)]
        except OSError:  # a folder that may be entered but not listed
            beside = []
        for path in beside[:_MOST_ENTRIES]:
            if path != child and not place.is_relative_to(path):
                (current / path.name).symlink_to(path)
        current = current / child.name
        current.mkdir()
    return current


def make_sandbox(folder: Path, sandbox: Path, left_out: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """Fill `sandbox` with the content of `folder`; return the folders that are links as a whole.

    Args:
        folder: the user's working folder.
        sandbox: an empty folder elsewhere.
        left_out: paths that the program should not see, such as the folder of runs.
    """
    shared: list[str] = []
    entries, copied = 0, 0
    waiting = [(folder, sandbox)]
    while waiting:  # breadth first: entries near the top matter most
        source, target = waiting.pop(0)
        try:
            found = list(os.scandir(source))
        except OSError:
            continue
        for entry in found:
            path, place = Path(entry.path), target / entry.name
            if path in left_out:
                continue
            entries += 1
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and entry.name not in _AS_A_WHOLE and entries <= _MOST_ENTRIES:
                place.mkdir()
                waiting.append((path, place))
                continue
            if is_folder:
                shared.append(str(path))
            size = _size_to_copy(entry)
            if size is not None and copied + size <= _MOST_COPIED_BYTES:
                copied += size
                if _copy(path, place):
                    continue
            place.symlink_to(path)
    return tuple(shared)


def inside(word: str, folder: Path, sandbox: Path) -> str:
    """A word of the command, with a path into `folder` (`/…`, `--data=/…`) moved to `sandbox`."""
    found = _PATH.fullmatch(word)
    path = "" if found is None else os.path.normpath(found["path"])
    if found is None or (path != str(folder) and not path.startswith(f"{folder}{os.sep}")):
        return word
    return f"{found['name']}{sandbox}{path[len(str(folder)) :]}"


def _copy(path: Path, place: Path) -> bool:
    """Copy a file; false where that cannot be done, with nothing left."""
    try:
        shutil.copy2(path, place)
    except OSError:  # it may not be read, or the disk is full
        place.unlink(missing_ok=True)
        return False
    return True


def _size_to_copy(entry: "os.DirEntry[str]") -> int | None:
    """The size in bytes of a file that is to be copied; None for an entry that is to be linked."""
    if not entry.name.lower().endswith(_COPIED):
        return None
    try:
        return entry.stat().st_size if entry.is_file() else None
    except OSError:
        return None
