"""The cache folder: files that can be recreated, such as copies of remote runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The path of the cache folder, by the XDG convention; the folder may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nntrace"
