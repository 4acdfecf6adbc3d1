"""The folder for what can be made or fetched again: copies of remote runs, the reports' script."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Its path, by the XDG convention; it may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nntrace"
