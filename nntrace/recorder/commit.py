"""Which commit the program was run from, read from the files of git.

No process is started for it: the traced program may be waiting for its own children.
"""

import re
from pathlib import Path


def current_commit(folder: Path) -> str | None:
    """The commit checked out in the repository around `folder`; None where there is none."""
    try:
        repository = _repository(folder)
        return None if repository is None else _head(repository)
    except (OSError, ValueError):  # not readable, or not text
        return None


def _repository(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():  # a worktree or a submodule
            return parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return None


def _head(repository: Path) -> str | None:
    head = (repository / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return _checked(head)
    name = head.removeprefix("ref:").strip()
    shared = repository / "commondir"  # where a worktree keeps its branches
    folders = [repository]
    if shared.is_file():
        folders.append(repository / shared.read_text(encoding="utf-8").strip())
    for folder in folders:
        if (folder / name).is_file():
            return _checked((folder / name).read_text(encoding="utf-8").strip())
    for folder in folders:
        if (folder / "packed-refs").is_file():
            for line in (folder / "packed-refs").read_text(encoding="utf-8").splitlines():
                if line.endswith(f" {name}"):
                    return _checked(line.partition(" ")[0])
    return None


def _checked(commit: str) -> str | None:
    return commit if re.fullmatch(r"[0-9a-f]{40,64}", commit) else None
